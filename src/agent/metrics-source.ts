import type { Registry } from 'prom-client';

import type { ReflectorCounters } from '../source/kubernetes/counters.ts';
import type { Insight } from './insight.ts';
import { registerSampled } from './sampled-metric.ts';
import type { Sample } from './sampled-metric.ts';

/** Figures about how well the objects are followed, looked up at each scrape. */
export function watchSource(registry: Registry, { source }: Pick<Insight, 'source'>): void {
  const series = (name: string, help: string, labels: readonly string[], read: () => readonly Sample[]): void =>
    registerSampled(registry, { name, help, labels }, read);
  const perKind = (name: string, help: string, read: (counters: ReflectorCounters) => number | undefined): void => {
    const counters = source.api?.source;
    if (counters === undefined) return;
    series(name, help, ['kind'], () =>
      [...counters.counters()].flatMap(([kind, values]): Sample[] => {
        const value = read(values);
        return value === undefined ? [] : [[{ kind }, value]];
      }),
    );
  };
  series('nftpolicy_synced', 'Whether a complete list of the kind has been read.', ['kind'], () =>
    source.source.health().map(({ kind, synced }) => [{ kind }, Number(synced)]),
  );
  series('nftpolicy_last_byte_age_seconds', 'Since something was last heard about the kind.', ['kind'], () =>
    source.source
      .health()
      .flatMap(({ kind, lastHeardAtMs }): Sample[] =>
        lastHeardAtMs === undefined ? [] : [[{ kind }, ageSeconds(lastHeardAtMs)]],
      ),
  );
  perKind('nftpolicy_last_bookmark_age_seconds', 'Since the API server last named a version.', (counters) =>
    counters.lastBookmarkAtMs === undefined ? undefined : ageSeconds(counters.lastBookmarkAtMs),
  );
  perKind('nftpolicy_decode_errors_total', 'Events that could not be read.', ({ decodeErrors }) => decodeErrors);
  perKind('nftpolicy_stale_ignored_total', 'Events older than what was known.', ({ staleIgnored }) => staleIgnored);
  perKind(
    'nftpolicy_synthetic_deletes_total',
    'Objects that a complete list no longer held.',
    ({ syntheticDeletes }) => syntheticDeletes,
  );
  perKind(
    'nftpolicy_quarantined_objects',
    'Objects that cannot be decoded and are set aside.',
    ({ quarantined }) => quarantined,
  );
  perKind(
    'nftpolicy_backoff_seconds',
    'The pause in force before the next request.',
    ({ backoffMs }) => backoffMs / 1000,
  );
  const counters = source.api?.source;
  if (counters === undefined) return;
  series('nftpolicy_resyncs_total', 'Lists that had to be read anew, by reason.', ['kind', 'reason'], () =>
    [...counters.counters()].flatMap(([kind, { resyncs }]) =>
      [...resyncs].map(([reason, count]): Sample => [{ kind, reason }, count]),
    ),
  );
  series('nftpolicy_watch_errors_total', 'Watches that ended in an error, by code.', ['kind', 'code'], () =>
    [...counters.counters()].flatMap(([kind, { watchErrors }]) =>
      [...watchErrors].map(([code, count]): Sample => [{ kind, code }, count]),
    ),
  );
}

function ageSeconds(atMs: number): number {
  return Math.max(0, (performance.now() - atMs) / 1000);
}
