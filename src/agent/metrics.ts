import { monitorEventLoopDelay } from 'node:perf_hooks';

import { collectDefaultMetrics, Counter, Histogram, Registry } from 'prom-client';

import type { DeniedEntry } from '../controller/denied-report.ts';
import type { EnforcerStatus } from '../enforcer/enforcer.ts';
import { DeniedCounter } from './denied-counter.ts';
import { watchSource } from './metrics-source.ts';
import { watchState } from './metrics-state.ts';
import type { Insight } from './insight.ts';
import { registerSampled } from './sampled-metric.ts';
import type { FinishedCall } from './timed-executor.ts';

/** The agent's figures in Prometheus' text format; docs/metrics.md describes each. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #eventToKernel: Histogram;
  readonly #nftCalls: Histogram<'operation' | 'result'>;
  readonly #applies: Counter<'result'>;
  readonly #drift: Counter;
  readonly #denied: DeniedCounter;
  readonly #events: Counter<'result'>;
  readonly #loopDelay = monitorEventLoopDelay({ resolution: 20 });
  #lastApplyAt: number | undefined;
  #driftSeen = 0;

  constructor() {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#eventToKernel = new Histogram({
      registers,
      name: 'nftpolicy_event_to_kernel_seconds',
      help: 'From hearing of a change to having it in the kernel, per batch of changes.',
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    });
    this.#nftCalls = new Histogram({
      registers,
      name: 'nftpolicy_nft_call_seconds',
      help: 'Duration of calls of nft by operation and result.',
      labelNames: ['operation', 'result'],
      buckets: [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30],
    });
    this.#applies = new Counter({
      registers,
      name: 'nftpolicy_applies_total',
      help: 'Attempts to bring the newest rules into the kernel, by result.',
      labelNames: ['result'],
    });
    this.#drift = new Counter({
      registers,
      name: 'nftpolicy_drift_repaired_total',
      help: 'How often the tables were found changed by somebody else and put right.',
    });
    this.#denied = new DeniedCounter(this.#registry);
    this.#events = new Counter({
      registers,
      name: 'nftpolicy_kubernetes_events_total',
      help: 'Kubernetes Events about pods and the node, by result.',
      labelNames: ['result'],
    });
    const delay = this.#loopDelay;
    delay.enable();
    registerSampled(
      this.#registry,
      {
        name: 'nftpolicy_event_loop_delay_p99_seconds',
        help: '99th percentile of the delay of the event loop since the last scrape.',
      },
      () => {
        const seconds = delay.percentile(99) / 1e9;
        delay.reset();
        return [[{}, seconds]];
      },
    );
  }

  /** Adds the figures that are looked up when asked for. */
  watch(insight: Insight): void {
    watchState(this.#registry, insight);
    watchSource(this.#registry, insight);
  }

  /** Takes the enforcer's news. */
  enforcer(status: EnforcerStatus, tookMs: readonly number[]): void {
    for (const ms of tookMs) this.#eventToKernel.observe(ms / 1000);
    const { lastApply, driftRepaired } = status;
    if (lastApply !== undefined && lastApply.at !== this.#lastApplyAt) {
      this.#lastApplyAt = lastApply.at;
      this.#applies.inc({ result: lastApply.ok ? 'ok' : 'failed' });
    }
    this.#drift.inc(Math.max(0, driftRepaired - this.#driftSeen));
    this.#driftSeen = driftRepaired;
  }

  /** Takes a finished call of nft. */
  nftCall({ operation, result, durationMs }: FinishedCall): void {
    this.#nftCalls.observe({ operation, result }, durationMs / 1000);
  }

  /** Takes newly recorded packets of a flow. */
  denied(entry: DeniedEntry, packets: number): void {
    this.#denied.add(entry, packets);
  }

  /** Forgets what was refused to pods that are gone. */
  forgetDenied(isThere: (pod: string) => boolean): void {
    this.#denied.forget(isThere);
  }

  /** Takes the result of posting an Event. */
  event(result: 'posted' | 'failed' | 'suppressed'): void {
    this.#events.inc({ result });
  }

  /** Everything, in the text format. */
  async text(): Promise<string> {
    return await this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Stops measuring. */
  close(): void {
    this.#loopDelay.disable();
    this.#registry.clear();
  }
}
