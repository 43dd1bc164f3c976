import type { Capabilities } from 'nftables-json';

import type { Controller } from '../controller/controller.ts';
import type { Enforcer } from '../enforcer/enforcer.ts';
import type { Store } from '../source/store.ts';
import type { AgentConfig } from './config.ts';
import type { OpenedSource } from './open-source.ts';
import type { TimedExecutor } from './timed-executor.ts';

/** Everything that can be looked at of a running agent. */
export interface Insight {
  readonly config: AgentConfig;
  readonly version: string;
  /** Milliseconds since the epoch. */
  readonly startedAtMs: number;
  readonly store: Store;
  readonly source: OpenedSource;
  readonly controller: Controller;
  readonly enforcer: Pick<Enforcer, 'status'>;
  readonly executor: TimedExecutor;
  readonly capabilities: Capabilities | undefined;
  /** When the kernel first held everything, on the clock of `performance.now()`. */
  readonly enforcingSince: () => number | undefined;
  /** Whether the rules in force were made of objects kept on disk. */
  readonly coldStart: () => boolean;
}

/** A moment of `performance.now()` in milliseconds since the epoch, by the time of now: clocks are set while an agent runs. */
export function toEpochMs(monotonicMs: number): number {
  return Date.now() - (performance.now() - monotonicMs);
}

/** A moment of `performance.now()` as ISO 8601 text. */
export function toIso(monotonicMs: number): string {
  return new Date(toEpochMs(monotonicMs)).toISOString();
}
