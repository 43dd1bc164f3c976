import type { WireObject } from './codec.ts';
import { FrameError } from './codec.ts';
import { boolean, list, message, number, shape, sharedStringMap, stringMap, text } from './protobuf-reader.ts';
import type { Message, Reader, TakeField } from './protobuf-reader.ts';

/** `Time` as the text that JSON has for it. */
function time(name: string): TakeField {
  const fields = shape({ 1: number('seconds') });
  return (into, _value, reader, end) => {
    const { seconds } = reader.message(end, fields, { seconds: 0 }) as { seconds: number };
    const date = new Date(seconds * 1000);
    if (Number.isNaN(date.getTime())) throw new FrameError(`protobuf: ${name} is no time`);
    into[name] = date.toISOString().replace('.000Z', 'Z');
  };
}

// Field numbers: generated.proto of k8s.io/apimachinery/pkg/apis/meta/v1 and of k8s.io/api/core/v1.
const ownerReference = shape({ 1: text('kind'), 3: text('name'), 6: boolean('controller') });
const metadata = shape({
  1: text('name'),
  3: text('namespace'),
  5: text('uid'),
  6: text('resourceVersion'),
  8: time('creationTimestamp'),
  9: time('deletionTimestamp'),
  11: sharedStringMap('labels', 11),
  13: list('ownerReferences', ownerReference),
});
const containerPort = shape({ 1: text('name'), 3: number('containerPort'), 4: text('protocol') });
const container = shape({ 6: list('ports', containerPort), 24: text('restartPolicy') });
const spec = shape({
  2: list('containers', container),
  10: text('nodeName'),
  11: boolean('hostNetwork'),
  20: list('initContainers', container),
});
const status = shape({ 1: text('phase'), 6: text('podIP'), 12: list('podIPs', shape({ 1: text('ip') })) });
const pod = shape({ 1: message('metadata', metadata), 2: message('spec', spec), 3: message('status', status) });
const bookmark = shape({
  1: message('metadata', shape({ 6: text('resourceVersion'), 12: stringMap('annotations') })),
});

/** Reads a Pod message into the shape of its JSON, as far as the engine needs it. Throws {@link FrameError}. */
export function readPod(reader: Reader, end: number): WireObject {
  const raw = reader.message(end, pod, { apiVersion: 'v1', kind: 'Pod' });
  const meta = metadataOf(raw);
  const namespace = meta['namespace'];
  return {
    uid: need(meta, 'uid'),
    version: need(meta, 'resourceVersion'),
    name: need(meta, 'name'),
    namespace: typeof namespace === 'string' ? namespace : '',
    raw,
  };
}

/** The version of a bookmark and whether it ends the initial events: nothing else of its object is of use. */
export function readBookmark(reader: Reader, end: number): { readonly version: string; readonly initialEnd: boolean } {
  const meta = metadataOf(reader.message(end, bookmark));
  const annotations = (meta['annotations'] ?? {}) as Message;
  return {
    version: need(meta, 'resourceVersion'),
    initialEnd: annotations['k8s.io/initial-events-end'] === 'true',
  };
}

function metadataOf(object: Message): Message {
  return (object['metadata'] ?? {}) as Message;
}

function need(meta: Message, name: string): string {
  const value = meta[name];
  if (typeof value !== 'string' || value === '') throw new FrameError(`${name} is missing`);
  return value;
}
