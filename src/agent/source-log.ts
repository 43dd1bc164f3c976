import type { Clock } from '../enforcer/clock.ts';
import type { Source } from '../source/source.ts';
import type { Logger } from './logger.ts';

const lookMs = 1_000;
/** What is over sooner is a restart or a new token: no news. */
const settleMs = 10_000;

/** Says when a source cannot be followed any more, and when it can again: once each, not at every try. */
export async function logSource(
  source: Pick<Source, 'health'>,
  clock: Clock,
  logger: Logger,
  signal: AbortSignal,
): Promise<void> {
  let sinceMs: number | undefined;
  let said = false;
  while (!signal.aborted) {
    const lost = source.health().filter(({ state, problem }) => state !== 'watching' && problem !== undefined);
    sinceMs = lost.length === 0 ? undefined : (sinceMs ?? clock.now());
    if (sinceMs === undefined) {
      if (said) logger.info({}, 'the API server is followed again');
      said = false;
    } else if (!said && clock.now() - sinceMs >= settleMs) {
      const problems = [...new Set(lost.map(({ problem }) => problem))].join('; ');
      const kinds = lost.map(({ kind }) => kind);
      logger.warn({ kinds }, `the API server cannot be followed, what was known before stays in force: ${problems}`);
      said = true;
    }
    await clock.sleep(lookMs, signal);
  }
}
