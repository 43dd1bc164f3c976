import { readStatus } from './api-status.ts';
import type { Codec, ListPage, WatchDecoder, WatchEvent, WireObject } from './codec.ts';
import { FrameError } from './codec.ts';

/** etcd holds objects of at most 1.5 MiB by default; JSON and its envelope add to that. */
const maxFrameBytes = 16 * 1024 * 1024;

/** JSON as kubectl gets it: one event a line, one list a body. `kind` and `apiVersion` are added to list items, which lack them. */
export function jsonCodec(type: { readonly kind: string; readonly apiVersion: string }): Codec {
  return {
    acceptWatch: 'application/json',
    acceptList: 'application/json',
    watch: (contentType) => {
      expectJson(contentType);
      return new JsonLines();
    },
    list: (contentType, body) => {
      expectJson(contentType);
      return readPage(parse(body), type);
    },
  };
}

function expectJson(contentType: string): void {
  if (!/^application\/json\b/i.test(contentType))
    throw new FrameError(`unexpected content type "${contentType.slice(0, 80)}"`);
}

class JsonLines implements WatchDecoder {
  #rest: Buffer[] = [];
  #restBytes = 0;

  *push(chunk: Uint8Array): Generator<WatchEvent> {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let start = 0;
    for (let end = bytes.indexOf(10); end !== -1; end = bytes.indexOf(10, start)) {
      const line = this.#complete(bytes.subarray(start, end));
      start = end + 1;
      if (line.length > 0) yield readEvent(parse(line));
    }
    if (start === bytes.length) return;
    this.#rest.push(bytes.subarray(start));
    this.#restBytes += bytes.length - start;
    if (this.#restBytes > maxFrameBytes) throw new FrameError(`an event is longer than ${maxFrameBytes} bytes`);
  }

  end(): void {
    if (this.#restBytes > 0)
      throw new FrameError(`the stream ended within an event, after ${this.#restBytes} bytes of it`);
  }

  #complete(last: Buffer): Buffer {
    if (this.#restBytes === 0) return last;
    const line = Buffer.concat([...this.#rest, last]);
    this.#rest = [];
    this.#restBytes = 0;
    return line;
  }
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8')) as unknown;
  } catch (error) {
    throw new FrameError(`not JSON: ${String(error)}`, { cause: error });
  }
}

/** Bookmarks and errors carry an almost empty object: nothing but their own fields is read. */
function readEvent(value: unknown): WatchEvent {
  const event = record(value, 'event');
  const object = record(event['object'], 'event.object');
  switch (event['type']) {
    case 'ADDED':
    case 'MODIFIED':
      return { kind: 'changed', object: readIdentity(object) };
    case 'DELETED':
      return { kind: 'deleted', object: readIdentity(object) };
    case 'BOOKMARK': {
      const metadata = record(object['metadata'], 'bookmark metadata');
      const annotations = metadata['annotations'];
      const initialEnd =
        typeof annotations === 'object' &&
        annotations !== null &&
        (annotations as Record<string, unknown>)['k8s.io/initial-events-end'] === 'true';
      return { kind: 'bookmark', version: text(metadata, 'resourceVersion'), initialEnd };
    }
    case 'ERROR':
      return { kind: 'error', status: readStatus(object) };
    default:
      throw new FrameError(`unknown event type ${JSON.stringify(event['type'])}`);
  }
}

function readPage(value: unknown, type: { readonly kind: string; readonly apiVersion: string }): ListPage {
  const list = record(value, 'list');
  const metadata = record(list['metadata'], 'list metadata');
  const items = list['items'] ?? [];
  if (!Array.isArray(items)) throw new FrameError('items is no list');
  const objects = (items as unknown[]).map((item) => {
    const object = record(item, 'item');
    object['kind'] ??= type.kind;
    object['apiVersion'] ??= type.apiVersion;
    return readIdentity(object);
  });
  const token = metadata['continue'];
  return {
    objects,
    version: text(metadata, 'resourceVersion'),
    ...(typeof token === 'string' && token !== '' && { continueToken: token }),
  };
}

function readIdentity(raw: Record<string, unknown>): WireObject {
  const metadata = record(raw['metadata'], 'metadata');
  const namespace = metadata['namespace'];
  return {
    uid: text(metadata, 'uid'),
    version: text(metadata, 'resourceVersion'),
    namespace: typeof namespace === 'string' ? namespace : '',
    name: text(metadata, 'name'),
    raw,
  };
}

function record(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new FrameError(`${what} is no object`);
  return value as Record<string, unknown>;
}

function text(object: Record<string, unknown>, key: string): string {
  const value = object[key];
  if (typeof value !== 'string' || value === '') throw new FrameError(`${key} is missing`);
  return value;
}
