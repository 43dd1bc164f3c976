import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';

import type { SourceSink } from '../source/source.ts';
import { runAgent } from './agent.ts';
import { readConfig } from './config-layers.ts';
import type { Logger } from './logger.ts';

test('a part that fails ends the whole agent: half of one would look well and do nothing', async () => {
  const read = readConfig({ flags: { node: 'n', listen: '127.0.0.1:0' }, env: { NFTPOLICY_STATE_DIR: 'off' } });
  if (!read.ok) throw new Error('the configuration was refused');
  let port = 0;
  const listening = Promise.withResolvers<void>();
  const info = (fields: object, message: string): void => {
    if (message !== 'listening') return;
    port = (fields as { readonly port: number }).port;
    listening.resolve();
  };
  const logger: Logger = { info, debug: () => undefined, warn: () => undefined, error: () => undefined };
  let stopped = false;
  const source = {
    health: () => [],
    run: async (_sink: SourceSink, signal: AbortSignal): Promise<void> => {
      signal.addEventListener('abort', () => (stopped = true));
      await listening.promise;
      expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
      throw new Error('a defect');
    },
  };
  const stop = new AbortController();
  const agent = runAgent({ config: read.value.config, source: { source, description: 'a test' }, logger }, stop.signal);
  await expect(agent).rejects.toThrow('a defect');
  const answer = await fetch(`http://127.0.0.1:${port}/healthz`).catch(() => 'nobody');
  stop.abort();
  await delay(0);
  expect({ answer, stopped }).toEqual({ answer: 'nobody', stopped: true });
});
