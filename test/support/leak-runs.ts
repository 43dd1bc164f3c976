import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';

import { podManifest } from '../lab/manifests.ts';
import type { Manifest } from '../lab/manifests.ts';
import { between, pick } from '../api-server/random.ts';
import type { Random } from '../api-server/random.ts';
import { CommandError } from '../lab/run.ts';
import type { AgentProcess } from './leak-agent.ts';
import { fingerprint } from './leak-fingerprint.ts';
import { monotonicMs } from './leak-traffic.ts';
import type { Span } from './leak-traffic.ts';
import { databasePolicy, policyManifest } from './leak-world.ts';
import type { LeakWorld, Pair } from './leak-world.ts';

/** What a run does and how often. */
export interface RunOptions {
  readonly runs: number;
  readonly random: Random;
  /** Packets per second on each flow; several flows for each pair. */
  readonly rate: number;
  /** Called after each repetition; `false` ends the run early. */
  readonly onProgress?: (done: number) => boolean;
}

/** Packets of several pairs. */
export interface PacketTotals {
  readonly sent: number;
  readonly arrived: number;
}

/** Figures of a run, besides those of the packets. */
export type Figures = Readonly<Record<string, number>>;

/** What a run found. */
export interface RunResult {
  readonly runs: number;
  readonly seconds: number;
  /** Packets of pairs that no policy ever allowed; `leaked` must be 0. */
  readonly denied: { readonly sent: number; readonly leaked: number };
  /** Packets of pairs that were allowed all the time; `lost` must be 0. */
  readonly allowed: { readonly sent: number; readonly lost: number };
  readonly figures: Figures;
  /** One line for each thing that must not happen, with its time. */
  readonly violations: readonly string[];
}

/** Adds up what became of the packets of some pairs. */
export async function totals(world: LeakWorld, pairs: readonly Pair[], span: Span): Promise<PacketTotals> {
  let [sent, arrived] = [0, 0];
  for (const flow of pairs.flatMap(({ flows }) => flows)) {
    const count = await world.traffic.count(flow, span);
    sent += count.sent;
    arrived += count.arrived;
  }
  return { sent, arrived };
}

/**
 * Starts packets and an agent. Answers when everything is enforced and flows settled.
 * @throws Error when some flow did not arrive before there were rules: then its silence would prove nothing.
 */
export async function begin(world: LeakWorld, rate: number): Promise<{ agent: AgentProcess; startMs: number }> {
  const { traffic } = world;
  await traffic.setRate(rate);
  await sleep(500);
  for (const pair of [...world.denied, ...world.allowed, world.flipping]) {
    for (const flow of pair.flows) {
      const { sent, arrived } = await traffic.count(flow);
      if (sent === 0 || arrived === 0) throw new Error(`${pair.name}, flow ${flow}: ${arrived} of ${sent} arrive`);
    }
  }
  const begun = performance.now();
  const agent = world.startAgent();
  await agent.ready();
  const startMs = performance.now() - begun;
  await sleep(100);
  return { agent, startMs };
}

/** Ends the counting: the result of the time since `from`. */
export async function conclude(
  world: LeakWorld,
  from: number,
  runs: number,
  figures: Figures,
  found: readonly string[] = [],
): Promise<RunResult> {
  const to = monotonicMs();
  await sleep(300);
  const violations = [...found];
  for (const [pairs, wanted] of [
    [world.denied, 'no packet'],
    [world.allowed, 'every packet'],
  ] as const) {
    for (const pair of pairs) {
      for (const flow of pair.flows) {
        const { sent, arrived, firstArrivedAt, firstLostAt } = await world.traffic.count(flow, { from, to });
        const wrong = wanted === 'no packet' ? arrived : sent - arrived;
        const at = (wanted === 'no packet' ? firstArrivedAt : firstLostAt) ?? from;
        if (wrong > 0) {
          violations.push(`${pair.name}, flow ${flow}: ${wrong} of ${sent} packets, first ${seconds(at - from)} s`);
        }
      }
    }
  }
  const denied = await totals(world, world.denied, { from, to });
  const allowed = await totals(world, world.allowed, { from, to });
  return {
    runs,
    seconds: seconds(to - from),
    denied: { sent: denied.sent, leaked: denied.arrived },
    allowed: { sent: allowed.sent, lost: allowed.sent - allowed.arrived },
    figures,
    violations,
  };
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10;
}

/** The p-th of the numbers by size; 0 if there are none. */
export function percentile(values: readonly number[], p: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor((p / 100) * sorted.length))] ?? 0;
  return Math.round(value * 10) / 10;
}

/** p50, p99 and greatest of some milliseconds, named. */
export function spread(name: string, values: readonly number[]): Figures {
  return {
    [`${name}P50Ms`]: percentile(values, 50),
    [`${name}P99Ms`]: percentile(values, 99),
    [`${name}MaxMs`]: percentile(values, 100),
  };
}

