import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { encodeEvent, encodeObject } from '../../../test/api-server/protobuf-writer.ts';
import { decodeObject } from '../../model/decode/object.ts';
import type { Codec, WatchEvent } from './codec.ts';
import { FrameError } from './codec.ts';
import { jsonCodec } from './json-codec.ts';
import { podProtobufCodec } from './protobuf-codec.ts';

const codec = podProtobufCodec();
const watchType = 'application/vnd.kubernetes.protobuf;stream=watch';
const listType = 'application/vnd.kubernetes.protobuf';

type Json = Record<string, unknown>;

const label = fc.stringMatching(/^[a-z][a-z0-9-]{0,8}[a-z0-9]$/);
const text = fc.string({ unit: 'grapheme', maxLength: 8 });
const time = fc
  .integer({ min: 0, max: 4_000_000_000 })
  .map((s) => new Date(s * 1000).toISOString().replace('.000Z', 'Z'));
const ports = fc.array(
  fc.record(
    {
      name: label,
      containerPort: fc.integer({ min: 1, max: 65_535 }),
      protocol: fc.constantFrom('TCP', 'UDP', 'SCTP'),
    },
    { requiredKeys: ['containerPort'] },
  ),
  { maxLength: 3 },
);
const containers = fc.array(
  fc.record({ name: label, ports, restartPolicy: fc.constantFrom('Always', 'Never') }, { requiredKeys: ['name'] }),
  { maxLength: 3 },
);
const address = fc.constantFrom('10.0.0.1', '10.255.255.254', 'fd00::1', '2001:db8::ff', 'nonsense');

/** Any pod the engine could meet; labels may be called like a part of every object. */
const anyPod: fc.Arbitrary<Json> = fc.record({
  apiVersion: fc.constant('v1'),
  kind: fc.constant('Pod'),
  metadata: fc.record(
    {
      name: label,
      namespace: label,
      uid: fc.uuid(),
      resourceVersion: fc.bigInt({ min: 1n, max: 2n ** 63n }).map(String),
      creationTimestamp: time,
      deletionTimestamp: time,
      labels: fc.dictionary(fc.oneof(label, fc.constantFrom('__proto__', 'constructor', 'ä')), text),
      annotations: fc.dictionary(label, text),
      ownerReferences: fc.array(
        fc.record({ kind: label, name: label, uid: fc.uuid(), apiVersion: label, controller: fc.boolean() }),
        { maxLength: 2 },
      ),
    },
    { requiredKeys: ['name', 'namespace', 'uid', 'resourceVersion', 'creationTimestamp'] },
  ),
  spec: fc.record(
    { nodeName: label, hostNetwork: fc.boolean(), containers, initContainers: containers },
    { requiredKeys: ['containers'] },
  ),
  status: fc.record(
    {
      phase: fc.constantFrom('Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'),
      podIP: address,
      podIPs: fc.array(fc.record({ ip: address }), { maxLength: 2 }),
    },
    { requiredKeys: ['phase'] },
  ),
});

function modelOf(by: Codec, type: string, bytes: Buffer): unknown {
  const [event] = by.watch(type).push(bytes);
  if (event?.kind !== 'changed') throw new Error('expected a changed object');
  const { raw, ...identity } = event.object;
  return { ...identity, decoded: decodeObject(raw, { kind: 'cluster', resourceVersion: identity.version }) };
}

describe('pods as protobuf', () => {
  test('are the same model objects, with the same diagnostics, as from JSON', () => {
    const json = jsonCodec({ kind: 'Pod', apiVersion: 'v1' });
    fc.assert(
      fc.property(anyPod, (pod) => {
        const line = Buffer.from(`${JSON.stringify({ type: 'ADDED', object: pod })}\n`);
        expect(modelOf(codec, watchType, encodeEvent('ADDED', pod))).toEqual(modelOf(json, 'application/json', line));
      }),
      { numRuns: 300 },
    );
  });

  test('come in pages like JSON', () => {
    fc.assert(
      fc.property(fc.array(anyPod, { maxLength: 4 }), (pods) => {
        const list = {
          kind: 'PodList',
          apiVersion: 'v1',
          metadata: { resourceVersion: '7', continue: 'more' },
          items: pods,
        };
        const page = codec.list(listType, encodeObject(list));
        expect(page.version).toBe('7');
        expect(page.continueToken).toBe('more');
        expect(page.objects.map(({ uid }) => uid)).toEqual(pods.map(({ metadata }) => (metadata as Json)['uid']));
      }),
      { numRuns: 50 },
    );
  });
});

const pod = (name: string): Json => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'shop', uid: `u-${name}`, resourceVersion: '5' },
  spec: { containers: [] },
  status: { phase: 'Running' },
});
const stream = Buffer.concat([
  encodeEvent('ADDED', pod('a')),
  encodeEvent('DELETED', pod('b')),
  encodeEvent('BOOKMARK', {
    kind: 'Pod',
    apiVersion: 'v1',
    metadata: { resourceVersion: '9', creationTimestamp: null, annotations: { 'k8s.io/initial-events-end': 'true' } },
  }),
  encodeEvent('ERROR', {
    kind: 'Status',
    apiVersion: 'v1',
    code: 410,
    reason: 'Expired',
    message: 'too old',
    details: { causes: [{ reason: 'ResourceVersionTooLarge', message: '' }], retryAfterSeconds: 2 },
  }),
]);

function decode(chunks: readonly Buffer[]): WatchEvent[] {
  const decoder = codec.watch(watchType);
  const events = chunks.flatMap((chunk) => [...decoder.push(chunk)]);
  decoder.end();
  return events;
}

test.each([1, 3, 5, 64, 4096])('events, bookmarks and errors are the same in pieces of %i bytes', (size) => {
  const pieces = Array.from({ length: Math.ceil(stream.length / size) }, (_, i) =>
    stream.subarray(i * size, (i + 1) * size),
  );
  expect(decode(pieces)).toMatchObject([
    { kind: 'changed', object: { uid: 'u-a', version: '5', namespace: 'shop', name: 'a' } },
    { kind: 'deleted', object: { uid: 'u-b' } },
    { kind: 'bookmark', version: '9', initialEnd: true },
    {
      kind: 'error',
      status: {
        code: 410,
        reason: 'Expired',
        message: 'too old',
        causes: ['ResourceVersionTooLarge'],
        retryAfterMs: 2000,
      },
    },
  ]);
});

test('an answer in JSON is read as JSON', () => {
  const line = Buffer.from(`${JSON.stringify({ type: 'ADDED', object: pod('a') })}\n`);
  expect([...codec.watch('application/json').push(line)]).toMatchObject([{ kind: 'changed', object: { uid: 'u-a' } }]);
});

test('a stream cut anywhere within an event is an error', () => {
  const first = encodeEvent('ADDED', pod('a'));
  for (let length = 1; length < first.length; length++) {
    expect(() => decode([first.subarray(0, length)])).toThrow(FrameError);
  }
});

test('damaged bytes give an event or a FrameError, nothing else', () => {
  fc.assert(
    fc.property(fc.nat(stream.length - 1), fc.nat(255), (at, value) => {
      const damaged = Buffer.from(stream);
      damaged[at] = value;
      try {
        decode([damaged]);
      } catch (error) {
        expect(error).toBeInstanceOf(FrameError);
      }
    }),
    { numRuns: 2000 },
  );
});

test('an object without identity is an error', () => {
  expect(() => decode([encodeEvent('ADDED', { ...pod('a'), metadata: { name: 'a', resourceVersion: '5' } })])).toThrow(
    'uid is missing',
  );
});
