import { expect, test } from 'vitest';

import { podObject } from '../../../test/api-server/objects-for-tests.ts';
import { decodeObject } from '../../model/decode/object.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import { Sharing } from './sharing.ts';

function pod(name: string, labels: Readonly<Record<string, string>>): Endpoint {
  const raw = podObject({ name, labels });
  return decodeObject(raw, { kind: 'cluster', resourceVersion: '1' }).object as Endpoint;
}

test('pods keep their content and share equal parts', () => {
  const sharing = new Sharing();
  const [a, b] = [pod('a', { app: 'web' }), pod('b', { app: 'web' })];
  const [sharedA, sharedB] = [sharing.share(a) as Endpoint, sharing.share(b) as Endpoint];
  expect(sharedA).toEqual(a);
  expect(sharedB).toEqual(b);
  expect(sharedB.labels).toBe(sharedA.labels);
  expect(sharedB.declaredPorts).toBe(sharedA.declaredPorts);
});

test.each<{ name: string; a: Record<string, string>; b: Record<string, string> }>([
  { name: 'another value', a: { app: 'web' }, b: { app: 'api' } },
  { name: 'a border between key and value elsewhere', a: { ab: 'c' }, b: { a: 'bc' } },
  { name: 'digits that look like lengths', a: { a: '1:1:bc' }, b: { a: '', b: 'c' } },
  { name: 'one label more', a: { app: 'web' }, b: { app: 'web', tier: '' } },
])('labels with $name are not shared', ({ a, b }) => {
  const sharing = new Sharing();
  sharing.share(pod('a', a));
  expect(sharing.share(pod('b', b))).toEqual(pod('b', b));
});