/** Changes the rules around the pairs that stay as they are; each call changes something that is seen in the kernel. */
export class Flips {
  readonly #world: LeakWorld;
  readonly #random: Random;
  readonly #present = new Set<string>();
  #sometimes = false;
  #label = false;
  #renamed = false;
  #changes = 0;

  constructor(world: LeakWorld, random: Random) {
    this.#world = world;
    this.#random = random;
  }

  /** Whether `sometimes` may reach the database now. */
  get flippingAllowed(): boolean {
    return this.#sometimes || this.#label;
  }

  /** Makes one change and answers what it was. */
  async next(): Promise<string> {
    const change = await this.#change();
    this.#changes += 1;
    // Written behind the change: once it is in the kernel, so is the change.
    const cidr = `198.18.${this.#changes >> 8}.${this.#changes & 255}/32`;
    await this.#world.objects.apply(
      policyManifest('marker', {
        podSelector: { matchLabels: { app: 'bystander' } },
        policyTypes: ['Egress'],
        egress: [{ to: [{ ipBlock: { cidr } }] }],
      }),
    );
    return change;
  }

  /** Takes everything back, for the next run on this world. */
  async restore(): Promise<void> {
    const { objects, pods } = this.#world;
    const gone = [...this.#present, 'marker', ...(this.#renamed ? ['database-b'] : [])];
    await objects.apply(databasePolicy(), podManifest(pods.sometimes));
    for (const name of this.#changes === 0 ? [] : gone) {
      await objects.remove({ kind: 'NetworkPolicy', namespace: 'default', name });
    }
  }

  /** Waits until the kernel lists the last change. */
  async confirmed(agent: AgentProcess): Promise<void> {
    const { node, pods } = this.#world;
    const chain = `pod-${pods.bystander.hostInterface}-egress`;
    const wanted = new RegExp(`\\b198\\.18\\.${this.#changes >> 8}\\.${this.#changes & 255}\\b`);
    const deadline = performance.now() + 30_000;
    for (;;) {
      const { applied } = agent;
      const listed = await node.run('nft', 'list', 'table', 'inet', 'nftpolicy').then(
        (text) => chainText(text, chain),
        (error: unknown) => (error instanceof CommandError ? '' : Promise.reject(error as Error)),
      );
      if (wanted.test(listed)) return;
      if (performance.now() > deadline)
        throw new Error(`change ${this.#changes} is not in the kernel:\n${agent.log.slice(-20).join('\n')}`);
      await agent
        .until(() => agent.applied > applied || performance.now() > deadline, 'the change to be applied', 2_000)
        .catch(() => undefined);
    }
  }

  async #change(): Promise<string> {
    const change = pick(this.#random, [
      'policy',
      'policy',
      'policy',
      'label',
      'label',
      'label',
      'isolate bystander',
      'isolate client',
      'open jail elsewhere',
      'rename policy',
    ] as const);
    const { objects, pods } = this.#world;
    switch (change) {
      case 'policy':
        this.#sometimes = !this.#sometimes;
        await objects.apply(this.#database());
        return `policy ${this.#sometimes ? 'loosened' : 'tightened'}`;
      case 'label':
        this.#label = !this.#label;
        await objects.apply(podManifest(pods.sometimes, { labels: { role: this.#label ? 'client' : 'sometimes' } }));
        return `label ${this.#label ? 'given' : 'taken'}`;
      case 'isolate bystander':
        await this.#toggle(policyManifest('bystander', { podSelector: { matchLabels: { app: 'bystander' } } }));
        return change;
      case 'isolate client':
        // Allows all that clients do, so that only their chain appears and goes.
        await this.#toggle(
          policyManifest('clients', {
            podSelector: { matchLabels: { role: 'client' } },
            policyTypes: ['Egress'],
            egress: [{ to: [{ podSelector: { matchLabels: { app: 'database' } } }] }],
          }),
        );
        return change;
      case 'open jail elsewhere':
        await this.#toggle(
          policyManifest('jail-exit', {
            podSelector: { matchLabels: { app: 'jailed' } },
            policyTypes: ['Egress'],
            egress: [{ to: [{ ipBlock: { cidr: '192.0.2.0/24' } }, { podSelector: { matchLabels: { app: 'x' } } }] }],
          }),
        );
        return change;
      case 'rename policy': {
        // The new one is there before the old one goes: the database is isolated all the time.
        const before = this.#database();
        this.#renamed = !this.#renamed;
        await objects.apply(this.#database());
        await objects.remove({ kind: 'NetworkPolicy', namespace: 'default', name: before.metadata.name });
        return change;
      }
    }
  }

  #database(): Manifest {
    return databasePolicy({ sometimes: this.#sometimes, name: this.#renamed ? 'database-b' : 'database' });
  }

  async #toggle(policy: Manifest): Promise<void> {
    const { name } = policy.metadata;
    if (this.#present.delete(name)) {
      await this.#world.objects.remove({ kind: 'NetworkPolicy', namespace: 'default', name });
    } else {
      this.#present.add(name);
      await this.#world.objects.apply(policy);
    }
  }
}

/** Kills the agent at random instants of its start and of its work, while there is always something to change. */
export async function runKills(world: LeakWorld, { runs, random, rate, onProgress }: RunOptions): Promise<RunResult> {
  const flips = new Flips(world, random);
  let { agent, startMs } = await begin(world, rate);
  const from = monotonicMs();
  let [killedStarting, killedWorking, terminated] = [0, 0, 0];
  let done = 0;
  for (let run = 0; run < runs; run++) {
    // While it works, or while it starts.
    if (random() < 0.25) {
      await agent.ready();
      await flips.next();
      await sleep(between(random, 0, 250));
    } else await sleep(random() * startMs * 1.2);
    const dice = random();
    if (agent.isReady) killedWorking += 1;
    else killedStarting += 1;
    if (dice < 0.15) terminated += 1;
    await agent.end(dice < 0.15 ? 'SIGTERM' : 'SIGKILL', { group: dice > 0.6 });
    for (let changes = between(random, 1, 3); changes > 0; changes--) await flips.next();
    agent = world.startAgent();
    done = run + 1;
    if (onProgress?.(done) === false) break;
  }
  await agent.ready();
  await sleep(200);
  const result = await conclude(world, from, done, {
    killedStarting,
    killedWorking,
    terminated,
    startMs: Math.round(startMs),
  });
  await flips.restore();
  await agent.end('SIGTERM');
  return result;
}

/** Changes policies and labels, one after the other, and judges the pair that they concern from each confirmation on. */
export async function runFlips(world: LeakWorld, { runs, random, rate, onProgress }: RunOptions): Promise<RunResult> {
  const flips = new Flips(world, random);
  const { agent } = await begin(world, rate);
  const from = monotonicMs();
  const steps: FlipStep[] = [];
  let done = 0;
  for (let run = 0; run < runs; run++) {
    const before = flips.flippingAllowed;
    const requestedAt = monotonicMs();
    const change = await flips.next();
    await flips.confirmed(agent);
    const confirmedAt = monotonicMs();
    await sleep(between(random, 20, 60));
    const until = monotonicMs();
    steps.push({ change, before, after: flips.flippingAllowed, requestedAt, confirmedAt, until });
    done = run + 1;
    if (onProgress?.(done) === false) break;
  }
  await sleep(300);
  const { figures, violations } = await judgeFlips(world, steps);
  const result = await conclude(world, from, done, figures, violations);
  await flips.restore();
  await agent.end('SIGTERM');
  return result;
}

interface FlipStep {
  readonly change: string;
  /** Whether the flipping pair was allowed before and after. */
  readonly before: boolean;
  readonly after: boolean;
  readonly requestedAt: number;
  readonly confirmedAt: number;
  readonly until: number;
}

async function judgeFlips(
  world: LeakWorld,
  steps: readonly FlipStep[],
): Promise<{ readonly figures: Figures; readonly violations: readonly string[] }> {
  const violations: string[] = [];
  const tightened: number[] = [];
  const loosened: number[] = [];
  let [deniedSent, leaked, allowedSent, lost] = [0, 0, 0, 0];
  for (const { change, before, after, requestedAt, confirmedAt, until } of steps) {
    const { sent, arrived } = await totals(world, [world.flipping], { from: confirmedAt, to: until });
    if (after) {
      allowedSent += sent;
      lost += sent - arrived;
    } else {
      deniedSent += sent;
      leaked += arrived;
    }
    const wrong = after ? sent - arrived : arrived;
    if (wrong > 0)
      violations.push(`after "${change}" was confirmed: ${wrong} of ${sent} packets ${after ? 'lost' : 'leaked'}`);
    if (before === after) continue;
    // From the request to the last packet of the old verdict, over all flows.
    let last = requestedAt;
    for (const flow of world.flipping.flows) {
      const seen = await world.traffic.count(flow, { from: requestedAt, to: confirmedAt });
      last = Math.max(last, (after ? seen.firstArrivedAt : seen.lastArrivedAt) ?? requestedAt);
    }
    (after ? loosened : tightened).push(last - requestedAt);
  }
  const figures = {
    flippingDeniedSent: deniedSent,
    flippingLeaked: leaked,
    flippingAllowedSent: allowedSent,
    flippingLost: lost,
    tightenings: tightened.length,
    ...spread('tighten', tightened),
    ...spread('loosen', loosened),
  };
  return { figures, violations };
}

/** One chain out of the text of a table. */
function chainText(table: string, chain: string): string {
  const start = table.indexOf(`chain ${chain} {`);
  return start === -1 ? '' : table.slice(start, table.indexOf('\n\t}', start));
}

/** What a stranger may do to our tables, with the agent alive. */
const intrusions = [
  'delete table inet nftpolicy',
  'flush ruleset',
  'flush table inet nftpolicy',
  'flush chain inet nftpolicy forward-ingress',
  'delete chain inet nftpolicy forward-ingress',
  'insert rule inet nftpolicy forward-ingress accept',
] as const;

/** Waits until the kernel lists what it did before. */
async function restored({ node }: LeakWorld, wanted: readonly string[]): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    const listed = await fingerprint(node).catch((error: unknown) => {
      // The table may go between two commands.
      if (error instanceof CommandError) return [];
      throw error;
    });
    if (isDeepStrictEqual(listed, wanted)) return;
    if (performance.now() > deadline) throw new Error('the rules did not come back');
    await sleep(20);
  }
}

