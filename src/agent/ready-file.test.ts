import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

import type { Clock } from '../enforcer/clock.ts';
import type { Logger } from './logger.ts';
import { ReadyFile } from './ready-file.ts';

let root: string;
let abort: AbortController;
let said: string[];
let pauses: number;
/** What happens to the world while the file waits. */
let meanwhile: () => void;

const applied = { lastApply: { ok: true, at: 0 } };

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'nftpolicy-ready-'));
  abort = new AbortController();
  said = [];
  pauses = 0;
  meanwhile = () => undefined;
});
afterEach(() => rmSync(root, { recursive: true }));

function readyFile(path: string): ReadyFile {
  const clock: Clock = {
    now: () => 0,
    sleep: () => {
      pauses += 1;
      meanwhile();
      return Promise.resolve();
    },
  };
  const logger = { error: (_fields: object, message: string) => void said.push(message) } as unknown as Logger;
  return new ReadyFile({ path, node: 'node-1', clock, logger, signal: abort.signal });
}

test('is written once, whole, after an apply that did not fail', async () => {
  const path = join(root, 'ready');
  const file = readyFile(path);
  file.update({ lastApply: undefined });
  file.update({ lastApply: { ok: false, at: 0, error: 'no' } });
  await file.written();
  expect(existsSync(path)).toBe(false);
  file.update(applied);
  await file.written();
  expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ node: 'node-1' });
  expect(readdirSync(root)).toEqual(['ready']);
  rmSync(path);
  file.update(applied);
  await file.written();
  expect(existsSync(path)).toBe(false);
});

test('that cannot be written stops nothing: it is said once, and written when it can be', async () => {
  const path = join(root, 'missing', 'ready');
  const file = readyFile(path);
  meanwhile = () => {
    if (pauses === 3) mkdirSync(join(root, 'missing'));
  };
  file.update(applied);
  await file.written();
  expect(pauses).toBe(3);
  expect(said).toEqual(['the ready file cannot be written; enforcing all the same']);
  expect(existsSync(path)).toBe(true);
});

test('is given up when the agent stops, and nothing is left of it', async () => {
  const path = join(root, 'taken');
  // Nothing can be renamed onto a directory that is not empty.
  mkdirSync(join(path, 'inside'), { recursive: true });
  const file = readyFile(path);
  meanwhile = () => abort.abort();
  file.update(applied);
  await file.written();
  expect(readdirSync(root)).toEqual(['taken']);
});
