import { FrameError } from './codec.ts';

/** One field of a message: its number, and its value as the wire type allows. */
export interface Field {
  readonly number: number;
  /** Varints and fixed-width values; 0 for bytes. Exact up to 2^53. */
  readonly value: number;
  /** Length-delimited values, as a view of the message; empty for numbers. */
  readonly bytes: Buffer;
}

const nothing = Buffer.alloc(0);

/**
 * The fields of one protobuf message in order. Throws {@link FrameError} for anything that is no message. Views are not
 * copies: what is kept must be turned into text or copied.
 */
export function* fieldsOf(message: Buffer): Generator<Field> {
  let at = 0;
  while (at < message.length) {
    const tag = readVarint(message, at);
    at = tag.next;
    const number = Math.floor(tag.value / 8);
    if (number === 0) throw new FrameError('protobuf: field 0');
    switch (tag.value % 8) {
      case 0: {
        const varint = readVarint(message, at);
        at = varint.next;
        yield { number, value: varint.value, bytes: nothing };
        break;
      }
      case 1:
        at = skip(message, at, 8);
        break;
      case 2: {
        const length = readVarint(message, at);
        const end = skip(message, length.next, length.value);
        yield { number, value: 0, bytes: message.subarray(length.next, end) };
        at = end;
        break;
      }
      case 5:
        at = skip(message, at, 4);
        break;
      default:
        throw new FrameError(`protobuf: wire type ${tag.value % 8}`);
    }
  }
}

/** UTF-8 text, detached from the buffer. */
export function textOf(bytes: Buffer): string {
  return bytes.toString('utf8');
}

/** An entry of a `map<string, string>`: field 1 is the key, field 2 the value; both default to the empty text. */
export function entryOf(bytes: Buffer): readonly [string, string] {
  let key = '';
  let value = '';
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) key = textOf(field.bytes);
    else if (field.number === 2) value = textOf(field.bytes);
  }
  return [key, value];
}

function skip(message: Buffer, at: number, length: number): number {
  if (at + length > message.length) throw new FrameError('protobuf: a value is longer than its message');
  return at + length;
}

/** Negative numbers take ten bytes and come out as 2^64 less than themselves, rounded: none of ours is negative. */
function readVarint(message: Buffer, start: number): { readonly value: number; readonly next: number } {
  let value = 0;
  let scale = 1;
  for (let at = start; at < start + 10; at++) {
    const byte = message[at];
    if (byte === undefined) throw new FrameError('protobuf: a number is cut short');
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return { value, next: at + 1 };
    scale *= 128;
  }
  throw new FrameError('protobuf: a number is longer than 10 bytes');
}
