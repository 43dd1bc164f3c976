import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createJudge } from '../../src/compiler/judge.ts';
import { diffFlows } from '../../src/explain/changes.ts';
import { createDirectory, toEnd } from '../../src/explain/ends.ts';
import type { Directory } from '../../src/explain/ends.ts';
import type { FlowBlock } from '../../src/explain/end-sets.ts';
import type { EndClass } from '../../src/explain/flow-ends.ts';
import { mapFlows } from '../../src/explain/matrix.ts';
import type { PortList } from '../../src/explain/port-table.ts';
import type { Flow, FlowEnd } from '../../src/model/flow.ts';
import { isPoliced } from '../../src/model/endpoint.ts';
import { familyOf, ipFamilies, ipToBigInt, parseIp } from '../../src/model/ip.ts';
import type { IpAddress, IpFamily } from '../../src/model/ip.ts';
import type { ClusterSnapshot } from '../../src/model/snapshot.ts';
import type { RawObject } from '../oracle/question.ts';
import { applyChange } from '../support/cluster-state.ts';
import { arbChanges } from './generators/changes.ts';
import { outsideAddresses, portNumbers } from './generators/roster.ts';
import { arbWorld } from './generators/world.ts';
import { decodeWorld } from './support/judges.ts';

// Every flow between every two ends, at every border of a port, in every family: nothing here is a sample of ours.

const borders = [...new Set([1, 65535, ...portNumbers.flatMap((port) => [port - 1, port, port + 1])])].filter(
  (port) => port >= 1 && port <= 65535,
);

const probes: readonly Pick<Flow, 'protocol' | 'port'>[] = [
  { protocol: 'ICMP' },
  ...(['TCP', 'UDP', 'SCTP'] as const).flatMap((protocol) => borders.map((port) => ({ protocol, port }))),
];

/** An end by a name that means the same in every state. */
interface NamedEnd {
  readonly name: string;
  readonly end: FlowEnd;
}

/** Pods by key, nodes by name and address, everything else by address. */
function endsOf(snapshot: ClusterSnapshot, directory: Directory, family: IpFamily): readonly NamedEnd[] {
  const ends: NamedEnd[] = [];
  for (const pod of snapshot.pods.values()) {
    if (!isPoliced(pod)) continue;
    const party = directory.podParty(pod);
    const end = toEnd(party, family);
    if (end !== undefined) ends.push({ name: pod.key, end });
  }
  for (const node of snapshot.nodes.values()) {
    for (const address of node.addresses) {
      if (familyOf(address) !== family) continue;
      ends.push({ name: `node ${node.name} ${address}`, end: { kind: 'node', name: node.name, address } });
    }
  }
  for (const text of outsideAddresses) {
    const address = parseIp(text)!;
    const party = directory.addressParty(address);
    if (familyOf(address) === family && party.kind === 'external')
      ends.push({ name: text, end: { kind: 'external', address } });
  }
  return ends;
}

function holds(end: EndClass, address: IpAddress, family: IpFamily): boolean {
  if (end.kind === 'pods') return false;
  const value = ipToBigInt(address);
  return (end.addressClass.intervals.get(family) ?? []).some(({ first, last }) => first <= value && value <= last);
}

/** The class of an end; `states` are the pod's nodes by state at the other end. */
function indexOf(
  ends: readonly EndClass[],
  { end }: NamedEnd,
  family: IpFamily,
  homes: readonly (string | undefined)[],
): number {
  const found = ends.flatMap((candidate, index): number[] => {
    switch (end.kind) {
      case 'pod':
        return candidate.kind === 'pods' &&
          candidate.members.some(({ key }) => key === end.pod.key) &&
          candidate.faces.has(family)
          ? [index]
          : [];
      case 'node': {
        const relation = homes.map((home) => (home === end.name ? 'own' : 'other'));
        return candidate.kind === 'nodes' &&
          candidate.relation.join() === relation.join() &&
          candidate.nodes.get(family)?.has(end.name ?? '') === true &&
          holds(candidate, end.address!, family)
          ? [index]
          : [];
      }
      case 'external':
        return candidate.kind === 'outside' && holds(candidate, end.address, family) ? [index] : [];
    }
  });
  expect(found, `classes of ${JSON.stringify(end)}`).toHaveLength(1);
  return found[0]!;
}

function inList(list: PortList, { protocol, port }: Pick<Flow, 'protocol' | 'port'>): boolean {
  if (port === undefined) return list.other;
  return list.ports.some((range) => range.protocol === protocol && range.from <= port && port <= range.to);
}

/** Blocks by pair of classes. */
function unfold<T>(blocks: readonly FlowBlock<T>[]): ReadonlyMap<string, readonly T[]> {
  const pairs = new Map<string, T[]>();
  for (const { from, to, fact } of blocks) {
    for (const i of from) for (const j of to) pairs.set(`${i} ${j}`, [...(pairs.get(`${i} ${j}`) ?? []), fact]);
  }
  return pairs;
}

const homeOf = ({ end }: NamedEnd): string | undefined => (end.kind === 'pod' ? end.pod.node : undefined);

