import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';

import { compileNode } from '../src/compiler/compile.ts';
import type { NodeShape, PodBinding } from '../src/model/binding.ts';
import { parseCidr } from '../src/model/cidr.ts';
import { isPoliced } from '../src/model/endpoint.ts';
import type { ClusterSnapshot } from '../src/model/snapshot.ts';
import { loadManifests } from '../src/source/manifests/files.ts';
import { snapshotOf } from '../src/source/store.ts';
import { printRuleset } from './support/print-ruleset.ts';

const root = join(import.meta.dirname, '..');

/** Goldens hold our own text and nothing that depends on the kernel: `npm run fixtures:update` rewrites them. */
function expectGolden(name: string, text: string): void {
  const file = join(root, 'test/fixtures/golden', name);
  if (process.env['UPDATE_GOLDENS'] === '1') {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
  expect(existsSync(file), `${relative(root, file)} is missing: npm run fixtures:update`).toBe(true);
  expect(text).toBe(readFileSync(file, 'utf8'));
}

function loadExample(name: string): ClusterSnapshot {
  const { objects, diagnostics } = loadManifests({ paths: [join(root, 'examples', name)], recursive: false });
  expect(diagnostics).toEqual([]);
  return snapshotOf(objects.map(({ object }) => object));
}

function bindPods(snapshot: ClusterSnapshot, attachment: PodBinding['attachment']): PodBinding[] {
  return [...snapshot.pods.values()].filter(isPoliced).map(({ key, uid, name, addresses }, index) => ({
    pod: key,
    uid,
    interface: `veth-${name}`,
    mac: `02:00:00:00:00:0${index + 1}`,
    addresses,
    attachment,
  }));
}

const podCidrs = [parseCidr('10.244.1.0/24')!.cidr, parseCidr('fd00:10:244:1::/64')!.cidr];

const shapes: readonly { readonly name: string; readonly shape: NodeShape; readonly at: PodBinding['attachment'] }[] = [
  { name: 'routed', shape: { routed: ['veth*'], bridges: [] }, at: { kind: 'routed' } },
  {
    name: 'bridged',
    shape: { routed: [], bridges: [{ name: 'cni0', ports: { kind: 'pattern', pattern: 'veth*' }, podCidrs }] },
    at: { kind: 'bridged', bridge: 'cni0' },
  },
];

describe('the ruleset of an example', () => {
  test.each(shapes)('01-database-api, $name, is the golden one', ({ name, shape, at }) => {
    const snapshot = loadExample('01-database-api');
    const ruleset = compileNode({ snapshot, bindings: bindPods(snapshot, at), shape });
    expectGolden(`database-api.${name}.nft`, printRuleset(ruleset));
  });
});
