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

/** Who hears of newly recorded packets. */
export type DeniedListener = (entry: DeniedEntry, packets: number) => void;

/** Reads the record the kernel keeps of refused flows, names them, and counts what is new in it. */
export class DeniedLog {
  readonly #executor: Pick<Executor, 'listSet'>;
  readonly #insight: Insight;
  readonly #onPackets: DeniedListener;
  #counted = new Map<string, number>();

  constructor(executor: Pick<Executor, 'listSet'>, insight: Insight, onPackets: DeniedListener) {
    this.#executor = executor;
    this.#insight = insight;
    this.#onPackets = onPackets;
  }

  /** Recorded flows of now, most recent first. Throws NftError if the kernel cannot be asked. */
  async read(signal?: AbortSignal): Promise<readonly DeniedEntry[]> {
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
    this.#count(entries);
    return entries;
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

  #count(entries: readonly DeniedEntry[]): void {
    const counted = new Map<string, number>();
    for (const entry of entries) {
      const key = [entry.mode, entry.from.address, entry.to.address, entry.protocol, entry.port].join(' ');
      const packets = entry.packets ?? 1;
      const before = this.#counted.get(key) ?? 0;
      counted.set(key, packets);
      // A smaller count is a new record: the old one had expired.
      const fresh = packets >= before ? packets - before : packets;
      if (fresh > 0) this.#onPackets(entry, fresh);
    }
    this.#counted = counted;
  }
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
