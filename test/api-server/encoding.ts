import { encodeEvent, encodeObject } from './protobuf-writer.ts';
import type { Plural } from './truth.ts';

/** How answers are written. */
export interface Encoding {
  readonly listType: string;
  readonly watchType: string;
  object(value: object): Buffer;
  event(type: string, object: object): Buffer;
  /** An event of which nothing can be made. */
  readonly garbage: Buffer;
  /** A metadata that no client can use, though the rest is in order. */
  readonly brokenMetadata: object;
}

const json: Encoding = {
  listType: 'application/json',
  watchType: 'application/json',
  object: (value) => Buffer.from(JSON.stringify(value)),
  event: (type, object) => Buffer.from(`${JSON.stringify({ type, object })}\n`),
  garbage: Buffer.from('{"type":"MODIFIED","object":{"kind":"Po\u0000\n'),
  brokenMetadata: { labels: { broken: 17 } },
};

const protobuf: Encoding = {
  listType: 'application/vnd.kubernetes.protobuf',
  watchType: 'application/vnd.kubernetes.protobuf;stream=watch',
  object: (value) => encodeObject(value as Record<string, unknown>),
  event: (type, object) => encodeEvent(type, object as Record<string, unknown>),
  garbage: Buffer.from([0, 0, 0, 3, 0x0a, 0x7f, 0x00]),
  brokenMetadata: { uid: '' },
};

/** What the client prefers, where the server has it: protobuf is there for pods. */
export function encodingFor(accept: string | undefined, plural: Plural): Encoding {
  return plural === 'pods' && accept?.startsWith('application/vnd.kubernetes.protobuf') === true ? protobuf : json;
}
