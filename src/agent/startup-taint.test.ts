import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { TestApiServer } from '../../test/api-server/server.ts';
import type { Clock } from '../enforcer/clock.ts';
import { systemClock } from '../enforcer/clock.ts';
import { nodeName } from '../model/names.ts';
import { httpsAccess } from '../source/kubernetes/https-access.ts';
import type { KubeAccess } from '../source/kubernetes/access.ts';
import { KubernetesSource } from '../source/kubernetes/kubernetes-source.ts';
import { resourceOf } from '../source/kubernetes/resource.ts';
import { Store } from '../source/store.ts';
import type { Logger } from './logger.ts';
import { removeStartupTaint, startupTaint } from './startup-taint.ts';

const ours = { key: startupTaint, effect: 'NoExecute', timeAdded: '2026-01-01T00:00:00Z' };
const oursToo = { key: startupTaint, effect: 'NoSchedule' };
const other = { key: 'node.kubernetes.io/not-ready', effect: 'NoExecute' };
const another = { key: 'dedicated', value: 'db', effect: 'NoSchedule' };

let server: TestApiServer;
let access: KubeAccess;
let store: Store;
let abort: AbortController;
let running: Promise<unknown>;
let enforced: boolean;
let said: string[];

/** Waits less, so that tests need not. */
const clock: Clock = { now: () => performance.now(), sleep: (ms, signal) => systemClock.sleep(ms / 100, signal) };

const log = (level: string) => (_fields: object, message: string) => void said.push(`${level} ${message}`);
const logger = { info: log('info'), error: log('error') } as unknown as Logger;

function taints(): unknown {
  const spec = server.truth.get('nodes', 'node-1')?.['spec'] as { readonly taints?: unknown } | undefined;
  return spec?.taints;
}

function patches(): number {
  return server.requests.filter(({ verb }) => verb === 'patch').length;
}

beforeEach(async () => {
  server = new TestApiServer({ bookmarkMs: 50 });
  await server.start();
  server.truth.create('nodes', { metadata: { name: 'node-1' }, spec: { taints: [other, ours, another, oursToo] } });
  server.truth.create('nodes', { metadata: { name: 'node-2' }, spec: { taints: [ours] } });
  const token = { authorization: 'Bearer test-token' };
  access = httpsAccess(server.url, {
    read: () => Promise.resolve({ tls: { ca: server.authority.cert }, headers: token }),
    invalidate: () => undefined,
  });
  store = new Store();
  abort = new AbortController();
  enforced = true;
  said = [];
  const source = new KubernetesSource({ access, resources: [resourceOf('Node')], deadlines: { spreadMs: 0 } });
  const options = { access, node: nodeName('node-1'), store, isEnforced: () => enforced, clock, logger };
  running = Promise.all([source.run(store, abort.signal), removeStartupTaint(options, abort.signal)]);
});

afterEach(async () => {
  abort.abort();
  await running;
  access.close();
  await server.stop();
});

async function eventually(check: () => void): Promise<void> {
  await expect.poll(() => (check(), true), { timeout: 10_000 }).toBe(true);
}

describe('the start-up taint', () => {
  test('goes when the node is enforced, and no other of this node or of another', async () => {
    enforced = false;
    await eventually(() => expect(store.inSync(['Node'])).toBe(true));
    await systemClock.sleep(200);
    expect(patches()).toBe(0);
    enforced = true;
    await eventually(() => expect(taints()).toEqual([other, another]));
    await eventually(() => expect(said).toEqual(['info this node is enforced: its start-up taint is off']));
    await systemClock.sleep(200);
    expect(patches()).toBe(1);
    expect(server.truth.get('nodes', 'node-2')).toMatchObject({ spec: { taints: [ours] } });
  });

  test('goes again when the node is registered again', async () => {
    await eventually(() => expect(taints()).toEqual([other, another]));
    server.truth.delete('nodes', 'node-1');
    server.truth.create('nodes', { metadata: { name: 'node-1' }, spec: { taints: [ours] } });
    await eventually(() => expect(taints()).toEqual([]));
  });

  test('that may not be taken off is said once, with the missing right, and goes when it is granted', async () => {
    server.forbidden.add('patch nodes');
    await eventually(() => expect(patches()).toBeGreaterThan(2));
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/^error the start-up taint stays, and keeps pods off this node: .* 403: .*cannot patch/);
    expect(said[0]).toContain('Grant verbs ["patch"] on resources ["nodes"] in apiGroups [""]');
    server.forbidden.delete('patch nodes');
    await eventually(() => expect(taints()).toEqual([other, another]));
  });

  test('is never mistaken for another taint when the list has changed meanwhile', async () => {
    server.faults.add({ verb: 'patch' }, { kind: 'status', code: 500, reason: 'InternalError' }, 3);
    await eventually(() => expect(patches()).toBeGreaterThan(0));
    server.truth.patch('nodes', 'node-1', undefined, { spec: { taints: [ours, other, another] } });
    await eventually(() => expect(taints()).toEqual([other, another]));
  });
});
