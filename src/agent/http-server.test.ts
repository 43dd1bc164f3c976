import { afterEach, describe, expect, test } from 'vitest';

import { HttpServer } from './http-server.ts';
import type { Endpoints } from './http-server.ts';
import type { Health } from './health.ts';

const logged: string[] = [];
const log = (_: object, message: string): void => void logged.push(message);
const logger = { debug: log, info: log, warn: log, error: log };
const running: HttpServer[] = [];
afterEach(async () => {
  for (const server of running.splice(0)) await server.close();
  logged.length = 0;
});

async function serve(endpoints: Partial<Endpoints> = {}, port = 0): Promise<HttpServer> {
  const fine = (): Health => ({ ok: true, reason: 'ok' });
  const server = new HttpServer(
    { host: '127.0.0.1', port },
    {
      healthz: fine,
      readyz: fine,
      metrics: () => Promise.resolve({ contentType: 'text/plain; version=0.0.4', text: 'a 1\n' }),
      status: (query) => ({ asked: query.get('policy') }),
      denied: () => Promise.resolve({ flows: [] }),
      ...endpoints,
    },
    logger,
  );
  running.push(server);
  await server.start();
  return server;
}

const ask = async (server: HttpServer, path: string, init: RequestInit = {}): Promise<[number, string]> => {
  const response = await fetch(`http://127.0.0.1:${server.port ?? 0}${path}`, init);
  return [response.status, await response.text()];
};

describe('the HTTP server', () => {
  test('answers each path with what it stands for, and refuses to write', async () => {
    const server = await serve({ readyz: () => ({ ok: false, reason: 'not read yet: Pod' }) });
    expect(await ask(server, '/healthz')).toEqual([200, 'ok\n']);
    expect(await ask(server, '/readyz')).toEqual([503, 'not read yet: Pod\n']);
    expect(await ask(server, '/metrics')).toEqual([200, 'a 1\n']);
    expect(await ask(server, '/status?policy=a%2Fb')).toEqual([200, '{"asked":"a/b"}\n']);
    expect((await ask(server, '/nothing'))[0]).toBe(404);
    expect((await ask(server, '/status', { method: 'POST', body: 'x' }))[0]).toBe(405);
  });

  test('answers 500 when an answer cannot be made, and goes on', async () => {
    const server = await serve({ denied: () => Promise.reject(new Error('nft is gone')) });
    expect(await ask(server, '/denied')).toEqual([500, 'nft is gone\n']);
    expect(await ask(server, '/healthz')).toEqual([200, 'ok\n']);
  });

  test('does not fail when its port is taken: it says so', async () => {
    const first = await serve();
    const second = await serve({}, first.port);
    expect(second.port).toBeUndefined();
    expect(logged).toContain('cannot listen for health and metrics; enforcing all the same');
  });
});
