import { setTimeout as sleep } from 'node:timers/promises';

import { describe, expect, test } from 'vitest';

import { decodeObject } from '../../src/model/decode/object.ts';
import { httpsAccess } from '../../src/source/kubernetes/https-access.ts';
import type { Codec } from '../../src/source/kubernetes/codec.ts';
import { jsonCodec } from '../../src/source/kubernetes/json-codec.ts';
import { KubernetesSource } from '../../src/source/kubernetes/kubernetes-source.ts';
import { podProtobufCodec } from '../../src/source/kubernetes/protobuf-codec.ts';
import { policedPods, resourceOf } from '../../src/source/kubernetes/resource.ts';
import type { Resource } from '../../src/source/kubernetes/resource.ts';
import { sameContent } from '../../src/source/same-content.ts';
import { CheckedSink } from '../api-server/checked-sink.ts';
import { Churn } from '../api-server/churn.ts';
import { harmlessFaults, SeededFaults } from '../api-server/faults.ts';
import { between, seededRandom } from '../api-server/random.ts';
import type { Random } from '../api-server/random.ts';
import { fieldFilter } from '../api-server/selectors.ts';
import { TestApiServer } from '../api-server/server.ts';
import type { Plural } from '../api-server/truth.ts';

/** `CHAOS_SEEDS=200` for a long run, `CHAOS_SEED=17` for one. */
const count = Number(process.env['CHAOS_SEEDS'] ?? '10');
const only = process.env['CHAOS_SEED'];
const seeds = only === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [Number(only)];
const steps = Number(process.env['CHAOS_STEPS'] ?? '500');

const followed: readonly [Plural, 'Pod' | 'Namespace' | 'NetworkPolicy'][] = [
  ['pods', 'Pod'],
  ['namespaces', 'Namespace'],
  ['networkpolicies', 'NetworkPolicy'],
];

const codecOf = (resource: Resource): Codec => (resource.kind === 'Pod' ? podProtobufCodec() : jsonCodec(resource));

const injected = new Set<string>();

describe('after any faults, server truth == store == what changes alone say', () => {
  // Every third seed takes pods as protobuf.
  test.each(seeds)('seed %i', async (seed) => {
    const protobuf = seed % 3 === 0;
    const random = seededRandom(seed);
    const slowness = await measureSlowness();
    const server = new TestApiServer({ bookmarkMs: 40, random: seededRandom(seed + 1) });
    await server.start();
    const sink = new CheckedSink();
    const abort = new AbortController();
    const access = httpsAccess(server.url, {
      read: () =>
        Promise.resolve({ tls: { ca: server.authority.cert }, headers: { authorization: 'Bearer test-token' } }),
      invalidate: () => undefined,
    });
    const source = new KubernetesSource({
      access,
      resources: followed.map(([, kind]) => resourceOf(kind, kind === 'Pod' ? policedPods : undefined)),
      ...(protobuf && { codec: codecOf }),
      random: seededRandom(seed + 2),
      pageSize: 10,
      deadlines: {
        spreadMs: 10,
        headersMs: 120 * slowness,
        stallMs: 400 * slowness,
        initialIdleMs: 150 * slowness,
        initialMs: 800 * slowness,
        preferPagesMs: 500,
        backoffFirstMs: 3,
        backoffMaxMs: 40,
        watchSeconds: 2,
      },
    });
    const churn = new Churn(server.truth, random, { poison: !protobuf });
    const plan = new SeededFaults(seededRandom(seed + 3), 0.4);
    for (let i = 0; i < 60; i++) churn.step();
    server.plan = plan;
    const running = source.run(sink, abort.signal);
    try {
      for (let step = 0; step < steps; step++) {
        for (let burst = between(random, 0, 10); burst > 0; burst--) churn.step();
        if (random() < 0.05) await upset(server, random, sink, churn);
        await sleep(between(random, 1, 8));
      }
      server.plan = undefined;
      const wrong = (): string[] => [
        ...differences(server, sink),
        ...source.health().flatMap(({ kind, state }) => (state === 'watching' ? [] : [`${kind} is ${state}`])),
      ];
      await quiet(wrong);
      expect(wrong()).toEqual([]);

      // Changes after the storm, under faults that a watch survives: equal again, and without a new list.
      churn.heal();
      await quiet(wrong);
      const resyncs = (): string[] =>
        [...source.counters()].map(([kind, counters]) => `${kind} ${JSON.stringify([...counters.resyncs])}`);
      const before = resyncs();
      server.plan = new SeededFaults(seededRandom(seed + 4), 0.4, harmlessFaults);
      for (let step = 0; step < 150; step++) {
        churn.step();
        if (step % 10 === 0) server.endWatches();
        await sleep(2);
      }
      server.plan = undefined;
      await quiet(wrong);
      expect(wrong()).toEqual([]);
      expect(resyncs()).toEqual(before);
      expect(sink.violations).toEqual([]);
      for (const kind of plan.injected.keys()) injected.add(kind);
      if (only !== undefined) console.log(churn.mutations, plan.injected, source.counters());
    } finally {
      abort.abort();
      await running;
      access.close();
      await server.stop();
    }
  });
});

