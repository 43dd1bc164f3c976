import type { ApiStatus } from './api-status.ts';
import type { Codec, ListPage, WatchDecoder, WatchEvent, WireObject } from './codec.ts';
import { FrameError } from './codec.ts';
import { jsonCodec } from './json-codec.ts';
import { readBookmark, readPod } from './protobuf-pod.ts';
import { fieldsOf, textOf } from './protobuf-reader.ts';

const protobuf = 'application/vnd.kubernetes.protobuf';
/** etcd holds objects of at most 1.5 MiB by default. */
const maxFrameBytes = 16 * 1024 * 1024;
/** Every object is an `Unknown` behind these four bytes. */
const magic = Buffer.from('k8s\0');

/**
 * Pods as protobuf, about a third of the work of JSON. A server or proxy may answer in JSON all the same: the type of
 * the answer decides.
 */
export function podProtobufCodec(): Codec {
  const json = jsonCodec({ kind: 'Pod', apiVersion: 'v1' });
  const isProtobuf = (contentType: string): boolean => contentType.toLowerCase().startsWith(protobuf);
  return {
    acceptWatch: `${protobuf};stream=watch, application/json`,
    acceptList: `${protobuf}, application/json`,
    watch: (contentType) => (isProtobuf(contentType) ? new Frames() : json.watch(contentType)),
    list: (contentType, body) => (isProtobuf(contentType) ? readPage(body) : json.list(contentType, body)),
  };
}

/** Each event behind its length: four bytes, big-endian. */
class Frames implements WatchDecoder {
  #rest: Buffer = Buffer.alloc(0);

  *push(chunk: Uint8Array): Generator<WatchEvent> {
    const view = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const bytes = this.#rest.length === 0 ? view : Buffer.concat([this.#rest, view]);
    let at = 0;
    while (bytes.length - at >= 4) {
      const size = bytes.readUInt32BE(at);
      if (size > maxFrameBytes) throw new FrameError(`an event is longer than ${maxFrameBytes} bytes`);
      if (bytes.length - at - 4 < size) break;
      const frame = bytes.subarray(at + 4, at + 4 + size);
      at += 4 + size;
      this.#rest = Buffer.alloc(0);
      yield readEvent(frame);
    }
    this.#rest = bytes.subarray(at);
  }

  end(): void {
    const { length } = this.#rest;
    if (length > 0) throw new FrameError(`the stream ended within an event, after ${length} bytes of it`);
  }
}

function readEvent(frame: Buffer): WatchEvent {
  let type = '';
  let object: Buffer | undefined;
  for (const field of fieldsOf(frame)) {
    if (field.number === 1) type = textOf(field.bytes);
    else if (field.number === 2) object = only(field.bytes, 1);
  }
  if (object === undefined) throw new FrameError('an event has no object');
  const content = unwrap(object);
  switch (type) {
    case 'ADDED':
    case 'MODIFIED':
      return { kind: 'changed', object: readPod(content) };
    case 'DELETED':
      return { kind: 'deleted', object: readPod(content) };
    case 'BOOKMARK':
      return { kind: 'bookmark', ...readBookmark(content) };
    case 'ERROR':
      return { kind: 'error', status: readStatusMessage(content) };
    default:
      throw new FrameError(`unknown event type ${JSON.stringify(type)}`);
  }
}

function readPage(body: Buffer): ListPage {
  const objects: WireObject[] = [];
  let version = '';
  let continueToken = '';
  for (const field of fieldsOf(unwrap(body))) {
    if (field.number === 2) objects.push(readPod(field.bytes));
    if (field.number !== 1) continue;
    for (const meta of fieldsOf(field.bytes)) {
      if (meta.number === 2) version = textOf(meta.bytes);
      if (meta.number === 3) continueToken = textOf(meta.bytes);
    }
  }
  if (version === '') throw new FrameError('the list has no resourceVersion');
  return { objects, version, ...(continueToken !== '' && { continueToken }) };
}

/** `Unknown`: field 1 says what it is, field 2 is it. */
function unwrap(bytes: Buffer): Buffer {
  if (!bytes.subarray(0, 4).equals(magic)) throw new FrameError('an object does not begin with k8s\\0');
  return only(bytes.subarray(4), 2);
}

/** The one field that matters; an empty message if it is absent, as protobuf leaves out what is empty. */
function only(message: Buffer, number: number): Buffer {
  let found: Buffer = Buffer.alloc(0);
  for (const field of fieldsOf(message)) if (field.number === number) found = field.bytes;
  return found;
}

function readStatusMessage(bytes: Buffer): ApiStatus {
  let [code, reason, message, retryAfterMs] = [0, '', '', 0];
  const causes: string[] = [];
  for (const field of fieldsOf(bytes)) {
    if (field.number === 3) message = textOf(field.bytes);
    else if (field.number === 4) reason = textOf(field.bytes);
    else if (field.number === 6) code = field.value;
    else if (field.number === 5) {
      for (const detail of fieldsOf(field.bytes)) {
        if (detail.number === 4) causes.push(textOf(only(detail.bytes, 1)));
        if (detail.number === 5) retryAfterMs = detail.value * 1000;
      }
    }
  }
  return { code, reason, message, causes, ...(retryAfterMs > 0 && { retryAfterMs }) };
}
