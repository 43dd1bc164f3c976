import { expect, test } from 'vitest';

import type { Clock } from '../enforcer/clock.ts';
import type { SourceHealth } from '../source/source.ts';
import type { Logger } from './logger.ts';
import { logSource } from './source-log.ts';

const well: SourceHealth = { kind: 'Pod', state: 'watching', synced: true };
const refused: SourceHealth = { kind: 'Pod', state: 'backoff', synced: true, problem: 'answered 401' };
const trying: SourceHealth = { ...refused, state: 'syncing' };

/** What is logged if every second of a life looks like this. */
async function logOf(life: readonly SourceHealth[]): Promise<readonly string[]> {
  const said: string[] = [];
  const log = (level: string) => (_fields: object, message: string) => void said.push(`${level} ${message}`);
  const logger = { info: log('info'), warn: log('warn') } as unknown as Logger;
  const abort = new AbortController();
  let second = 0;
  const clock: Clock = {
    now: () => second * 1_000,
    sleep: () => {
      second += 1;
      if (second >= life.length) abort.abort();
      return Promise.resolve();
    },
  };
  await logSource({ health: () => [life[second] ?? well] }, clock, logger, abort.signal);
  return said;
}

const times = (count: number, ...health: readonly SourceHealth[]): SourceHealth[] =>
  Array.from({ length: count }, () => health).flat();

test('a problem that lasts is said once, and its end too', async () => {
  expect(await logOf([well, ...times(20, refused, trying), well, well])).toEqual([
    'warn the API server cannot be followed, what was known before stays in force: answered 401',
    'info the API server is followed again',
  ]);
});

test('a short one is no news', async () => {
  expect(await logOf([...times(8, refused), well, ...times(8, trying), well])).toEqual([]);
});
