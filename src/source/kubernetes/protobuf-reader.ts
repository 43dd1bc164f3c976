import { FrameError } from './codec.ts';
import { Recent } from './recent.ts';

/** What a message's fields become. */
export type Message = Record<string, unknown>;

/**
 * Takes one field: a number comes as `value`; anything else lies between the reader's position and `end`. What it does
 * not read is skipped; it may read on, up to the end of the message.
 */
export type TakeField = (into: Message, value: number, reader: Reader, end: number) => void;

/** The fields of a message that matter, by number. Others are skipped. */
export type Shape = ReadonlyMap<number, TakeField>;

/**
 * Reads protobuf messages in place: one position, no views, since most of a pod is skipped. Throws {@link FrameError}
 * for anything that is no message.
 */
export class Reader {
  at: number;
  readonly bytes: Buffer;
  /** Where the message that is being read ends. */
  #end = 0;

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  /** Reads the message that ends at `end`. */
  message(end: number, shape: Shape, into: Message = {}): Message {
    const outer = this.#end;
    this.#end = end;
    while (this.at < end) {
      const tag = this.#varint(end);
      const take = shape.get(Math.floor(tag / 8));
      switch (tag % 8) {
        case 0: {
          const value = this.#varint(end);
          take?.(into, value, this, this.at);
          break;
        }
        case 1:
          this.#skip(8, end);
          break;
        case 2: {
          const length = this.#varint(end);
          const stop = this.at + length;
          if (stop > end) throw new FrameError('protobuf: a value is longer than its message');
          take?.(into, 0, this, stop);
          if (this.at < stop) this.at = stop;
          break;
        }
        case 5:
          this.#skip(4, end);
          break;
        default:
          throw new FrameError(`protobuf: wire type ${tag % 8}`);
      }
    }
    this.#end = outer;
    return into;
  }

  /** Where the run of fields with this tag, one byte, ends that goes on at `at`. */
  runEnd(at: number, tag: number): number {
    const back = this.at;
    this.at = at;
    while (this.at < this.#end && this.bytes[this.at] === tag) {
      this.at += 1;
      this.#skip(this.#varint(this.#end), this.#end);
    }
    const end = this.at;
    this.at = back;
    return end;
  }

  /** The bytes up to `end`, one character each. */
  key(end: number): string {
    return this.bytes.toString('latin1', this.at, end);
  }

  /** UTF-8 text up to `end`, detached from the bytes. */
  text(end: number): string {
    return this.bytes.toString('utf8', this.at, end);
  }

  #skip(length: number, end: number): void {
    this.at += length;
    if (this.at > end) throw new FrameError('protobuf: a value is longer than its message');
  }

  /** Exact up to 2^53. A negative number comes out as a huge one: none of ours is negative. */
  #varint(end: number): number {
    let value = 0;
    let scale = 1;
    for (let length = 0; length < 10; length++) {
      if (this.at >= end) throw new FrameError('protobuf: a number is cut short');
      const byte = this.bytes[this.at] ?? 0;
      this.at += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
      scale *= 128;
    }
    throw new FrameError('protobuf: a number is longer than 10 bytes');
  }
}

/** A shape from its fields. */
export function shape(fields: Readonly<Record<number, TakeField>>): Shape {
  return new Map(Object.entries(fields).map(([number, take]) => [Number(number), take]));
}

/** A text. */
export function text(name: string): TakeField {
  return (into, _value, reader, end) => {
    into[name] = reader.text(end);
  };
}

/** A number. */
export function number(name: string): TakeField {
  return (into, value) => {
    into[name] = value;
  };
}

/** True or false. */
export function boolean(name: string): TakeField {
  return (into, value) => {
    into[name] = value !== 0;
  };
}

/** A message within the message. Given twice, it is merged, as protobuf demands. */
export function message(name: string, inner: Shape): TakeField {
  return (into, _value, reader, end) => {
    into[name] = reader.message(end, inner, (into[name] as Message | undefined) ?? {});
  };
}

/** One more of a list of messages. */
export function list(name: string, inner: Shape): TakeField {
  return (into, _value, reader, end) => {
    const items = (into[name] ??= []) as Message[];
    items.push(reader.message(end, inner));
  };
}

/** One more entry of a `map<string, string>`. Without a prototype, since a label may be called `__proto__`. */
export function stringMap(name: string): TakeField {
  const entry = shape({ 1: text('key'), 2: text('value') });
  return (into, _value, reader, end) => {
    const map = (into[name] ??= Object.create(null) as Message) as Record<string, string>;
    const { key, value } = reader.message(end, entry, { key: '', value: '' }) as { key: string; value: string };
    map[key] = value;
  };
}

/** Lists come in the order of names: what is alike comes close together. */
const mapsKept = 1_000;

/**
 * A `map<string, string>` of field `number`, at most 15. Entries that stand together, as servers write them, are looked
 * up by their bytes: the same bytes give the same frozen map, which saves most of the reading where most maps are alike.
 */
export function sharedStringMap(name: string, number: number): TakeField {
  const takeEntry = stringMap(name);
  const entries = shape({ [number]: takeEntry });
  const tag = number * 8 + 2;
  const seen = new Recent<Message>(mapsKept);
  return (into, value, reader, end) => {
    const before = into[name];
    if (before !== undefined) {
      if (Object.isFrozen(before)) into[name] = Object.assign(Object.create(null) as Message, before);
      takeEntry(into, value, reader, end);
      return;
    }
    const runEnd = reader.runEnd(end, tag);
    // The first length stands before the bytes.
    const key = `${end - reader.at} ${reader.key(runEnd)}`;
    let map = seen.find(key);
    if (map === undefined) {
      takeEntry(into, value, reader, end);
      reader.at = end;
      map = seen.add(key, Object.freeze(reader.message(runEnd, entries, into)[name]) as Message);
    }
    into[name] = map;
    reader.at = runEnd;
  };
}
