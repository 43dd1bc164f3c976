import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { between, pick, seededRandom } from '../../api-server/random.ts';
import type { Random } from '../../api-server/random.ts';
import type { LabNode } from '../../lab/node.ts';
import { CommandError } from '../../lab/run.ts';
import { fingerprint } from '../../support/leak-fingerprint.ts';
import type { Cluster } from './cluster.ts';

const policyCommand = join(import.meta.dirname, '../../../bin/policy.mjs');

/** What came of one seed. */
export interface ChaosResult {
  readonly seed: number;
  /** Whether a stranger changed our tables too; what passes meanwhile is not counted then. */
  readonly strangers: boolean;
  readonly steps: Readonly<Record<string, number>>;
  /** Between kept pods, while everything else changed and failed. */
  readonly packets: {
    readonly denied: number;
    readonly leaked: number;
    readonly allowed: number;
    readonly lost: number;
  };
  readonly seconds: number;
  /** One line for each thing that must not be; empty is what is wanted. */
  readonly violations: readonly string[];
}

const intrusions = [
  'delete table inet nftpolicy',
  'flush ruleset',
  'flush table inet nftpolicy',
  'flush chain inet nftpolicy forward-ingress',
  'add chain inet nftpolicy stranger',
  'insert rule inet nftpolicy forward-egress accept',
] as const;

/**
 * Lets API, kernel and processes fail at random while the cluster changes. When that is over, packets, stores and
 * rules must be what the server's objects say; and in between, as long as no stranger took the rules away, no packet
 * may have leaked or been lost between the pods that nothing changes.
 */
export async function runChaos(cluster: Cluster, seed: number, steps: number): Promise<ChaosResult> {
  const random = seededRandom(seed);
  const strangers = seed % 2 === 0;
  const begun = performance.now();
  const done: Record<string, number> = {};
  await cluster.reset();
  cluster.count();
  if (!cluster.real) await cluster.api.control({ action: 'storm', seed, share: 0.15 });
  let back = Number.POSITIVE_INFINITY;
  for (let step = 0; step < steps; step++) {
    const what = await disturb(cluster, random, strangers);
    done[what] = (done[what] ?? 0) + 1;
    if (what === 'outage') back = performance.now() + between(random, 100, 1_500);
    await sleep(between(random, 0, 120));
    if (performance.now() > back) {
      await cluster.api.start();
      back = Number.POSITIVE_INFINITY;
    }
  }
  await calm(cluster, back !== Number.POSITIVE_INFINITY);
  const violations = [...(await cluster.settle(180_000))];
  const packets = await cluster.packets();
  if (!strangers && packets.leaked > 0) violations.push(`${packets.leaked} of ${packets.denied} packets leaked`);
  if (!strangers && packets.lost > 0) violations.push(`${packets.lost} of ${packets.allowed} packets were lost`);
  for (const node of cluster.nodes) violations.push(...(await statusProblems(cluster, node)));
  violations.push(...(await rulesAgainstFresh(cluster)));
  const seconds = Math.round((performance.now() - begun) / 100) / 10;
  return { seed, strangers, steps: done, packets, seconds, violations };
}

const testFaults = ['outage', 'drop', 'end', 'compact', 'restart'] as const;
/** What can be done to a real server; it has no faults of single requests. */
const realFaults = ['outage', 'restart', 'storage'] as const;

/** One change or fault. */
async function disturb(cluster: Cluster, random: Random, strangers: boolean): Promise<string> {
  const node = pick(random, cluster.nodes);
  const dice = random();
  if (dice < 0.6) {
    await cluster.churn(random);
    return 'change';
  }
  if (dice < 0.7) {
    const agent = cluster.agentOf(node);
    await agent.end('SIGKILL', { group: random() < 0.5 });
    cluster.startAgent(node);
    return 'kill';
  }
  if (dice < 0.8 && strangers) {
    await intrude(node, pick(random, intrusions));
    return 'stranger';
  }
  const fault = pick(random, cluster.real ? realFaults : testFaults);
  switch (fault) {
    case 'outage':
      await cluster.api.stop();
      break;
    case 'drop':
      await cluster.api.control({ action: 'drop-connections' });
      break;
    case 'end':
      await cluster.api.control({ action: 'end-watches' });
      break;
    case 'compact':
      await cluster.api.control({ action: 'compact' });
      await cluster.api.control({ action: 'drop-connections' });
      break;
    case 'restart':
      await cluster.api.restart();
      break;
    case 'storage':
      await cluster.api.crashStorage();
      break;
  }
  return fault;
}

/** Does what a stranger does; the tables may just be gone. */
async function intrude(node: LabNode, command: string): Promise<void> {
  try {
    await node.run('nft', ...command.split(' '));
  } catch (error) {
    if (!(error instanceof CommandError) || !/No such file or directory|File exists/.test(error.stderr)) throw error;
  }
}

