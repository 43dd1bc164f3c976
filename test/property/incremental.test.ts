import fc from 'fast-check';
import { expect, test } from 'vitest';

import { compileNode } from '../../src/compiler/compile.ts';
import { elementChanges } from '../../src/compiler/element-set.ts';
import { defaultOptions } from '../../src/compiler/options.ts';
import type { EnforcementOptions } from '../../src/compiler/options.ts';
import type { DesiredTable, Ruleset } from '../../src/compiler/ruleset.ts';
import { NodeCompiler } from '../../src/controller/node-compiler.ts';
import type { NodeShape, PodBinding } from '../../src/model/binding.ts';
import { toCidr } from '../../src/model/cidr.ts';
import { decodeObject } from '../../src/model/decode/object.ts';
import { isPoliced } from '../../src/model/endpoint.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { nodeName } from '../../src/model/names.ts';
import type { ModelObject } from '../../src/model/snapshot.ts';
import { addressOwners } from '../../src/selector/address-owners.ts';
import { Store } from '../../src/source/store.ts';
import type { RawObject } from '../oracle/question.ts';
import { applyChange, refOf } from '../support/cluster-state.ts';
import type { Change } from '../support/cluster-state.ts';
import { arbChanges } from './generators/changes.ts';
import { arbWorld } from './generators/world.ts';
import type { GeneratedWorld } from './generators/world.ts';

/** How the host looks at one moment: pods at these positions have an interface, in this way. */
interface HostDraft {
  readonly shape: 'routed' | 'bridged' | 'both';
  /** By position among the pods in order of their names. */
  readonly pods: readonly ('absent' | 'bound' | 'one address' | 'other uid')[];
}

/** What happens to a node: the API shows a change, or the host looks different; the ruleset is read, or not yet. */
interface Moment {
  readonly change?: Change;
  readonly host?: HostDraft;
  /** Names that get a new uid: the object was deleted and created again. */
  readonly recreated: boolean;
  readonly read: boolean;
}

interface NodeHistory {
  readonly world: GeneratedWorld;
  readonly moments: readonly Moment[];
  readonly options: EnforcementOptions;
}

const arbHost: fc.Arbitrary<HostDraft> = fc.record({
  shape: fc.constantFrom('routed', 'routed', 'bridged', 'both'),
  pods: fc.array(
    fc.constantFrom('bound' as const, 'bound' as const, 'bound' as const, 'absent', 'one address', 'other uid'),
    {
      minLength: 7,
      maxLength: 7,
    },
  ),
});

const arbOptions: fc.Arbitrary<EnforcementOptions> = fc.record({
  ...Object.fromEntries(Object.entries(defaultOptions).map(([key, value]) => [key, fc.constant(value)])),
  policeNodeEgress: fc.boolean(),
  unknownPods: fc.constantFrom('drop', 'accept'),
}) as fc.Arbitrary<EnforcementOptions>;

const arbHistory: fc.Arbitrary<NodeHistory> = arbWorld().chain((world) =>
  fc.record({
    world: fc.constant(world),
    options: arbOptions,
    moments: fc
      .tuple(
        arbChanges(world),
        fc.array(
          fc.record({
            host: fc.option(arbHost, { nil: undefined, freq: 3 }),
            recreated: fc.boolean(),
            read: fc.boolean(),
          }),
          { minLength: 6, maxLength: 6 },
        ),
        arbHost,
      )
      .map(([changes, drafts, first]) => [
        { host: first, recreated: false, read: true },
        ...changes.map((change, index): Moment => {
          const { host, recreated = false, read = true } = drafts[index] ?? {};
          return { change, recreated, read, ...(host === undefined ? {} : { host }) };
        }),
      ]),
  }),
);

const shapes: { readonly [S in HostDraft['shape']]: NodeShape } = {
  routed: { routed: ['veth*'], bridges: [] },
  bridged: { routed: [], bridges: [bridge()] },
  both: { routed: [], anyVeth: true, bridges: [bridge()] },
};

function bridge(): NodeShape['bridges'][number] {
  return { name: 'cni0', ports: { kind: 'pattern', pattern: 'port*' }, podCidrs: [toCidr('IPv4', 0x0af40000n, 16)] };
}

/** A store that is fed raw objects, with a compiler that hears of every change and the reference beside it. */
class Bench {
  readonly store: Store = new Store();
  readonly compiler: NodeCompiler;
  readonly #options: EnforcementOptions;
  #objects: readonly RawObject[] = [];
  #draft: HostDraft = { shape: 'routed', pods: [] };
  #bindings: readonly PodBinding[] = [];
  #uids = 0;