describe('a map', () => {
  test('says of every flow what the judge says', { timeout: 0 }, () => {
    let flows = 0;
    fc.assert(
      fc.property(arbWorld(), ({ objects }) => {
        const snapshot = decodeWorld(objects);
        const directory = createDirectory(snapshot);
        const judge = createJudge(snapshot);
        const map = mapFlows(snapshot);
        const blocks = unfold(map.blocks());
        for (const family of ipFamilies) {
          const ends = endsOf(snapshot, directory, family);
          for (const from of ends) {
            for (const to of ends) {
              if (from.name === to.name || (from.end.kind !== 'pod' && to.end.kind !== 'pod')) continue;
              const i = indexOf(map.ends, from, family, [homeOf(to)]);
              const j = indexOf(map.ends, to, family, [homeOf(from)]);
              const facts = (blocks.get(`${i} ${j}`) ?? []).filter((fact) => (fact.family ?? family) === family);
              const cell = map.cell(i, j)!.filter((fact) => (fact.family ?? family) === family);
              for (const probe of probes) {
                const { verdict } = judge.judge({ from: from.end, to: to.end, family, ...probe });
                for (const list of [facts, cell]) {
                  const allowed = list.some((fact) => inList(fact.allowed, probe));
                  const unknown = list.some((fact) => inList(fact.unknown, probe));
                  const said = allowed ? 'allow' : unknown ? 'unknown' : 'deny';
                  if (said !== verdict)
                    throw new Error(`${from.name} -> ${to.name} ${JSON.stringify(probe)}: ${said}, not ${verdict}`);
                }
                flows += 1;
              }
            }
          }
        }
      }),
      { numRuns: Number(process.env['WORLDS'] ?? 30) },
    );
    expect(flows).toBeGreaterThan(10_000);
  });
});

/** A world, and the same world after some of its changes. */
const arbTwoStates: fc.Arbitrary<readonly [readonly RawObject[], readonly RawObject[]]> = arbWorld().chain((world) =>
  arbChanges(world).map((changes) => [world.objects, changes.reduce(applyChange, world.objects)] as const),
);

describe('a diff', () => {
  test('lists a flow if and only if its verdict changes', { timeout: 0 }, () => {
    const seen = { changed: 0, same: 0 };
    fc.assert(
      fc.property(arbTwoStates, (states) => {
        const snapshots = states.map(decodeWorld);
        const [before, after] = snapshots as [ClusterSnapshot, ClusterSnapshot];
        const diff = diffFlows(before, after);
        const changes = unfold(diff.flows);
        const judges = [createJudge(before), createJudge(after)] as const;
        const directories = [createDirectory(before), createDirectory(after)] as const;
        for (const family of ipFamilies) {
          const olds = endsOf(before, directories[0], family);
          const news = new Map(endsOf(after, directories[1], family).map((end) => [end.name, end]));
          const shared = olds.flatMap((old): (readonly [NamedEnd, NamedEnd])[] => {
            const now = news.get(old.name);
            return now === undefined ? [] : [[old, now]];
          });
          for (const from of shared) {
            for (const to of shared) {
              if (from[0].name === to[0].name || (from[0].end.kind !== 'pod' && to[0].end.kind !== 'pod')) continue;
              const i = indexOf(diff.ends, from[0], family, to.map(homeOf));
              const j = indexOf(diff.ends, to[0], family, from.map(homeOf));
              const facts = (changes.get(`${i} ${j}`) ?? []).filter((fact) => (fact.family ?? family) === family);
              for (const probe of probes) {
                const [was, is] = [0, 1].map(
                  (state) =>
                    judges[state]!.judge({ from: from[state]!.end, to: to[state]!.end, family, ...probe }).verdict,
                );
                const said = facts
                  .filter((fact) => inList(fact.ports, probe))
                  .map((fact) => `${fact.before} -> ${fact.after}`);
                const expected = was === is ? [] : [`${was} -> ${is}`];
                if (said.join() !== expected.join()) {
                  throw new Error(
                    `${from[0].name} -> ${to[0].name} ${family} ${JSON.stringify(probe)}: ${said.join()} not ${expected.join()}`,
                  );
                }
                seen[was === is ? 'same' : 'changed'] += 1;
              }
            }
          }
        }
      }),
      { numRuns: Number(process.env['WORLDS'] ?? 30) },
    );
    expect(seen.changed).toBeGreaterThan(500);
    expect(seen.same).toBeGreaterThan(10_000);
  });

  test('of a state with itself is empty', () => {
    fc.assert(
      fc.property(arbWorld(), ({ objects }) => {
        const { ends, ...rest } = diffFlows(decodeWorld(objects), decodeWorld(objects));
        expect(Object.values(rest).flat()).toEqual([]);
        expect(new Set(ends.map(({ name }) => name)).size).toBe(ends.length);
      }),
      { numRuns: 40 },
    );
  });
});

test('blocks of a class lie in the blocks that hold its addresses', () => {
  fc.assert(
    fc.property(arbWorld(), ({ objects }) => {
      for (const end of mapFlows(decodeWorld(objects)).ends) {
        if (end.kind !== 'outside') continue;
        for (const [family, address] of end.samples) expect(familyOf(address)).toBe(family);
        for (const key of end.addressClass.blocks) {
          const [cidr = ''] = key.split(' ');
          for (const address of end.samples.values()) {
            const [base = '', prefix = ''] = cidr.split('/');
            const first = ipToBigInt(parseIp(base)!);
            const size = 1n << BigInt((familyOf(address) === 'IPv4' ? 32 : 128) - Number(prefix));
            const value = ipToBigInt(address);
            expect(first <= value && value < first + size).toBe(true);
          }
        }
      }
    }),
    { numRuns: 40 },
  );
});