/**
 * Ends all faults. Connections that hang are broken, as a load balancer would at some time: how the source finds a
 * stalled watch by itself takes minutes with the deadlines of production, and has tests of its own.
 */
async function calm(cluster: Cluster, down: boolean): Promise<void> {
  if (down) await cluster.api.start();
  if (!cluster.real) {
    await cluster.api.control({ action: 'calm' });
    await cluster.api.control({ action: 'drop-connections' });
  }
  for (const node of cluster.nodes)
    await cluster.agentOf(node).until(() => cluster.agentOf(node).isReady, 'the ready file', 120_000);
}

interface Status {
  readonly state: string;
  readonly problems: readonly unknown[];
  readonly closedPods: readonly unknown[];
  readonly source: {
    readonly kinds: readonly { readonly kind: string; readonly objects: number; readonly version?: string }[];
  };
}

/** What the server holds of one kind. */
interface Held {
  readonly objects: number;
  /** Of the object that was written last. */
  readonly version: bigint;
}

/**
 * Whether the agent itself says that everything is as it should be, and its store holds what the server holds: as many
 * objects, and everything up to the last one that was written. Packets may agree before the last label has arrived.
 */
async function statusProblems(cluster: Cluster, node: LabNode): Promise<readonly string[]> {
  const held = new Map<string, Held>();
  for (const { kind, metadata } of await cluster.api.objects()) {
    const { name, resourceVersion = '0' } = metadata as { readonly name: string; readonly resourceVersion?: string };
    // Of nodes the agent watches its own only.
    if (kind === 'Node' && name !== node.name) continue;
    const { objects, version } = held.get(String(kind)) ?? { objects: 0, version: 0n };
    const newest = BigInt(resourceVersion);
    held.set(String(kind), { objects: objects + 1, version: newest > version ? newest : version });
  }
  const deadline = performance.now() + 60_000;
  for (;;) {
    const wrong = compareStatus(node, await statusOf(node), held);
    if (wrong.length === 0 || performance.now() > deadline) return wrong;
    await sleep(500);
  }
}

function compareStatus(node: LabNode, status: Status | string, held: ReadonlyMap<string, Held>): readonly string[] {
  if (typeof status === 'string') return [`${node.name}: policy status: ${status}`];
  const wrong: string[] = [];
  if (status.state !== 'enforcing') wrong.push(`${node.name} is ${status.state}`);
  for (const item of [...status.problems, ...status.closedPods]) wrong.push(`${node.name}: ${JSON.stringify(item)}`);
  for (const { kind, objects, version = '0' } of status.source.kinds) {
    const expected = held.get(kind) ?? { objects: 0, version: 0n };
    if (objects !== expected.objects)
      wrong.push(`${node.name} holds ${objects} of kind ${kind}, the server ${expected.objects}`);
    if (BigInt(version) < expected.version)
      wrong.push(`${node.name} knows kind ${kind} up to ${version}, the server ${expected.version}`);
  }
  return wrong;
}

async function statusOf(node: LabNode): Promise<Status | string> {
  try {
    return JSON.parse(await node.run(process.execPath, policyCommand, 'status', '-o', 'json')) as Status;
  } catch (error) {
    if (error instanceof CommandError) return error.stderr;
    throw error;
  }
}

/** Compares the rules that grew over the chaos with those that a new agent writes into an empty kernel. */
async function rulesAgainstFresh(cluster: Cluster): Promise<readonly string[]> {
  const grown = await Promise.all(cluster.nodes.map((node) => fingerprint(node)));
  for (const node of cluster.nodes) {
    await cluster.agentOf(node).end('SIGTERM');
    await node.run(process.execPath, policyCommand, 'cleanup');
    cluster.startAgent(node);
  }
  const wrong: string[] = [];
  for (const [index, node] of cluster.nodes.entries()) {
    const agent = cluster.agentOf(node);
    await agent.until(() => agent.isReady, 'the ready file', 120_000);
    const deadline = performance.now() + 20_000;
    let differences = compareLines(grown[index] ?? [], await fingerprint(node));
    // The first complete apply may precede the last interface to be found.
    while (differences.length > 0 && performance.now() < deadline) {
      await sleep(300);
      differences = compareLines(grown[index] ?? [], await fingerprint(node));
    }
    wrong.push(...differences.map((line) => `${node.name}: ${line}`));
  }
  return wrong;
}

function compareLines(grown: readonly string[], fresh: readonly string[]): readonly string[] {
  const [a, b] = [new Set(grown), new Set(fresh)];
  return [
    ...grown.filter((line) => !b.has(line)).map((line) => `only in the grown rules: ${line}`),
    ...fresh.filter((line) => !a.has(line)).map((line) => `missing in the grown rules: ${line}`),
  ];
}
