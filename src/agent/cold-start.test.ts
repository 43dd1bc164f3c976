import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';

import type { Clock } from '../enforcer/clock.ts';
import { Store } from '../source/store.ts';
import { keepState } from './cold-start.ts';
import type { Logger } from './logger.ts';
import { stateFile } from './state-file.ts';

test('objects that could not be kept are kept as soon as the disk lets them, though nothing changed', async () => {
  const root = mkdtempSync(join(tmpdir(), 'nftpolicy-keep-'));
  const directory = join(root, 'state');
  writeFileSync(directory, 'in the way');
  const said: string[] = [];
  const logger = {
    debug: () => undefined,
    warn: (_: object, text: string) => void said.push(text),
  } as unknown as Logger;
  const abort = new AbortController();
  let now = 0;
  const clock: Clock = {
    now: () => now,
    sleep: () => {
      now += 1_000;
      if (now === 100_000) rmSync(directory);
      if (now > 100_000 && existsSync(stateFile(directory))) abort.abort();
      if (now > 300_000) abort.abort();
      return Promise.resolve();
    },
  };
  try {
    await keepState({ directory, node: 'n', store: new Store(), clock, logger }, () => true, abort.signal);
    expect(existsSync(stateFile(directory))).toBe(true);
    expect(now).toBeLessThan(300_000);
    expect(said).toEqual(['the objects cannot be kept for a cold start']);
  } finally {
    rmSync(root, { recursive: true });
  }
});
