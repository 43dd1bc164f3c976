import { setTimeout as sleep } from 'node:timers/promises';

import { between, pick } from '../api-server/random.ts';
import type { Random } from '../api-server/random.ts';
import { podManifest } from '../lab/manifests.ts';
import type { Manifest } from '../lab/manifests.ts';
import type { LabPod } from '../lab/pod.ts';
import type { RunOptions, RunResult } from './leak-runs.ts';
import { begin, conclude, spread, totals } from './leak-runs.ts';
import { monotonicMs } from './leak-traffic.ts';
import { openPair, policyManifest } from './leak-world.ts';
import type { LeakWorld, Pair } from './leak-world.ts';

const ending = { deletionTimestamp: '2026-01-01T00:00:00Z', deletionGracePeriodSeconds: 30 };

/** Keeps the books about packets of pods that come and go. */
class Ledger {
  readonly violations: string[] = [];
  sent = 0;
  leaked = 0;
  readonly #world: LeakWorld;

  constructor(world: LeakWorld) {
    this.#world = world;
  }

  /** None of these packets may have arrived. */
  async deny(pair: Pair, when: string): Promise<void> {
    const { sent, arrived } = await totals(this.#world, [pair], {});
    this.sent += sent;
    this.leaked += arrived;
    if (arrived > 0) this.violations.push(`${pair.name}, ${when}: ${arrived} of ${sent} packets arrived`);
  }
}

/** The addresses of a pod to come, in a part of the node's range that the CNI plugin does not reach. */
function freeAddresses(run: number): readonly [string, string] {
  const host = 100 + (run % 100);
  return [`10.244.1.${host}`, `fd00:10:244:1::${host.toString(16)}`];
}

/** A pod as flows need it before it is there. */
function pending(
  world: LeakWorld,
  name: string,
  ips: readonly string[],
): { name: string; netns: string; ips: readonly string[] } {
  const { open } = world.pods;
  return { name, netns: `${open.netns.slice(0, -open.name.length)}${name}`, ips };
}

async function closePairs({ traffic }: LeakWorld, pairs: readonly Pair[]): Promise<void> {
  for (const flow of pairs.flatMap(({ flows }) => flows)) {
    await traffic.close(flow);
    await traffic.drop(flow);
  }
}

/** Waits until each flow of a pair delivers packets sent after a moment. */
async function delivering(world: LeakWorld, pair: Pair, from: number): Promise<void> {
  const deadline = monotonicMs() + 20_000;
  for (const flow of pair.flows) {
    while ((await world.traffic.count(flow, { from })).arrived === 0) {
      if (monotonicMs() > deadline) throw new Error(`${pair.name}, flow ${flow}: allowed, but nothing arrives`);
      await sleep(2);
    }
  }
}

function running(pod: LabPod, createdAt: number, change: Readonly<Record<string, unknown>> = {}): Manifest {
  const manifest = podManifest(pod);
  const creationTimestamp = new Date(createdAt * 1000).toISOString().replace('.000Z', 'Z');
  return { ...manifest, metadata: { ...manifest.metadata, creationTimestamp, ...change } };
}

/**
 * Starts pods that send and receive before the API knows them. Until then nobody reaches them and they reach nobody;
 * from then on policy holds, and in between there is no gap.
 */
export async function runPodStarts(
  world: LeakWorld,
  { runs, random, rate, onProgress }: RunOptions,
): Promise<RunResult> {
  const { node, pods, objects, traffic, lab } = world;
  const sealed = {
    podSelector: { matchLabels: { app: 'sealed' } },
    ingress: [{ from: [{ podSelector: { matchLabels: { role: 'client' } } }] }],
  };
  await objects.apply(policyManifest('sealed', sealed));
  const { agent } = await begin(world, rate);
  const from = monotonicMs();
  const ledger = new Ledger(world);
  const untilOpen: number[] = [];
  const outside = { ...lab.outside, name: 'outside', ips: lab.outside.addresses };
  let done = 0;
  for (let run = 0; run < runs; run++) {
    const ips = freeAddresses(run);
    const name = `new-${run}`;
    const soon = pending(world, name, ips);
    const toDatabase = await openPair(traffic, soon, pods.database);
    const toOpen = await openPair(traffic, soon, pods.open);
    const fromIntruder = await openPair(traffic, pods.intruder, soon);
    const fromOutside = await openPair(traffic, outside, soon);
    const fromClient = await openPair(traffic, pods.client, soon);
    const pod = await node.addPod({
      name,
      labels: { app: 'sealed' },
      ips,
      attach: pick(random, ['plain', 'cni'] as const),
    });
    await sleep(between(random, 0, 120));
    // Looked at now: what waits for a neighbour's answer is sent, and arrives, once the pod is known.
    for (const pair of [toOpen, fromClient]) await ledger.deny(pair, `run ${run}, before the API knew it`);
    const toldAt = monotonicMs();
    if (random() < 0.3) {
      // Without an address in the API, the CNI's results may say which it has.
      await objects.apply(withoutAddress(running(pod, run)));
      await sleep(between(random, 0, 60));
    }
    await objects.apply(running(pod, run));
    await delivering(world, fromClient, toldAt);
    await delivering(world, toOpen, toldAt);
    untilOpen.push(monotonicMs() - toldAt);
    await sleep(between(random, 10, 40));
    for (const pair of [toDatabase, fromIntruder, fromOutside]) await ledger.deny(pair, `run ${run}`);
    await closePairs(world, [toDatabase, toOpen, fromIntruder, fromOutside, fromClient]);
    await traffic.forget(pod);
    await leave(world, pod, random);
    done = run + 1;
    if (onProgress?.(done) === false) break;
  }
  return await finish(world, { agent, from, runs: done, ledger, figures: spread('open', untilOpen) });
}

/**
 * Gives the address of a pod with rights to a pod without. The API may hear of it in any order; the new pod never
 * gets what the old one might.
 */
export async function runReuse(world: LeakWorld, { runs, random, rate, onProgress }: RunOptions): Promise<RunResult> {
  const { node, pods, objects, traffic } = world;
  const { agent } = await begin(world, rate);
  const from = monotonicMs();
  const ledger = new Ledger(world);
  let done = 0;
  for (let run = 0; run < runs; run++) {
    const ips = freeAddresses(run);
    const attach = pick(random, ['plain', 'cni'] as const);
    const order = pick(random, ['deleted first', 'both for a while', 'same name'] as const);
    const old = await node.addPod({ name: `old-${run}`, labels: { role: 'client' }, ips, attach });
    await objects.apply(running(old, 2 * run));
    const oldToDatabase = await openPair(traffic, old, pods.database);
    await delivering(world, oldToDatabase, 0);
    await closePairs(world, [oldToDatabase]);
    await traffic.forget(old);

    const key = { kind: 'Pod', namespace: 'default', name: old.name };
    const early = order === 'deleted first' && random() < 0.5;
    if (early) await objects.remove(key);
    // As the kubelet does it: the API hears that a pod ends before its sandbox goes.
    else await objects.apply(running(old, 2 * run, ending));
    await node.removePod(old);
    const soon = pending(world, order === 'same name' ? old.name : `heir-${run}`, ips);
    const toDatabase = await openPair(traffic, soon, pods.database);
    const toOpen = await openPair(traffic, soon, pods.open);
    const heir = await node.addPod({ name: soon.name, ips, attach });
    await sleep(between(random, 0, 100));
    await ledger.deny(toOpen, `run ${run}, ${attach}, ${order}, before the API knew it`);
    const toldAt = monotonicMs();
    const manifest = running(heir, 2 * run + 1);
    if (order === 'deleted first' && !early) {
      await objects.remove(key);
      await sleep(between(random, 0, 100));
    }
    await objects.apply(manifest);
    if (order === 'both for a while') {
      await sleep(between(random, 0, 200));
      await objects.remove(key);
    }
    await delivering(world, toOpen, toldAt);
    await sleep(between(random, 10, 40));
    await ledger.deny(toDatabase, `run ${run}, ${attach}, ${order}`);
    await closePairs(world, [toDatabase, toOpen]);
    await objects.remove({ ...key, name: heir.name });
    await node.removePod(heir);
    done = run + 1;
    if (onProgress?.(done) === false) break;
  }
  return await finish(world, { agent, from, runs: done, ledger, figures: {} });
}

function withoutAddress(manifest: Manifest): Manifest {
  return { ...manifest, status: { phase: 'Pending' } };
}

/** The API and the node may tell of an end in either order. */
async function leave(world: LeakWorld, pod: LabPod, random: Random): Promise<void> {
  const key = { kind: 'Pod', namespace: pod.namespace, name: pod.name };
  const apiFirst = random() < 0.5;
  if (apiFirst) await world.objects.remove(key);
  await world.node.removePod(pod);
  if (!apiFirst) await world.objects.remove(key);
}

async function finish(
  world: LeakWorld,
  run: {
    readonly agent: { end(signal: 'SIGTERM'): Promise<void> };
    readonly from: number;
    readonly runs: number;
    readonly ledger: Ledger;
    readonly figures: Readonly<Record<string, number>>;
  },
): Promise<RunResult> {
  const { agent, from, runs, ledger, figures } = run;
  const result = await conclude(
    world,
    from,
    runs,
    { ...figures, newPodsSent: ledger.sent, newPodsLeaked: ledger.leaked },
    ledger.violations,
  );
  await agent.end('SIGTERM');
  return result;
}
