import { NftError } from 'nftables-json';
import type { Executor } from 'nftables-json';

import { createJudge } from '../compiler/judge.ts';
import { explainDenied } from '../controller/denied-report.ts';
import type { DeniedContext, DeniedEntry } from '../controller/denied-report.ts';
import type { Clock } from '../enforcer/clock.ts';
import { readDenied } from '../enforcer/denied.ts';
import type { IpAddress } from '../model/ip.ts';
import type { NodeName } from '../model/names.ts';
import { nodeName } from '../model/names.ts';
import type { Insight } from './insight.ts';
import type { Logger } from './logger.ts';
import { podsBehind } from './status.ts';

/** How often the kernel's record is looked at for the counters; a record lives for five minutes. */
const pollMs = 15_000;

/** Who hears of the record. */
export interface DeniedListener {
  /** Packets were newly recorded. */
  recorded(entry: DeniedEntry, packets: number): void;
  /** The record was looked at. */
  looked(): void;
}

/** Reads the record the kernel keeps of refused flows, names them, and counts what is new in it. */
export class DeniedLog {
  readonly #executor: Pick<Executor, 'listSet'>;
  readonly #insight: Insight;
  readonly #listener: DeniedListener;
  #seen = new Map<string, DeniedEntry>();
  #lane: Promise<void> = Promise.resolve();

  constructor(executor: Pick<Executor, 'listSet'>, insight: Insight, listener: DeniedListener) {
    this.#executor = executor;
    this.#insight = insight;
    this.#listener = listener;
  }

  /** Recorded flows of now, most recent first; one at a time. Rejects with NftError if the kernel cannot be asked. */
  async read(signal?: AbortSignal): Promise<readonly DeniedEntry[]> {
    const turn = this.#lane.then(() => this.#read(signal));
    // Whoever asked hears of the failure.
    this.#lane = turn.then(
      () => undefined,
      () => undefined,
    );
    return await turn;
  }

  async #read(signal?: AbortSignal): Promise<readonly DeniedEntry[]> {
    const { recordDenied } = this.#insight.config.enforcement;
    const call = signal === undefined ? {} : { signal };
    const executor = this.#executor as Executor;
    const denied = recordDenied ? await readDenied(executor, call) : [];
    const audited = await readDenied(executor, { ...call, record: 'audited' });
    const context = deniedContext(this.#insight);
    const entries = [
      ...explainDenied(denied, 'denied', context),
      ...explainDenied(audited, 'would-deny', context),
    ].sort((a, b) => a.ageSeconds - b.ageSeconds);
    return this.#take(entries);
  }

  /** Counts until aborted. */
  async run(clock: Clock, logger: Logger, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await clock.sleep(pollMs, signal);
      if (signal.aborted) return;
      try {
        await this.read(signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof NftError)) throw error;
        logger.debug({ err: error }, 'the record of denied flows cannot be read');
      }
    }
  }

  /** Counts what is new, and answers the entries as they are told. */
  #take(entries: readonly DeniedEntry[]): readonly DeniedEntry[] {
    const seen = new Map<string, DeniedEntry>();
    for (const entry of entries) {
      const key = [entry.mode, entry.from.address, entry.to.address, entry.protocol, entry.port].join(' ');
      const packets = entry.packets ?? 1;
      const before = this.#seen.get(key);
      const told = before === undefined ? entry : asTold(before, entry);
      seen.set(key, told);
      // A smaller count is a new record: the old one had expired.
      const counted = before?.packets ?? (before === undefined ? 0 : 1);
      const fresh = packets >= counted ? packets - counted : packets;
      if (fresh > 0) this.#listener.recorded(told, fresh);
    }
    this.#seen = seen;
    this.#listener.looked();
    return [...seen.values()];
  }
}

/**
 * Without new packets the names and the reason of before stay: pods end, their addresses go to others, and policies
 * change, which says nothing about packets of the past. What could not be named then may be by now.
 */
function asTold(before: DeniedEntry, now: DeniedEntry): DeniedEntry {
  if (before.packets !== now.packets || now.packets === undefined || before.reason === 'unknown-pod') return now;
  return { ...before, ageSeconds: now.ageSeconds };
}

function deniedContext(insight: Insight): DeniedContext {
  const { config, controller, store, enforcer } = insight;
  const snapshot = store.snapshot();
  const status = controller.status();
  const nodes = new Map<IpAddress, NodeName>();
  for (const node of snapshot.nodes.values()) for (const address of node.addresses) nodes.set(address, node.name);
  const failed = enforcer.status().problems.flatMap(({ closed }) => podsBehind(closed, status.bindings));
  return {
    node: nodeName(config.node),
    judge: createJudge(snapshot, { policeNodeEgress: config.enforcement.policeNodeEgress }),
    owner: (address) => controller.owner(address),
    nodeOf: (address) => nodes.get(address),
    closed: new Set([...status.interfaceProblems.map(({ uid }) => uid), ...failed.map(({ uid }) => uid)]),
  };
}
