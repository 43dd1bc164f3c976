import { expect, test } from 'vitest';

import { bind, pod } from '../compiler/testing/cast.ts';
import { podsBehind } from './status.ts';

const bindings = [bind(pod({ name: 'a', ips: ['10.0.0.1', 'fd00::1'] })), bind(pod({ name: 'b', ips: ['10.0.0.2'] }))];
const names = (map: string, key: string): readonly string[] =>
  podsBehind([{ family: 'inet', map, key, chain: undefined }], bindings).map((binding) => binding.pod);

test.each([
  ['pod-receivers-4', 'veth-a . 10.0.0.1', 'x/a'],
  ['pod-ingress-6', 'fd00::1', 'x/a'],
  ['pod-senders-4', 'veth-b . 10.0.0.2', 'x/b'],
])('the pod behind a closed element of %s is found by %s', (map, key, name) => {
  expect(names(map, key)).toEqual([name]);
});

test('no pod stands behind an element of somebody else', () => {
  expect(names('pod-senders-4', 'veth-c . 10.0.0.3')).toEqual([]);
});
