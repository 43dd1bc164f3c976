import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { HostError } from './commands.ts';
import type { Commands } from './commands.ts';
import { watchHost } from './watch.ts';

let root: string;
let stop: AbortController;
let calls: number;
let watching: Promise<void>;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'watch-host-'));
  stop = new AbortController();
  calls = 0;
});
afterEach(async () => {
  stop.abort();
  await watching;
  rmSync(root, { recursive: true });
});

function start(follow: Commands['follow'], onTrouble?: (trouble: Error) => void): void {
  watching = watchHost(() => (calls += 1), stop.signal, {
    commands: { run: async () => '', follow },
    cniCacheDirectories: [join(root, 'a/b/results')],
    cniConfigDirectory: root,
    netnsDirectory: root,
    timings: { gatherMs: 1, retryMs: 1, maxRetryMs: 20 },
    ...(onTrouble === undefined ? {} : { onTrouble }),
  });
}

const untilStopped = async (signal: AbortSignal): Promise<void> => {
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
};
const called = async (): Promise<void> => await vi.waitFor(() => expect(calls).toBeGreaterThan(0), 5000);

test('it calls once at the start', async () => {
  start((_command, _args, _onLine, signal) => untilStopped(signal));
  await called();
});

test('a burst of lines is gathered', async () => {
  let line: ((text: string) => void) | undefined;
  start((_command, _args, onLine, signal) => {
    line = onLine;
    return untilStopped(signal);
  });
  await called();
  const before = calls;
  for (let i = 0; i < 1000; i += 1) line?.(`change ${i}`);
  await vi.waitFor(() => expect(calls).toBeGreaterThan(before), 5000);
  expect(calls - before).toBeLessThan(10);
});

test('a command that cannot run is reported and tried again', async () => {
  const troubles: Error[] = [];
  start(
    async () => {
      throw new HostError('command-missing', 'ip monitor', 'not found');
    },
    (trouble) => troubles.push(trouble),
  );
  await vi.waitFor(() => expect(troubles.length).toBeGreaterThan(2), 5000);
});

test('a command that ends is started again', async () => {
  let starts = 0;
  start(async () => {
    starts += 1;
  });
  await vi.waitFor(() => expect(starts).toBeGreaterThan(2), 5000);
});

test('a directory that appears later is watched, and again after it was deleted', async () => {
  start((_command, _args, _onLine, signal) => untilStopped(signal));
  await called();
  for (let round = 0; round < 2; round += 1) {
    mkdirSync(join(root, 'a/b/results'), { recursive: true });
    // Writes until one is noticed: nobody says when the watch stands.
    const before = calls;
    await vi.waitFor(
      () => {
        writeFileSync(join(root, 'a/b/results', 'entry'), '{}');
        expect(calls).toBeGreaterThan(before + 3);
      },
      { timeout: 5000, interval: 20 },
    );
    rmSync(join(root, 'a'), { recursive: true });
  }
});

test('an aborted watch ends', async () => {
  start((_command, _args, _onLine, signal) => untilStopped(signal));
  stop.abort();
  await expect(watching).resolves.toBeUndefined();
});
