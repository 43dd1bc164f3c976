import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { flattenAbove, intervalAbove, portSetAbove } from '../../src/compiler/lower.ts';
import type { Question, RawObject } from '../oracle/question.ts';
import { oracleJudge } from '../oracle/oracle.ts';
import { compileNodes, decodeWorld, evaluateJudge, simulateJudge } from './support/judges.ts';

// Small generated worlds never reach the sizes at which rules are merged into sets; these do.

const apps = ['a', 'b', 'c', 'd', 'e', 'f'];

const pods: readonly RawObject[] = apps.map((app, index) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name: app, namespace: 'x', labels: { app } },
  spec: {
    nodeName: index % 2 === 0 ? 'n1' : 'n2',
    containers: [{ name: 'c', ports: [{ name: 'web', containerPort: 80 + index, protocol: 'TCP' }] }],
  },
  status: { phase: 'Running', podIPs: [{ ip: `10.0.0.${index + 1}` }, { ip: `fd00::${index + 1}` }] },
}));

const surroundings: readonly RawObject[] = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'x', labels: {} } },
  {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n1' },
    status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] },
  },
  {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n2' },
    status: { addresses: [{ type: 'InternalIP', address: '192.0.2.2' }] },
  },
];

const arbProtocol = fc.constantFrom('TCP', 'UDP', 'SCTP');
const arbNumber = fc.integer({ min: 40, max: 140 }).map((half) => 2 * half);
const arbPort = fc.oneof(
  { weight: 5, arbitrary: fc.record({ protocol: arbProtocol, port: arbNumber }) },
  {
    weight: 8,
    arbitrary: fc
      .tuple(arbProtocol, arbNumber, fc.integer({ min: 0, max: 2 }))
      .map(([protocol, port, more]) => ({ protocol, port, endPort: port + more })),
  },
  { weight: 1, arbitrary: arbProtocol.map((protocol) => ({ protocol })) },
  { weight: 1, arbitrary: fc.constant({ protocol: 'TCP', port: 'web' }) },
);
const arbBlock = fc.oneof(
  fc
    .tuple(
      fc.integer({ min: 0, max: 15 }),
      fc.integer({ min: 26, max: 32 }),
      fc.array(fc.integer({ min: 0, max: 15 }), { maxLength: 3 }),
    )
    .map(([host, prefix, holes]) => {
      const base = (host >>> 0) & (prefix === 32 ? 0xff : (0xff << (32 - prefix)) & 0xff);
      const except = holes.filter((hole) => prefix < 32 && hole >> (32 - prefix) === base >> (32 - prefix));
      return { ipBlock: { cidr: `10.0.0.${base}/${prefix}`, except: except.map((hole) => `10.0.0.${hole}/32`) } };
    }),
  fc.integer({ min: 0, max: 9 }).map((host) => ({ ipBlock: { cidr: `fd00::${host}/128` } })),
);
const arbPeer = fc.oneof(
  {
    weight: 8,
    arbitrary: fc
      .subarray(apps, { minLength: 1, maxLength: 2 })
      .map((values) => ({ podSelector: { matchExpressions: [{ key: 'app', operator: 'In', values }] } })),
  },
  { weight: 2, arbitrary: arbBlock },
);
const arbRule = fc.tuple(
  fc.oneof(
    { weight: 8, arbitrary: fc.array(arbPeer, { minLength: 1, maxLength: 6 }) },
    { weight: 1, arbitrary: fc.constant([]) },
  ),
  fc.oneof(
    { weight: 8, arbitrary: fc.array(arbPort, { minLength: 1, maxLength: 40, size: 'max' }) },
    { weight: 1, arbitrary: fc.constant([]) },
  ),
);
const arbPolicies = fc.array(
  fc.tuple(fc.constantFrom('Ingress', 'Egress'), fc.array(arbRule, { minLength: 2, maxLength: 12 })),
  {
    minLength: 1,
    maxLength: 4,
  },
);
const ends = ['x/a', 'x/b', 'x/c', 'x/d', '10.0.0.9', '10.0.0.14', 'fd00::9', 'node/n1', 'node/n2'];
const arbQuestion = fc.record({
  from: fc.constantFrom(...ends),
  to: fc.constantFrom('x/a', 'x/b', 'x/e'),
  port: fc.integer({ min: 78, max: 286 }),
  protocol: fc.constantFrom('TCP' as const, 'UDP' as const, 'SCTP' as const),
  family: fc.constantFrom('IPv4' as const, 'IPv6' as const),
});

function toPolicies(drawn: typeof arbPolicies extends fc.Arbitrary<infer T> ? T : never): readonly RawObject[] {
  return drawn.map(([direction, rules], index) => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: `p${index}`, namespace: 'x' },
    spec: {
      podSelector: {},
      policyTypes: [direction],
      [direction.toLowerCase()]: rules.map(([peers, ports]) => ({
        [direction === 'Ingress' ? 'from' : 'to']: peers,
        ports,
      })),
    },
  }));
}

function canAsk({ from, family }: Question): boolean {
  if (from.includes('/')) return !from.startsWith('node/') || family === 'IPv4';
  return from.includes(':') === (family === 'IPv6');
}

test('policies large enough to be merged into sets mean the same as their rules', () => {
  const seen = { flat: 0, blocks: 0, ports: 0, worlds: 0 };
  fc.assert(
    fc.property(arbPolicies, fc.array(arbQuestion, { minLength: 60, maxLength: 60 }), (drawn, questions) => {
      const objects = [...surroundings, ...pods, ...toPolicies(drawn)];
      const asked = questions.filter(canAsk);
      const expected = oracleJudge(objects, asked);
      expect(evaluateJudge(objects, asked)).toEqual(expected);
      expect(simulateJudge('routed')(objects, asked)).toEqual(expected);
      expect(simulateJudge('bridged')(objects, asked)).toEqual(expected);
      const names = [...compileNodes(decodeWorld(objects), 'routed').values()].flatMap(({ ruleset }) => [
        ...(ruleset.get('inet')?.sets.keys() ?? []),
      ]);
      seen.worlds += 1;
      for (const kind of ['flat', 'blocks', 'ports'] as const) {
        if (names.some((name) => name.startsWith(`${kind}-`))) seen[kind] += 1;
      }
    }),
    { numRuns: 60 },
  );
  // Every way of merging was met often; else the sizes above no longer reach the thresholds.
  expect([flattenAbove, intervalAbove, portSetAbove]).toEqual([8, 16, 8]);
  expect(seen.worlds).toBeGreaterThanOrEqual(60);
  expect(Math.min(seen.flat, seen.blocks, seen.ports)).toBeGreaterThan(seen.worlds / 5);
});
