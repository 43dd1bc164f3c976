import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeExecutor, Transaction } from 'nftables-json';
import { describe, expect, test } from 'vitest';

import type { Clock } from '../enforcer/clock.ts';
import type { SourceHealth } from '../source/source.ts';
import { Store } from '../source/store.ts';
import { findState, keepState } from './cold-start.ts';
import type { Logger } from './logger.ts';
import { stateFile, writeState } from './state-file.ts';

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

describe('while no API server answers', () => {
  const unreachable: SourceHealth = { kind: 'Pod', state: 'backoff', synced: false, problem: 'unreachable' };

  /** Whether the objects on disk were asked for, and when, if `meanwhile` happens to the kernel and the store. */
  async function found(
    meanwhile: (now: number, executor: FakeExecutor, store: Store) => Promise<void>,
  ): Promise<{ readonly at: number; readonly used: boolean; readonly said: readonly string[] }> {
    const directory = mkdtempSync(join(tmpdir(), 'nftpolicy-find-'));
    await writeState(stateFile(directory), 'n', []);
    const executor = new FakeExecutor();
    for (const family of ['inet', 'bridge'] as const)
      await executor.run(new Transaction().addTable({ family, name: 'nftpolicy' }));
    const store = new Store();
    const said: string[] = [];
    const logger = { warn: (_: object, text: string) => void said.push(text) } as unknown as Logger;
    const abort = new AbortController();
    let now = 0;
    const clock: Clock = {
      now: () => now,
      sleep: async (ms) => {
        now += ms;
        await meanwhile(now, executor, store);
        if (now > 1_000_000) abort.abort();
      },
    };
    try {
      const health = (): readonly SourceHealth[] => [unreachable];
      const options = { directory, node: 'n', store, clock, logger };
      const objects = await findState(options, { health }, executor, abort.signal);
      return { at: now, used: objects !== undefined, said };
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  test('rules in the kernel stay, however long it takes', async () => {
    const { used, said } = await found(() => Promise.resolve());
    expect(used).toBe(false);
    expect(said).toEqual(['no API server answers; the rules in the kernel stay as they are']);
  });

  test('rules that a stranger takes away are made again of the objects on disk', async () => {
    let gone = false;
    const { used, at } = await found(async (now, executor) => {
      if (now < 500_000 || gone) return;
      gone = true;
      await executor.run(new Transaction().deleteTable({ family: 'inet', name: 'nftpolicy' }));
    });
    expect(used).toBe(true);
    expect(at).toBeLessThan(520_000);
  });

  test('and not once the source is in sync: then its objects count', async () => {
    const { used } = await found(async (now, executor, store) => {
      if (now < 500_000 || store.inSync(['Pod'])) return;
      await executor.run(new Transaction().deleteTable({ family: 'inet', name: 'nftpolicy' }));
      for (const kind of ['Namespace', 'Pod', 'NetworkPolicy'] as const) {
        store.beginList(kind);
        store.endList(kind);
      }
    });
    expect(used).toBe(false);
  });
});