  constructor(options: EnforcementOptions) {
    this.#options = options;
    this.compiler = new NodeCompiler({ node: nodeName('n1'), enforcement: options });
    this.store.listen({ changed: (change) => this.compiler.changed(change) });
  }

  apply(change: Change, { recreated }: { readonly recreated: boolean }): void {
    this.#objects = applyChange(this.#objects, change);
    for (const ref of change.delete) {
      for (const [kind, shelf] of Object.entries(shelves)) {
        if (kind !== ref.kind) continue;
        const name = ref.namespace === undefined ? ref.name : `${ref.namespace}/${ref.name}`;
        const present = this.store.snapshot()[shelf] as ReadonlyMap<string, ModelObject>;
        const object = present.get(name);
        if (object !== undefined) this.store.remove(object.kind, object.uid);
      }
    }
    for (const raw of change.apply) {
      const uid = recreated ? `${refOf(raw).kind}-${this.#uids++}` : undefined;
      const object = decode(uid === undefined ? raw : { ...raw, metadata: { ...Object(raw['metadata']), uid } });
      if (object !== undefined) this.store.upsert(object);
    }
  }

  setHost(draft: HostDraft): void {
    this.#draft = draft;
    this.#bindings = this.#bind();
    this.compiler.setHost(this.#bindings, shapes[draft.shape]);
  }

  reference(): Ruleset {
    return compileNode({
      snapshot: this.store.snapshot(),
      bindings: this.#bindings,
      shape: shapes[this.#draft.shape],
      options: this.#options,
      node: nodeName('n1'),
    });
  }

  /** Pods of node n1 with the addresses they own, from scratch. */
  localPods(): readonly Endpoint[] {
    const { pods } = this.store.snapshot();
    const owners = addressOwners(pods.values());
    return [...pods.values()]
      .filter((pod) => pod.node === 'n1' && isPoliced(pod))
      .map((pod) => ({ ...pod, addresses: pod.addresses.filter((address) => owners.get(address) === pod) }));
  }

  /** Takes everything away. */
  clear(): void {
    for (const kind of ['Pod', 'Namespace', 'NetworkPolicy', 'Node'] as const) {
      this.store.beginList(kind);
      this.store.endList(kind);
    }
    this.compiler.setHost([], shapes[this.#draft.shape]);
    this.#bindings = [];
  }

  #bind(): readonly PodBinding[] {
    const pods = [...this.store.snapshot().pods.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
    return pods.flatMap((pod, index): PodBinding[] => {
      const state = this.#draft.pods[index] ?? 'absent';
      if (state === 'absent') return [];
      const routed = this.#draft.shape === 'routed' || (this.#draft.shape === 'both' && index % 2 === 0);
      return [
        {
          pod: pod.key,
          uid: state === 'other uid' ? 'nobody' : pod.uid,
          interface: `${routed ? 'veth' : 'port'}${pod.key.replace('/', '')}`,
          mac: `02:00:00:00:00:0${index}`,
          addresses: state === 'one address' ? pod.addresses.slice(0, 1) : pod.addresses,
          attachment: routed ? { kind: 'routed' } : { kind: 'bridged', bridge: 'cni0' },
        },
      ];
    });
  }
}

const shelves = { Pod: 'pods', Namespace: 'namespaces', NetworkPolicy: 'policies', Node: 'nodes' } as const;

function decode(raw: RawObject): ModelObject | undefined {
  return decodeObject(raw, { kind: 'cluster', resourceVersion: '1' }).object;
}

/** A ruleset as plain data in a defined order, so that two of them compare whole. */
function plain(ruleset: Ruleset): unknown {
  return [...ruleset.values()].map(({ family, sets, maps, chains }) => ({
    family,
    sets: [...sets.values()].map((set) => ({ ...set, elements: [...set.elements].sort() })).sort(byName),
    maps: [...maps.values()].map((map) => ({ ...map, elements: [...map.elements].sort(byKey) })).sort(byName),
    chains: [...chains.values()].sort(byName),
  }));
}

function byPod(a: Endpoint, b: Endpoint): number {
  return a.key < b.key ? -1 : 1;
}

function byKey([a]: readonly [string, unknown], [b]: readonly [string, unknown]): number {
  return a < b ? -1 : 1;
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}

function replay(history: NodeHistory, read: (bench: Bench) => void): Bench {
  const bench = new Bench(history.options);
  bench.apply({ delete: [], apply: history.world.objects }, { recreated: false });
  for (const moment of history.moments) {
    if (moment.change !== undefined) bench.apply(moment.change, moment);
    if (moment.recreated) bench.compiler.localPods();
    if (moment.host !== undefined) bench.setHost(moment.host);
    if (moment.read) read(bench);
  }
  read(bench);
  return bench;
}

const parts = ['sets', 'maps', 'chains'] as const;

/** Counts what two tables share, and names what they should share and do not. */
function unshared(before: DesiredTable, after: DesiredTable): readonly string[] {
  const wrong: string[] = [];
  for (const part of parts) {
    for (const [name, value] of after[part]) {
      const known = before[part].get(name);
      if (known === undefined || known === value) continue;
      const text = (object: object): string =>
        JSON.stringify(object, (_, field: unknown) =>
          typeof field === 'object' && field !== null && Symbol.iterator in field && !Array.isArray(field)
            ? [...(field as Iterable<unknown>)].map((item) => JSON.stringify(item)).sort()
            : field,
        );
      if (text(known) === text(value)) wrong.push(`${part} ${name}`);
    }
  }
  return wrong;
}

test('after any sequence of changes the ruleset is the one compiled from scratch', () => {
  let reads = 0;
  let elements = 0;
  fc.assert(
    fc.property(arbHistory, (history) => {
      replay(history, (bench) => {
        expect(plain(bench.compiler.ruleset())).toEqual(plain(bench.reference()));
        expect(bench.compiler.localPods().toSorted(byPod)).toEqual(bench.localPods().toSorted(byPod));
        reads += 1;
        elements += bench.compiler.stats().elements;
      });
    }),
    { numRuns: 400 },
  );
  expect(reads).toBeGreaterThan(1000);
  expect(elements).toBeGreaterThan(1000);
});

test('what did not change is the same object, and element sets know their changes', () => {
  let sharedTables = 0;
  let deltas = 0;
  fc.assert(
    fc.property(arbHistory, (history) => {
      let before: { readonly ruleset: Ruleset; readonly content: unknown } | undefined;
      replay(history, (bench) => {
        const ruleset = bench.compiler.ruleset();
        expect(bench.compiler.ruleset()).toBe(ruleset);
        for (const [family, table] of before?.ruleset ?? []) {
          const now = ruleset.get(family);
          if (now === undefined) continue;
          expect(unshared(table, now)).toEqual([]);
          if (parts.some((part) => table[part] === now[part])) sharedTables += 1;
          for (const [name, { elements }] of table.sets) {
            const later = now.sets.get(name)?.elements;
            const changes = later === undefined ? undefined : elementChanges(elements, later);
            if (later === undefined || changes === undefined) continue;
            if (later !== elements) deltas += 1;
            expect([...changes.added].sort()).toEqual([...later].filter((element) => !elements.has(element)).sort());
            expect([...changes.removed].sort()).toEqual([...elements].filter((element) => !later.has(element)).sort());
          }
        }
        if (before !== undefined) expect(plain(before.ruleset)).toEqual(before.content);
        before = { ruleset, content: plain(ruleset) };
      });
    }),
    { numRuns: 200 },
  );
  expect(sharedTables).toBeGreaterThan(100);
  expect(deltas).toBeGreaterThan(20);
});

test('the order of changes and of reads does not matter', () => {
  fc.assert(
    fc.property(arbHistory, fc.infiniteStream(fc.nat()), (history, numbers) => {
      const bench = replay(history, () => undefined);
      const draft = history.moments.findLast(({ host }) => host !== undefined)?.host;
      const snapshot = bench.store.snapshot();
      const objects = Object.values(shelves).flatMap((shelf): ModelObject[] => [...snapshot[shelf].values()]);
      const order = objects.map((object) => ({ object, rank: numbers.next().value })).sort((a, b) => a.rank - b.rank);
      const other = new Bench(history.options);
      other.compiler.setHost([], shapes.routed);
      for (const { object, rank } of order) {
        other.store.upsert(object);
        if (rank % 3 === 0) other.compiler.ruleset();
      }
      bench.setHost(draft!);
      other.setHost(draft!);
      expect(plain(other.compiler.ruleset())).toEqual(plain(bench.compiler.ruleset()));
    }),
    { numRuns: 100 },
  );
});

test('nothing is left when everything is gone', () => {
  fc.assert(
    fc.property(arbHistory, (history) => {
      const bench = replay(history, ({ compiler }) => compiler.ruleset());
      bench.clear();
      expect(plain(bench.compiler.ruleset())).toEqual(plain(bench.reference()));
      expect([...new Set(Object.values(bench.compiler.stats()))]).toEqual([0]);
    }),
    { numRuns: 100 },
  );
});