test.skipIf(seeds.length < 10)('every kind of fault was met', () => {
  expect([...injected].sort()).toEqual([
    'close',
    'corrupt',
    'error-event',
    'garbage',
    'hang-before-headers',
    'refuse-watch-list',
    'reset',
    'reset-before-headers',
    'silence',
    'slow',
    'stale',
    'stall',
    'status',
    'truncate',
    'withhold-end',
  ]);
});

/** Something that hits every watch at once. */
async function upset(server: TestApiServer, random: Random, sink: CheckedSink, churn: Churn): Promise<void> {
  switch (between(random, 0, 6)) {
    case 0:
      server.dropConnections();
      return;
    case 1:
      server.endWatches();
      return;
    case 2:
      server.truth.compact();
      server.endWatches();
      return;
    case 3:
      server.expireContinueTokens();
      return;
    case 4:
      server.watchList = !server.watchList;
      return;
    case 5:
      await server.stop();
      for (let i = 0; i < 20; i++) churn.step();
      await sleep(between(random, 1, 100));
      server.truth.compact();
      await server.start();
      return;
    default:
      await restore(server, random, sink);
  }
}

/**
 * A backup is restored. Nobody can tell its versions from those that are gone once they overtake them, so nothing is
 * written until every kind has been listed anew.
 */
async function restore(server: TestApiServer, random: Random, sink: CheckedSink): Promise<void> {
  const { truth } = server;
  if (!followed.every(([, kind]) => sink.store.inSync([kind]))) return;
  await server.stop();
  const calls = sink.calls.length;
  const requests = server.requests.length;
  truth.restore(Math.max(truth.compacted, truth.revision - between(random, 1, 200)));
  await server.start();
  const plan = server.plan;
  server.plan = undefined;
  const relisted = (kind: string): boolean => sink.calls.lastIndexOf(`end ${kind}`) >= calls;
  const neverAhead = (plural: Plural): boolean => {
    const last = server.requests.slice(requests).findLast((request) => request.plural === plural);
    return last !== undefined && Number(last.query.get('resourceVersion') ?? 'NaN') <= truth.revision;
  };
  const ahead = (): string[] =>
    followed.filter(([plural, kind]) => !relisted(kind) && !neverAhead(plural)).map(([plural]) => plural);
  await quiet(ahead);
  expect(ahead()).toEqual([]);
  server.plan = plan;
}

/**
 * How many times longer than on an idle machine things take here. Deadlines are multiplied by it: they are as short as
 * an idle machine can keep, and a missed one is a fault nobody injected.
 */
async function measureSlowness(): Promise<number> {
  let worstMs = 0;
  for (let i = 0; i < 30; i++) {
    const start = performance.now();
    await sleep(2);
    worstMs = Math.max(worstMs, performance.now() - start - 2);
  }
  return Math.min(20, Math.max(1, worstMs / 10));
}

/** Waits until nothing is left to wait for, or long enough to be sure that it never will. */
async function quiet(left: () => readonly string[]): Promise<void> {
  const until = Date.now() + 60_000;
  while (left().length > 0 && Date.now() < until) await sleep(10);
}

/** Objects that are not the same in the server, in the store and in the state derived from changes. */
function differences(server: TestApiServer, sink: CheckedSink): string[] {
  const wanted = new Map<string, unknown>();
  for (const [plural, kind] of followed) {
    const passes = fieldFilter(plural === 'pods' ? policedPods : null);
    for (const object of server.truth.list(plural).filter((object) => passes(object))) {
      const decoded = decodeObject(object, { kind: 'cluster', resourceVersion: object.metadata.resourceVersion });
      if (decoded.object !== undefined) wanted.set(`${kind} ${decoded.object.uid}`, decoded.object);
    }
  }
  const snapshot = sink.store.snapshot();
  const stored = new Map<string, unknown>();
  for (const object of [...snapshot.pods.values(), ...snapshot.namespaces.values(), ...snapshot.policies.values()]) {
    stored.set(`${object.kind} ${object.uid}`, object);
  }
  const found: string[] = [];
  for (const key of new Set([...wanted.keys(), ...stored.keys(), ...sink.derived.keys()])) {
    const values = [wanted.get(key), stored.get(key), sink.derived.get(key)];
    if (!values.every((value) => sameContent(value, values[0]))) {
      found.push(`${key}: server ${wanted.has(key)}, store ${stored.has(key)}, changes ${sink.derived.has(key)}`);
    }
  }
  return found;
}
