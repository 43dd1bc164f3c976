import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';

/** One time series of a metric, and its value now. */
export type Sample = readonly [labels: Readonly<Record<string, string>>, value: number];

/** Name, labels and meaning of a metric. */
export interface MetricText {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
}

/**
 * Registers a metric whose values are looked up at each scrape; series that are gone by then are forgotten, samples
 * with the same labels are added up. A counter if its name ends in `_total`.
 */
export function registerSampled(
  registry: Registry,
  { name, help, labels = [] }: MetricText,
  read: () => readonly Sample[],
): void {
  const options = { name, help, labelNames: [...labels], registers: [] };
  function collect(this: Counter | Gauge): void {
    this.reset();
    for (const [values, value] of read()) this.inc({ ...values }, value);
  }
  registry.registerMetric(
    name.endsWith('_total') ? new Counter({ ...options, collect }) : new Gauge({ ...options, collect }),
  );
}
