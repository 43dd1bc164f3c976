import { expect, test } from 'vitest';

import type { WatchEvent } from './codec.ts';
import { FrameError } from './codec.ts';
import { jsonCodec } from './json-codec.ts';

const codec = jsonCodec({ kind: 'Pod', apiVersion: 'v1' });
const json = 'application/json';

function pod(name: string, version: string): object {
  return {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: { name, namespace: 'shop', uid: `u-${name}`, resourceVersion: version },
  };
}

function line(type: string, object: object): string {
  return `${JSON.stringify({ type, object })}\n`;
}

function decode(...chunks: readonly Uint8Array[]): WatchEvent[] {
  const decoder = codec.watch(json);
  const events = chunks.flatMap((chunk) => [...decoder.push(chunk)]);
  decoder.end();
  return events;
}

const stream = Buffer.from(
  line('ADDED', pod('a', '1')) + line('MODIFIED', pod('ä', '2')) + line('DELETED', pod('c', '3')),
);
const seen = (events: readonly WatchEvent[]): string[] =>
  events.map((event) =>
    'object' in event ? `${event.kind} ${event.object.name} ${event.object.version}` : event.kind,
  );

test.each([1, 2, 3, 7, 64, 1000])('events are the same in pieces of %i bytes', (size) => {
  const pieces = Array.from({ length: Math.ceil(stream.length / size) }, (_, i) =>
    stream.subarray(i * size, (i + 1) * size),
  );
  expect(seen(decode(...pieces))).toEqual(['changed a 1', 'changed ä 2', 'deleted c 3']);
});

test('a bookmark is read without looking at the rest of its object', () => {
  const bookmark = (annotations: object): object => ({
    kind: 'Pod',
    metadata: { resourceVersion: '9', creationTimestamp: null, ...annotations },
    spec: { containers: null },
  });
  expect(decode(Buffer.from(line('BOOKMARK', bookmark({}))))).toEqual([
    { kind: 'bookmark', version: '9', initialEnd: false },
  ]);
  const end = bookmark({ annotations: { 'k8s.io/initial-events-end': 'true' } });
  expect(decode(Buffer.from(line('BOOKMARK', end)))).toEqual([{ kind: 'bookmark', version: '9', initialEnd: true }]);
});

test('an ERROR event is a status', () => {
  const [event] = decode(
    Buffer.from(line('ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' })),
  );
  expect(event).toEqual({ kind: 'error', status: { code: 410, reason: 'Expired', message: 'too old', causes: [] } });
});

test('events before a bad line come out before it throws', () => {
  const decoder = codec.watch(json);
  const events: WatchEvent[] = [];
  expect(() => {
    for (const event of decoder.push(Buffer.concat([stream, Buffer.from('{"type":"ADDED","obj\n')])))
      events.push(event);
  }).toThrow(FrameError);
  expect(seen(events)).toEqual(['changed a 1', 'changed ä 2', 'deleted c 3']);
});

test('an end within an event is an error, an end between events is none', () => {
  expect(() => decode(stream.subarray(0, stream.length - 1))).toThrow('the stream ended within an event');
  expect(() => decode(stream)).not.toThrow();
});

test.each([
  { name: 'an unknown type', text: line('MOVED', pod('a', '1')) },
  { name: 'no object', text: '{"type":"ADDED"}\n' },
  { name: 'an object without uid', text: line('ADDED', { metadata: { name: 'a', resourceVersion: '1' } }) },
  { name: 'a bookmark without version', text: line('BOOKMARK', { metadata: {} }) },
  { name: 'a list in the place of an event', text: '[]\n' },
])('$name is an error, never skipped', ({ text }) => {
  expect(() => decode(Buffer.from(text))).toThrow(FrameError);
});

test('another content type is refused', () => {
  expect(() => codec.watch('text/html')).toThrow(FrameError);
  expect(() => codec.list('', Buffer.from('{}'))).toThrow(FrameError);
});

test('a page names its version and its successor; items get the kind they lack', () => {
  const items = [{ metadata: { name: 'a', namespace: 'shop', uid: 'u-a', resourceVersion: '1' } }];
  const page = codec.list(
    json,
    Buffer.from(JSON.stringify({ metadata: { resourceVersion: '5', continue: 'next' }, items })),
  );
  expect(page).toMatchObject({
    version: '5',
    continueToken: 'next',
    objects: [{ uid: 'u-a', raw: { kind: 'Pod', apiVersion: 'v1' } }],
  });
});

test.each([{ continue: '' }, {}])('the last page has no successor: %j', (rest) => {
  const page = codec.list(
    json,
    Buffer.from(JSON.stringify({ metadata: { resourceVersion: '5', ...rest }, items: null })),
  );
  expect(page).toEqual({ version: '5', objects: [] });
});
