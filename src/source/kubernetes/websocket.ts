import { createHash, randomBytes } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Duplex } from 'node:stream';

/** The server broke the protocol, sent too much, or went away in the middle. */
export class WebSocketError extends Error {
  override readonly name = 'WebSocketError';
  readonly code = 'websocket';
}

/** How a client asks for a WebSocket (RFC 6455, 4.1), and how it knows the answer. */
export interface Handshake {
  readonly headers: Readonly<Record<string, string>>;
  /** The subprotocol the server chose. Throws {@link WebSocketError} if the answer is none to this question. */
  readonly accept: (headers: IncomingHttpHeaders) => string;
}

const magic = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';

/** What a server answers to a key. */
export function acceptKey(key: string): string {
  return createHash('sha1')
    .update(key + magic)
    .digest('base64');
}

/** Offers subprotocols, the best first. */
export function offerWebSocket(protocols: readonly string[]): Handshake {
  const key = randomBytes(16).toString('base64');
  return {
    headers: {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': key,
      'sec-websocket-protocol': protocols.join(', '),
    },
    accept: (headers) => {
      const chosen = headers['sec-websocket-protocol'] ?? '';
      if (headers['sec-websocket-accept'] !== acceptKey(key))
        throw new WebSocketError('the server speaks no WebSocket');
      if (!protocols.includes(chosen))
        throw new WebSocketError(`the server chose the protocol ${JSON.stringify(chosen)}`);
      return chosen;
    },
  };
}

/** One frame, unmasked (RFC 6455, 5.2). */
export interface Frame {
  readonly final: boolean;
  readonly opcode: number;
  readonly payload: Buffer;
}

/** Frame types; 1 and 2 are messages, 0 goes on with one. */
export const opcodes = { more: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** Cuts bytes into frames as they come. */
export class FrameReader {
  readonly #maxBytes: number;
  #rest = Buffer.alloc(0);

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Frames that are complete now. Throws {@link WebSocketError}. */
  push(chunk: Uint8Array): Frame[] {
    let bytes = this.#rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#rest, chunk]);
    const frames: Frame[] = [];
    for (;;) {
      const cut = this.#cut(bytes);
      if (cut === undefined) break;
      frames.push(cut.frame);
      bytes = bytes.subarray(cut.size);
    }
    this.#rest = bytes;
    return frames;
  }

  #cut(bytes: Buffer): { readonly frame: Frame; readonly size: number } | undefined {
    if (bytes.length < 2) return undefined;
    const [first, second] = [bytes.readUInt8(0), bytes.readUInt8(1)];
    if ((first & 0x70) !== 0) throw new WebSocketError('a frame uses an extension nobody asked for');
    const short = second & 0x7f;
    const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
    const maskBytes = (second & 0x80) === 0 ? 0 : 4;
    const head = 2 + lengthBytes + maskBytes;
    if (bytes.length < 2 + lengthBytes) return undefined;
    const length =
      lengthBytes === 0 ? short : lengthBytes === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
    if (length > this.#maxBytes) throw new WebSocketError(`a frame is longer than ${this.#maxBytes} bytes`);
    if (bytes.length < head + length) return undefined;
    const payload = Buffer.from(bytes.subarray(head, head + length));
    if (maskBytes > 0) applyMask(payload, bytes.subarray(head - maskBytes, head));
    return { frame: { final: (first & 0x80) !== 0, opcode: first & 0x0f, payload }, size: head + length };
  }
}

/** A frame as bytes. Clients mask, servers must not. */
export function writeFrame(opcode: number, payload: Uint8Array, masked: boolean): Buffer {
  const { length } = payload;
  const short = length < 126 ? length : length < 0x1_00_00 ? 126 : 127;
  const head = Buffer.alloc(2 + (short === 126 ? 2 : short === 127 ? 8 : 0));
  head.writeUInt8(0x80 | opcode, 0);
  head.writeUInt8((masked ? 0x80 : 0) | short, 1);
  if (short === 126) head.writeUInt16BE(length, 2);
  if (short === 127) head.writeBigUInt64BE(BigInt(length), 2);
  if (!masked) return Buffer.concat([head, payload]);
  const mask = randomBytes(4);
  const body = Buffer.from(payload);
  applyMask(body, mask);
  return Buffer.concat([head, mask, body]);
}

function applyMask(payload: Buffer, mask: Uint8Array): void {
  for (let at = 0; at < payload.length; at += 1) payload[at] = (payload[at] ?? 0) ^ (mask[at & 3] ?? 0);
}

/**
 * The messages of a server until it closes; pings are answered. At most `maxBytes` for one message. Throws
 * {@link WebSocketError}, also if the connection ends without a close.
 */
export async function* readMessages(socket: Duplex, head: Uint8Array, maxBytes: number): AsyncGenerator<Buffer> {
  const reader = new FrameReader(maxBytes);
  const parts: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunksOf(socket, head)) {
    for (const { final, opcode, payload } of reader.push(chunk)) {
      switch (opcode) {
        case opcodes.close:
          socket.end(writeFrame(opcodes.close, payload.subarray(0, 2), true));
          return;
        case opcodes.ping:
          socket.write(writeFrame(opcodes.pong, payload, true));
          break;
        case opcodes.pong:
          break;
        case opcodes.text:
        case opcodes.binary:
        case opcodes.more:
          size += payload.length;
          if (size > maxBytes) throw new WebSocketError(`a message is longer than ${maxBytes} bytes`);
          parts.push(payload);
          if (!final) break;
          yield Buffer.concat(parts.splice(0));
          size = 0;
          break;
        default:
          throw new WebSocketError(`a frame has the unknown type ${opcode}`);
      }
    }
  }
  throw new WebSocketError('the connection ended in the middle');
}

async function* chunksOf(socket: Duplex, head: Uint8Array): AsyncGenerator<Uint8Array> {
  if (head.length > 0) yield head;
  try {
    for await (const chunk of socket) yield chunk as Uint8Array;
  } catch (error) {
    throw new WebSocketError(`the connection broke: ${(error as Error).message}`, { cause: error });
  }
}
