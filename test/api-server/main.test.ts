import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { kubeconfigAccess } from '../../src/source/kubernetes/kubeconfig.ts';
import { podObject } from './objects-for-tests.ts';
import { RestClient } from './rest-client.ts';

let folder: string;
let child: ChildProcess;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nftpolicy-api-server-'));
});

afterEach(() => {
  child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

test('the server runs as a process of its own and is steered from outside', async () => {
  const kubeconfig = join(folder, 'kubeconfig');
  const program = join(import.meta.dirname, 'main.ts');
  child = spawn('node', [program, '--port', '0', '--kubeconfig', kubeconfig], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(createInterface(child.stdout!), 'line')) as [string];
  expect(JSON.parse(line)).toMatchObject({
    url: expect.stringMatching(/^https:\/\/127\.0\.0\.1:\d+$/),
    token: 'test-token',
  });

  const access = await kubeconfigAccess({ env: {}, kubeconfig });
  const client = new RestClient(access);
  await client.create('pods', podObject({ name: 'a' }));
  await client.patch('pods', 'a', 'shop', { metadata: { labels: { app: 'web' } } });
  expect(await client.list('pods')).toMatchObject([{ kind: 'Pod', metadata: { name: 'a', labels: { app: 'web' } } }]);

  await client.send('POST', '/control', { action: 'forbid', verb: 'list', plural: 'pods' });
  await expect(client.list('pods')).rejects.toMatchObject({ status: 403 });
  await client.send('POST', '/control', { action: 'permit', verb: 'list', plural: 'pods' });
  await client.send('POST', '/control', {
    action: 'fault',
    facts: { verb: 'list' },
    fault: { kind: 'status', code: 503, reason: 'ServiceUnavailable' },
  });
  await expect(client.list('pods')).rejects.toMatchObject({ status: 503 });

  await client.send('POST', '/control', { action: 'outage', durationMs: 100, compact: true });
  await vi.waitFor(
    async () =>
      expect(await client.send('POST', '/control', { action: 'state' })).toMatchObject({
        revision: 102,
        compacted: 102,
      }),
    10_000,
  );
  await client.delete('pods', 'a', 'shop');
  expect(await client.list('pods')).toEqual([]);
  access.close();

  child.kill('SIGTERM');
  const [code] = (await once(child, 'exit')) as [number];
  expect(code).toBe(0);
});
