import { Counter } from 'prom-client';
import type { Registry } from 'prom-client';

import type { DeniedEntry } from '../controller/denied-report.ts';

type Label = 'namespace' | 'pod' | 'direction' | 'mode';

/** How long the series of a pod that is gone stays for scrapers after its last packet, in milliseconds. */
const keepMs = 600_000;

/** Recorded packets by pod. Pods come and go for ever: the series of one that is gone is forgotten after a while. */
export class DeniedCounter {
  readonly #counter: Counter<Label>;
  readonly #nowMs: () => number;
  /** By pod: when a packet was counted last, and the series there are. */
  readonly #pods = new Map<string, { atMs: number; readonly series: Map<string, Record<Label, string>> }>();

  constructor(registry: Registry, nowMs: () => number = () => performance.now()) {
    this.#nowMs = nowMs;
    this.#counter = new Counter({
      registers: [registry],
      name: 'nftpolicy_denied_packets_total',
      help: 'Recorded refused packets (at least these: the record is bounded and rate limited), by the pod whose policy refuses.',
      labelNames: ['namespace', 'pod', 'direction', 'mode'],
    });
  }

  /** Takes newly recorded packets of a flow. */
  add({ direction, from, to, mode }: DeniedEntry, packets: number): void {
    const pod = (direction === 'egress' ? from.pod : direction === 'ingress' ? to.pod : undefined) ?? '';
    const slash = pod.indexOf('/');
    const labels = {
      namespace: pod.slice(0, Math.max(0, slash)),
      pod: pod.slice(slash + 1),
      direction: direction ?? '',
      mode,
    };
    this.#counter.inc(labels, packets);
    const known = this.#pods.get(pod) ?? { atMs: 0, series: new Map<string, typeof labels>() };
    known.atMs = this.#nowMs();
    known.series.set(`${labels.direction} ${mode}`, labels);
    this.#pods.set(pod, known);
  }

  /** Forgets the pods that are not there any more and had no packet lately. */
  forget(isThere: (pod: string) => boolean): void {
    const before = this.#nowMs() - keepMs;
    for (const [pod, { atMs, series }] of this.#pods) {
      if (pod === '' || atMs > before || isThere(pod)) continue;
      for (const labels of series.values()) this.#counter.remove(labels);
      this.#pods.delete(pod);
    }
  }
}
