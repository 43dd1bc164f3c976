import type { WireObject } from './codec.ts';
import { FrameError } from './codec.ts';
import { entryOf, fieldsOf, textOf } from './protobuf-reader.ts';

type Json = Record<string, unknown>;

/** What a message's fields mean: number -> how it is put into an object. Other fields are skipped. */
type Shape = Readonly<Record<number, (into: Json, value: number, bytes: Buffer) => void>>;

const text =
  (name: string) =>
  (into: Json, _value: number, bytes: Buffer): void => {
    into[name] = textOf(bytes);
  };

const number =
  (name: string) =>
  (into: Json, value: number): void => {
    into[name] = value;
  };

const boolean =
  (name: string) =>
  (into: Json, value: number): void => {
    into[name] = value !== 0;
  };

const message =
  (name: string, shape: Shape) =>
  (into: Json, _value: number, bytes: Buffer): void => {
    into[name] = read(bytes, shape);
  };

const list =
  (name: string, shape: Shape) =>
  (into: Json, _value: number, bytes: Buffer): void => {
    const items = (into[name] ??= []) as unknown[];
    items.push(read(bytes, shape));
  };

/** `Object.create(null)` cannot be told from JSON's objects, and a label may be called `__proto__`. */
const stringMap =
  (name: string) =>
  (into: Json, _value: number, bytes: Buffer): void => {
    const map = (into[name] ??= Object.create(null) as Json) as Json;
    const [key, value] = entryOf(bytes);
    map[key] = value;
  };

const time =
  (name: string) =>
  (into: Json, _value: number, bytes: Buffer): void => {
    let seconds = 0;
    for (const field of fieldsOf(bytes)) if (field.number === 1) seconds = field.value;
    into[name] = new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
  };

// Field numbers: k8s.io/apimachinery/pkg/apis/meta/v1 and k8s.io/api/core/v1, generated.proto.
const ownerReference: Shape = { 1: text('kind'), 3: text('name'), 6: boolean('controller') };
const metadata: Shape = {
  1: text('name'),
  3: text('namespace'),
  5: text('uid'),
  6: text('resourceVersion'),
  8: time('creationTimestamp'),
  9: time('deletionTimestamp'),
  11: stringMap('labels'),
  12: stringMap('annotations'),
  13: list('ownerReferences', ownerReference),
};
const containerPort: Shape = { 1: text('name'), 3: number('containerPort'), 4: text('protocol') };
const container: Shape = { 6: list('ports', containerPort), 24: text('restartPolicy') };
const spec: Shape = {
  2: list('containers', container),
  10: text('nodeName'),
  11: boolean('hostNetwork'),
  20: list('initContainers', container),
};
const status: Shape = { 1: text('phase'), 6: text('podIP'), 12: list('podIPs', { 1: text('ip') }) };
const pod: Shape = { 1: message('metadata', metadata), 2: message('spec', spec), 3: message('status', status) };

/** Reads a Pod message into the shape of its JSON, as far as the engine needs it. Throws {@link FrameError}. */
export function readPod(bytes: Buffer): WireObject {
  const raw = readPodFields(bytes);
  const meta = (raw['metadata'] ?? {}) as Json;
  const need = (name: string): string => {
    const value = meta[name];
    if (typeof value !== 'string' || value === '') throw new FrameError(`${name} is missing`);
    return value;
  };
  const namespace = meta['namespace'];
  return {
    uid: need('uid'),
    version: need('resourceVersion'),
    name: need('name'),
    namespace: typeof namespace === 'string' ? namespace : '',
    raw: { apiVersion: 'v1', kind: 'Pod', ...raw },
  };
}

/** The version of a bookmark and whether it ends the initial events: nothing else of its object is of use. */
export function readBookmark(bytes: Buffer): { readonly version: string; readonly initialEnd: boolean } {
  const meta = (readPodFields(bytes)['metadata'] ?? {}) as Json;
  const annotations = (meta['annotations'] ?? {}) as Json;
  const version = meta['resourceVersion'];
  if (typeof version !== 'string' || version === '') throw new FrameError('resourceVersion is missing');
  return { version, initialEnd: annotations['k8s.io/initial-events-end'] === 'true' };
}

function readPodFields(bytes: Buffer): Json {
  return read(bytes, pod);
}

function read(bytes: Buffer, shape: Shape): Json {
  const into: Json = {};
  for (const field of fieldsOf(bytes)) shape[field.number]?.(into, field.value, field.bytes);
  return into;
}
