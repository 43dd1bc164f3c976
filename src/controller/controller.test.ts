import { setImmediate } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { defaultOptions } from '../compiler/options.ts';
import type { Ruleset } from '../compiler/ruleset.ts';
import type { Clock } from '../enforcer/clock.ts';
import type { HostFacts } from '../host/facts.ts';
import type { BridgeNetfilterResult } from '../host/kernel-settings.ts';
import { sampleFacts, samplePod, sampleRoute, sampleVeth } from '../host/sample-facts.ts';
import { decodeObject } from '../model/decode/object.ts';
import { nodeName } from '../model/names.ts';
import { Store } from '../source/store.ts';
import { Controller, requiredKinds } from './controller.ts';
import { NodeCompiler } from './node-compiler.ts';

/** Time that passes only when a test says so. */
class ManualClock implements Clock {
  #now = 1;
  readonly #sleepers = new Set<{ readonly at: number; readonly wake: () => void }>();

  now(): number {
    return this.#now;
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const sleeper = { at: this.#now + ms, wake: resolve };
    this.#sleepers.add(sleeper);
    signal?.addEventListener('abort', () => resolve(), { once: true });
    await promise;
    this.#sleepers.delete(sleeper);
  }

  async advance(ms: number): Promise<void> {
    this.#now += ms;
    for (const sleeper of this.#sleepers) if (sleeper.at <= this.#now) sleeper.wake();
    await settled();
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await setImmediate();
}

const routed = sampleFacts({
  links: [sampleVeth('veth1', 11)],
  routes: [sampleRoute('10.244.1.5', 'veth1')],
  config: { file: '10-lab.conflist', network: 'lab', plugins: ['ptp'], podCidrs: [] },
});
const empty: HostFacts = { ...routed, links: [], routes: [] };
const bridge = sampleFacts({
  config: { file: 'b.conflist', network: 'lab', plugins: ['bridge'], bridge: 'cni0', podCidrs: [] },
});

const denyAll = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'deny', namespace: 'default' },
  spec: { podSelector: {} },
};

describe('the controller', () => {
  let facts: HostFacts;
  let looks: (HostFacts | undefined)[];
  let netfilter: BridgeNetfilterResult;
  let netfilterChecks: number;
  let asked: string[];
  let given: Ruleset[];
  let hosts: string[][];
  let hostFails: boolean;
  const store = (): Store => controllerStore;
  let controllerStore: Store;
  let clock: ManualClock;
  let controller: Controller;
  let stop: AbortController;
  let running: Promise<void>;

  beforeEach(() => {
    facts = routed;
    looks = [];
    netfilter = { kind: 'on', changed: [] };
    netfilterChecks = 0;
    asked = [];
    given = [];
    hosts = [];
    hostFails = false;
    controllerStore = new Store();
    clock = new ManualClock();
    const compiler = new NodeCompiler({ node: nodeName('node1'), enforcement: defaultOptions });
    const setHost = compiler.setHost.bind(compiler);
    compiler.setHost = (bindings, shape) => {
      hosts.push(bindings.map(({ pod }) => pod));
      setHost(bindings, shape);
    };
    controller = new Controller({
      node: nodeName('node1'),
      store: controllerStore,
      compiler,
      enforcer: {
        setDesired: (ruleset) => {
          if (given.at(-1) !== ruleset) given.push(ruleset);
        },
        status: () => ({ desiredGeneration: given.length }),
      },
      host: {
        collect: (previous) => {
          looks.push(previous);
          return hostFails ? Promise.reject(new Error('ip is gone')) : Promise.resolve(facts);
        },
        ensureBridgeNetfilter: () => {
          netfilterChecks += 1;
          return Promise.resolve(netfilter);
        },
        askNeighbours: (pods) => {
          asked.push(...pods.map(({ key }) => key));
          return Promise.resolve(pods.length);
        },
      },
      clock,
    });
    stop = new AbortController();
    running = controller.run(stop.signal);
  });
  afterEach(async () => {
    stop.abort();
    await running;
  });

  const sync = async (): Promise<void> => {
    for (const kind of requiredKinds) {
      store().beginList(kind);
      if (kind === 'Pod') store().upsert(samplePod('a', ['10.244.1.5']));
      store().endList(kind);
    }
    await settled();
  };

  test('writes nothing and looks at nothing before all three kinds are in sync', async () => {
    store().beginList('Pod');
    store().upsert(samplePod('a', ['10.244.1.5']));
    store().endList('Pod');
    await clock.advance(120_000);
    expect([looks.length, given.length]).toEqual([0, 0]);
    await sync();
    expect(given.length).toBeGreaterThan(0);
    expect(hosts.at(-1)).toEqual(['default/a']);
  });

  test('a pod keeps its rules when the node shows no route to it for a moment', async () => {
    await sync();
    facts = { ...routed, routes: [] };
    controller.hostChanged();
    await settled();
    expect(hosts.at(-1)).toEqual(['default/a']);
    facts = empty;
    controller.hostChanged();
    await settled();
    expect(hosts.at(-1)).toEqual([]);
  });

  test('neither looks nor writes when labels or pods of other nodes change without effect', async () => {
    await sync();
    const before = [looks.length, hosts.length];
    const rulesets = given.length;
    store().upsert(samplePod('a', ['10.244.1.5'], { labels: new Map([['app', 'b']]) }));
    store().upsert(samplePod('far', ['10.244.2.5'], { node: nodeName('node2') }));
    await settled();
    expect([looks.length, hosts.length]).toEqual(before);
    expect(given.length).toBe(rulesets);
    expect(controller.status().generation).toBe(store().snapshot().generation);
  });

  test('looks again at once when a local pod comes that the last look cannot place', async () => {
    facts = empty;
    await sync();
    expect(controller.status().interfaceProblems.map(({ code }) => code)).toEqual(['pod-interface-missing']);
    facts = routed;
    store().upsert(samplePod('a', []));
    store().upsert(samplePod('a', ['10.244.1.5']));
    await settled();
    expect(controller.status().bindings.map((binding) => binding.interface)).toEqual(['veth1']);
  });

  test('trusts nothing it saw before once a minute, and its last look otherwise', async () => {
    await sync();
    controller.hostChanged();
    await settled();
    await clock.advance(60_000);
    expect(looks).toEqual([undefined, routed, undefined]);
  });

  test('looks again later and later while a pod has no interface', async () => {
    facts = empty;
    await sync();
    const first = looks.length;
    await clock.advance(100);
    expect(looks.length).toBe(first + 1);
    await clock.advance(100);
    expect(looks.length).toBe(first + 1);
    await clock.advance(100);
    expect(looks.length).toBe(first + 2);
  });

  test('takes an address from a pod that lost its claim to a newer one', async () => {
    await sync();
    store().upsert(samplePod('b', ['10.244.1.5'], { createdAtMs: 5 }));
    await settled();
    expect(hosts.at(-1)).toEqual(['default/b']);
    expect(controller.owner('10.244.1.5' as never)?.key).toBe('default/b');
    store().remove('Pod', 'uid-b');
    await settled();
    expect(hosts.at(-1)).toEqual(['default/a']);
  });

  test('warns of a name that no Node has, until it is told otherwise', async () => {
    for (const kind of ['Node', ...requiredKinds] as const) {
      store().beginList(kind);
      if (kind === 'Pod') store().upsert(samplePod('far', ['10.244.2.5'], { node: nodeName('node2') }));
      store().endList(kind);
    }
    await settled();
    expect(given.length).toBeGreaterThan(0);
    expect(controller.status().refusals.map(({ code, severity }) => [code, severity])).toEqual([
      ['node-unknown', 'warn'],
    ]);
    store().upsert(samplePod('near', ['10.244.1.5']));
    await settled();
    expect(controller.status().refusals).toEqual([]);
  });

  test('gives a refused node nothing, keeps saying so, and goes on once it is fixed', async () => {
    facts = sampleFacts({ ...routed, links: [...routed.links, sampleVeth('kube-ipvs0', 12, { kind: 'dummy' })] });
    await sync();
    expect(given).toEqual([]);
    expect(controller.status().refusals.map(({ code }) => code)).toEqual(['kube-proxy-ipvs']);
    facts = routed;
    controller.hostChanged();
    await settled();
    expect(given.length).toBeGreaterThan(0);
    expect(controller.status().refusals).toEqual([]);
  });

  test('keeps what it knew while the node cannot be observed, says why, and recovers', async () => {
    await sync();
    hostFails = true;
    controller.hostChanged();
    await settled();
    expect(controller.status().bindings.map(({ pod }) => pod)).toEqual(['default/a']);
    expect(controller.status().hostProblem).toBe('ip is gone');
    hostFails = false;
    await clock.advance(200);
    expect(controller.status().hostProblem).toBeUndefined();
  });

  test('checks bridge-nf-call every five seconds on bridged nodes only, and refuses when it stays off', async () => {
    await sync();
    await clock.advance(5_000);
    expect(netfilterChecks).toBe(0);
    facts = bridge;
    controller.hostChanged();
    await settled();
    expect(asked).toContain('default/a');
    const checks = netfilterChecks;
    expect(checks).toBeGreaterThan(0);
    netfilter = { kind: 'off', setting: 's', why: 'w', help: 'h' };
    facts = sampleFacts({ ...bridge, settings: { bridgeNetfilter4: false, bridgeNetfilter6: true } });
    const rulesets = given.length;
    await clock.advance(5_000);
    expect(netfilterChecks).toBeGreaterThan(checks);
    expect(controller.status().refusals.map(({ code }) => code)).toContain('bridge-netfilter-off');
    expect(given.length).toBe(rulesets);
  });

  test('knows how far the kernel has followed the objects, and how long that took', async () => {
    await sync();
    const { progress } = controller;
    const generation = store().snapshot().generation;
    expect(progress.appliedObjects).toBeUndefined();
    await clock.advance(40);
    expect(progress.applied(given.length, clock.now())).toEqual([40]);
    expect(progress.appliedObjects).toBe(generation);
    const { object } = decodeObject(denyAll, { kind: 'cluster', resourceVersion: '2' });
    if (object !== undefined) store().upsert(object);
    await settled();
    expect(progress.appliedObjects).toBe(generation);
    expect(progress.applied(given.length, clock.now() + 7)).toEqual([7]);
    expect(progress.appliedObjects).toBe(generation + 1);
  });
});