/**
 * Lets a stranger take our tables away. What passes until they are back is a fact of this design, and measured; what
 * passes at any other time is a leak.
 */
export async function runDeletions(
  world: LeakWorld,
  { runs, random, rate, onProgress }: RunOptions,
): Promise<RunResult> {
  const { agent } = await begin(world, rate);
  const from = monotonicMs();
  const wanted = await fingerprint(world.node);
  const windows: number[] = [];
  const repairs: number[] = [];
  const outages: Span[] = [];
  let done = 0;
  for (let run = 0; run < runs; run++) {
    const intrusion = intrusions[run % intrusions.length] ?? intrusions[0];
    const begunAt = monotonicMs();
    await world.node.run('nft', ...intrusion.split(' '));
    await restored(world, wanted);
    const endedAt = monotonicMs();
    repairs.push(endedAt - begunAt);
    outages.push({ from: begunAt, to: endedAt });
    // The agent looks once more after a repair.
    await sleep(between(random, 300, 500));
    done = run + 1;
    if (onProgress?.(done) === false) break;
  }
  await sleep(300);
  let [inWindows, sentInWindows, outside, sentOutside] = [0, 0, 0, 0];
  const violations: string[] = [];
  let calmSince = from;
  for (const [run, outage] of outages.entries()) {
    let [first, last] = [Number.POSITIVE_INFINITY, 0];
    for (const flow of world.denied.flatMap(({ flows }) => flows)) {
      const { sent, arrived, firstArrivedAt, lastArrivedAt } = await world.traffic.count(flow, outage);
      inWindows += arrived;
      sentInWindows += sent;
      if (firstArrivedAt !== undefined) first = Math.min(first, firstArrivedAt);
      if (lastArrivedAt !== undefined) last = Math.max(last, lastArrivedAt);
    }
    if (last > 0) windows.push(last - first);
    const calm = { from: calmSince, to: outage.from ?? 0 };
    const { sent, arrived } = await totals(world, world.denied, calm);
    outside += arrived;
    sentOutside += sent;
    if (arrived > 0) violations.push(`${arrived} of ${sent} packets leaked before intrusion ${run + 1}`);
    calmSince = outage.to ?? 0;
  }
  const { denied: _, ...rest } = await conclude(world, from, done, {
    ...spread('window', windows),
    ...spread('repair', repairs),
    packetsInWindows: inWindows,
    sentInWindows,
    packetsPerSecond: rate * world.denied.flatMap(({ flows }) => flows).length,
  });
  await agent.end('SIGTERM');
  // The rules come back in one step: a packet on its way in that instant may meet a chain that is still empty, and is
  // dropped. So losses are published here, not forbidden.
  return { ...rest, denied: { sent: sentOutside, leaked: outside }, violations };
}

/**
 * Replaces the agent by the next one, as an upgrade does: the new one starts before or after the old one ends, and
 * changes go on.
 */
export async function runUpgrades(
  world: LeakWorld,
  { runs, random, rate, onProgress }: RunOptions,
): Promise<RunResult> {
  const flips = new Flips(world, random);
  let { agent } = await begin(world, rate);
  const from = monotonicMs();
  let overlapping = 0;
  let done = 0;
  for (let run = 0; run < runs; run++) {
    const old = agent;
    if (random() < 0.5) {
      overlapping += 1;
      agent = world.startAgent();
      await flips.next();
      if (random() < 0.5) await agent.ready();
      await old.end('SIGTERM');
    } else {
      await flips.next();
      await old.end('SIGTERM');
      agent = world.startAgent();
    }
    await agent.ready();
    await flips.next();
    await flips.confirmed(agent);
    done = run + 1;
    if (onProgress?.(done) === false) break;
  }
  const result = await conclude(world, from, done, { overlapping });
  await flips.restore();
  await agent.end('SIGTERM');
  return result;
}
