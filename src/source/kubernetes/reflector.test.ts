import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';

import { CheckedSink } from '../../../test/api-server/checked-sink.ts';
import type { Fault } from '../../../test/api-server/faults.ts';
import { denyAllObject, podObject } from '../../../test/api-server/objects-for-tests.ts';
import { TestApiServer } from '../../../test/api-server/server.ts';
import { namespaceName, podKey, policyKey } from '../../model/names.ts';
import type { ReflectorCounters } from './counters.ts';
import type { Deadlines } from './deadlines.ts';
import { httpsAccess } from './https-access.ts';
import { KubernetesSource } from './kubernetes-source.ts';
import { policedPods, resourceOf, unfinishedPods } from './resource.ts';
import type { Resource } from './resource.ts';

const quick: Partial<Deadlines> = {
  spreadMs: 0,
  headersMs: 250,
  stallMs: 400,
  initialIdleMs: 250,
  initialMs: 1500,
  backoffFirstMs: 5,
  backoffMaxMs: 40,
};

let server: TestApiServer;
let sink: CheckedSink;
let abort: AbortController;
let source: KubernetesSource;
let running: Promise<void> | undefined;
let token = 'test-token';

beforeEach(async () => {
  server = new TestApiServer({ bookmarkMs: 50 });
  sink = new CheckedSink();
  abort = new AbortController();
  token = 'test-token';
  await server.start();
});

afterEach(async () => {
  abort.abort();
  await running;
  running = undefined;
  await server.stop();
  expect(sink.violations).toEqual([]);
});

function start(resources: readonly Resource[] = [resourceOf('Pod')], deadlines: Partial<Deadlines> = {}): void {
  const access = httpsAccess(server.url, {
    read: () => Promise.resolve({ tls: { ca: server.authority.cert }, headers: { authorization: `Bearer ${token}` } }),
    invalidate: () => {
      token = 'test-token';
    },
  });
  source = new KubernetesSource({ access, resources, deadlines: { ...quick, ...deadlines }, pageSize: 2 });
  running = source.run(sink, abort.signal).finally(() => access.close());
}

function createPods(...names: readonly string[]): void {
  for (const name of names) server.truth.create('pods', podObject({ name, uid: `u-${name}` }));
}

function pods(): string[] {
  return [...sink.store.snapshot().pods.values()].map(({ name }) => name).sort();
}

function counters(): ReflectorCounters {
  return source.counters().get('Pod')!;
}

async function eventually(check: () => void): Promise<void> {
  await vi.waitFor(check, { timeout: 10_000, interval: 5 });
}

async function synced(...names: readonly string[]): Promise<void> {
  await eventually(() => {
    expect(source.health()[0]).toMatchObject({ synced: true, state: 'watching' });
    expect(pods()).toEqual([...names].sort());
  });
}

function watchVersions(): string[] {
  return server.requests
    .filter(({ verb, streamedList }) => verb === 'watch' && !streamedList)
    .map(({ query }) => query.get('resourceVersion') ?? '');
}

describe('the first list', () => {
  test('is a watch with initial events that goes on as a watch', async () => {
    createPods('a', 'b', 'c');
    start();
    await synced('a', 'b', 'c');
    createPods('d');
    await synced('a', 'b', 'c', 'd');
    expect(server.requests).toHaveLength(1);
    const query = Object.fromEntries(server.requests[0]!.query);
    expect(query).toMatchObject({
      watch: '1',
      sendInitialEvents: 'true',
      resourceVersionMatch: 'NotOlderThan',
      allowWatchBookmarks: 'true',
    });
    expect(query).not.toHaveProperty('resourceVersion');
    expect(Number(query['timeoutSeconds'])).toBeGreaterThanOrEqual(300);
  });

  test('comes in pages where initial events are refused, and is followed from its version', async () => {
    server.watchList = false;
    createPods('a', 'b', 'c', 'd', 'e');
    // The refusal is how an older server is known: it is no failure to pause after.
    start([resourceOf('Pod')], { backoffFirstMs: 60_000, backoffMaxMs: 60_000 });
    await synced('a', 'b', 'c', 'd', 'e');
    expect(server.requests.map(({ verb }) => verb)).toEqual(['watch', 'list', 'list', 'list', 'watch']);
    expect(server.requests[1]!.query.get('resourceVersion')).toBeNull();
    expect(watchVersions()).toEqual([String(server.truth.revision)]);
  });

  test('comes in pages when the end bookmark is held back', async () => {
    createPods('a', 'b', 'c');
    server.faults.add({ streamedList: true }, { kind: 'withhold-end' });
    start();
    await synced('a', 'b', 'c');
    expect(counters().watchErrors.get('initial')).toBe(1);
    expect(server.requests.map(({ verb }) => verb)).toContain('list');
  });

  test('comes in pages after streamed lists broke off three times in a row', async () => {
    createPods('a', 'b', 'c');
    server.faults.add({ streamedList: true }, { kind: 'reset', after: 1 }, 3);
    start();
    await synced('a', 'b', 'c');
    expect(server.requests.map(({ verb }) => verb).slice(0, 4)).toEqual(['watch', 'watch', 'watch', 'list']);
  });

  test('begins anew when its continue token has expired', async () => {
    server.watchList = false;
    createPods('a', 'b', 'c', 'd', 'e');
    server.faults.add({ continued: true }, { kind: 'status', code: 410, reason: 'Expired' });
    start();
    await synced('a', 'b', 'c', 'd', 'e');
    const lists = server.requests.filter(({ verb }) => verb === 'list');
    expect(lists.map(({ continued }) => continued)).toEqual([false, true, false, true, true]);
  });

  test('goes on where its pages broke off: a large list would never end where every page can fail', async () => {
    server.watchList = false;
    createPods('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i');
    server.faults.add({ continued: true }, { kind: 'status', code: 429, reason: 'TooManyRequests' });
    server.faults.add({ continued: true }, { kind: 'status', code: 500, reason: 'InternalError' });
    server.faults.add({ continued: true }, { kind: 'reset-before-headers' });
    server.faults.add({ continued: true }, { kind: 'hang-before-headers' });
    start();
    await synced('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i');
    const lists = server.requests.filter(({ verb }) => verb === 'list');
    expect(lists.map(({ continued }) => continued)).toEqual([false, ...Array<boolean>(8).fill(true)]);
  });

  test.each<{ name: string; fault: Fault; times: number }>([
    {
      name: 'a page that fails again and again',
      fault: { kind: 'status', code: 500, reason: 'InternalError' },
      times: 5,
    },
    { name: 'a page that cannot be read', fault: { kind: 'garbage', after: 0 }, times: 1 },
    {
      name: 'a token that the server does not take',
      fault: { kind: 'status', code: 400, reason: 'BadRequest' },
      times: 1,
    },
  ])('begins anew behind $name', async ({ fault, times }) => {
    server.watchList = false;
    createPods('a', 'b', 'c', 'd', 'e');
    server.faults.add({ continued: true }, fault, times);
    start();
    await synced('a', 'b', 'c', 'd', 'e');
    const lists = server.requests.filter(({ verb }) => verb === 'list');
    const failed = Array<boolean>(times).fill(true);
    expect(lists.map(({ continued }) => continued)).toEqual([false, ...failed, false, true, true]);
  });

  test.each<{ name: string; fault: Fault }>([
    { name: 'a reset before the headers', fault: { kind: 'reset-before-headers' } },
    { name: 'no headers', fault: { kind: 'hang-before-headers' } },
    { name: 'a reset among the initial events', fault: { kind: 'reset', after: 2 } },
    { name: 'an event cut short', fault: { kind: 'truncate', after: 1 } },
    { name: 'a line that is no JSON', fault: { kind: 'garbage', after: 1 } },
    { name: 'an early end', fault: { kind: 'close', after: 2 } },
    { name: 'silence from the start', fault: { kind: 'silence' } },
    { name: 'an error 500', fault: { kind: 'status', code: 500, reason: 'InternalError' } },
    { name: 'an error event', fault: { kind: 'error-event', after: 1, code: 500, reason: 'InternalError' } },
    { name: 'an expired event', fault: { kind: 'error-event', after: 1, code: 410, reason: 'Expired' } },
    { name: 'a slow stream', fault: { kind: 'slow', bytes: 300, delayMs: 2 } },
  ])('survives $name', async ({ fault }) => {
    createPods('a', 'b', 'c');
    server.faults.add({ streamedList: true }, fault);
    start();
    await synced('a', 'b', 'c');
  });

  test.each<{ name: string; fault: Fault }>([
    { name: 'a page cut short', fault: { kind: 'truncate', after: 0 } },
    { name: 'a page of a proxy', fault: { kind: 'garbage', after: 0 } },
    { name: 'a reset in a page', fault: { kind: 'reset', after: 0 } },
    { name: 'a page that stops', fault: { kind: 'stall', after: 0 } },
  ])('survives $name', async ({ fault }) => {
    server.watchList = false;
    createPods('a', 'b', 'c');
    server.faults.add({ verb: 'list', continued: true }, fault);
    start();
    await synced('a', 'b', 'c');
  });

  test('is asked for with the field selector, and a pod that stops to match leaves', async () => {
    createPods('a', 'b');
    server.truth.create('pods', podObject({ name: 'host', hostNetwork: true }));
    start([resourceOf('Pod', policedPods)]);
    await synced('a', 'b');
    server.truth.patch('pods', 'a', 'shop', { status: { phase: 'Succeeded' } });
    await synced('b');
    server.truth.patch('pods', 'host', 'shop', { spec: { hostNetwork: false } });
    await synced('b', 'host');
  });
});

describe('a server that cannot select pods by hostNetwork', () => {
  test.each([true, false])('is asked for more; it streams lists: %s', async (watchList) => {
    server.watchList = watchList;
    server.unknownFields.add('spec.hostNetwork');
    createPods('a', 'b', 'c');
    server.truth.create('pods', podObject({ name: 'host', hostNetwork: true }));
    server.truth.create('pods', podObject({ name: 'done', uid: 'u-done' }));
    server.truth.patch('pods', 'done', 'shop', { status: { phase: 'Succeeded' } });
    // It is how an older server is known: it is no failure to pause after.
    start([resourceOf('Pod', policedPods, unfinishedPods)], { backoffFirstMs: 60_000, backoffMaxMs: 60_000 });
    await synced('a', 'b', 'c', 'host');
    createPods('d');
    await synced('a', 'b', 'c', 'd', 'host');
  });

  test('is not asked for ever where there is nothing wider to ask for', async () => {
    server.unknownFields.add('status.phase');
    start([resourceOf('Pod', policedPods, unfinishedPods)]);
    await eventually(() => expect(counters().watchErrors.get('400')).toBeGreaterThan(1));
    expect(source.health()[0]).toMatchObject({ synced: false, state: 'backoff' });
  });
});

describe('a watch that fails is resumed from the last version', () => {
  test.each<{ name: string; fault: Fault; code: string }>([
    { name: 'a reset before the headers', fault: { kind: 'reset-before-headers' }, code: 'reset' },
    { name: 'no headers', fault: { kind: 'hang-before-headers' }, code: 'headers' },
    { name: 'a reset', fault: { kind: 'reset', after: 1 }, code: 'reset' },
    { name: 'an event cut short', fault: { kind: 'truncate', after: 1 }, code: 'frame' },
    { name: 'a line that is no JSON', fault: { kind: 'garbage', after: 1 }, code: 'frame' },
    { name: 'one bad object', fault: { kind: 'corrupt', after: 0 }, code: 'object' },
    { name: 'a stall', fault: { kind: 'stall', after: 1 }, code: 'stall' },
    { name: 'an error 500', fault: { kind: 'status', code: 500, reason: 'InternalError' }, code: '500' },
    {
      name: 'an error 429',
      fault: { kind: 'status', code: 429, reason: 'TooManyRequests', retryAfterSeconds: 0.02 },
      code: '429',
    },
    {
      name: 'an error event',
      fault: { kind: 'error-event', after: 1, code: 500, reason: 'InternalError' },
      code: '500',
    },
  ])('after $name', async ({ fault, code }) => {
    createPods('a');
    server.faults.add({ streamedList: true }, { kind: 'close', after: 2 });
    server.faults.add({ verb: 'watch', streamedList: false }, fault);
    start();
    await synced('a');
    await eventually(() => expect(server.watches).toBe(1));
    createPods('b', 'c', 'd');
    await synced('a', 'b', 'c', 'd');
    await eventually(() => expect(counters().watchErrors.get(code)).toBe(1));
    await synced('a', 'b', 'c', 'd');
    expect(sink.lists('Pod')).toBe(1);
    expect([...counters().resyncs]).toEqual([]);
  });

  test('after an orderly end', async () => {
    createPods('a');
    start();
    await synced('a');
    server.endWatches();
    createPods('b');
    await synced('a', 'b');
    expect(watchVersions().length).toBeGreaterThan(0);
    expect(sink.lists('Pod')).toBe(1);
  });

  test('after an outage of the server, and nothing is removed meanwhile', async () => {
    createPods('a', 'b');
    start();
    await synced('a', 'b');
    await server.stop();
    await eventually(() => expect(source.health()[0]).toMatchObject({ state: 'backoff', synced: true }));
    server.truth.delete('pods', 'a', 'shop');
    createPods('c');
    expect(pods()).toEqual(['a', 'b']);
    await eventually(() => expect(source.health()[0]!.problem).toContain('ECONNREFUSED'));
    await server.start();
    await synced('b', 'c');
    expect(sink.lists('Pod')).toBe(1);
    expect(source.health()[0]).not.toHaveProperty('problem');
  });

  test('an event before a bad line is applied, and not asked for again', async () => {
    createPods('a');
    start();
    await synced('a');
    server.faults.add({ streamedList: false }, { kind: 'garbage', after: 1 });
    server.endWatches();
    createPods('b', 'c');
    const [b, c] = [server.truth.revision - 1, server.truth.revision];
    await synced('a', 'b', 'c');
    const versions = watchVersions().map(Number);
    expect(versions.length).toBe(2);
    expect(versions[1]).toBeGreaterThanOrEqual(b);
    expect(versions[1]).toBeLessThanOrEqual(c);
  });
});

describe('a new list is read', () => {
  test.each<{ name: string; fault: Fault }>([
    { name: 'an event', fault: { kind: 'error-event', after: 0, code: 410, reason: 'Expired' } },
    { name: 'a status', fault: { kind: 'status', code: 410, reason: 'Expired' } },
  ])('when the version has expired, as $name', async ({ fault }) => {
    createPods('a', 'b');
    start();
    await synced('a', 'b');
    server.faults.add({ streamedList: false }, fault);
    server.endWatches();
    server.truth.delete('pods', 'a', 'shop');
    await synced('b');
    await eventually(() => expect(sink.lists('Pod')).toBe(2));
    await synced('b');
    expect([...counters().resyncs]).toEqual([['expired', 1]]);
  });

  test('after a restart of the server, and what went meanwhile is removed', async () => {
    createPods('a', 'b');
    start();
    await synced('a', 'b');
    await server.stop();
    server.truth.delete('pods', 'a', 'shop');
    server.truth.compact();
    await server.start();
    await synced('b');
    expect(counters().resyncs.get('expired')).toBe(1);
    expect(counters().syntheticDeletes).toBe(1);
  });

  test('when the server was restored to an earlier state and keeps silent', async () => {
    createPods('a', 'b');
    const before = server.truth.revision;
    server.truth.patch('pods', 'a', 'shop', { metadata: { labels: { changed: 'yes' } } });
    createPods('c', 'd', 'e');
    start();
    await synced('a', 'b', 'c', 'd', 'e');
    await server.stop();
    server.truth.restore(before);
    await server.start();
    await synced('a', 'b');
    expect(counters().resyncs.get('silent')).toBe(1);
    expect(sink.store.snapshot().pods.get(podKey('shop', 'a'))?.labels.size).toBe(0);
    createPods('f');
    await synced('a', 'b', 'f');
  });

  test('when the server says that the version is too large', async () => {
    createPods('a');
    start();
    await synced('a');
    server.faults.add(
      { streamedList: false },
      { kind: 'status', code: 504, reason: 'Timeout: Too large resource version' },
    );
    server.endWatches();
    await eventually(() => expect(counters().resyncs.get('version-too-large')).toBe(1));
    await synced('a');
  });

  test('when several short watches together were silent for the stall deadline', async () => {
    createPods('a');
    start([resourceOf('Pod')], { headersMs: 2000 });
    await synced('a');
    server.faults.add({ streamedList: false }, { kind: 'silence' }, 100);
    const closing = setInterval(() => server.endWatches(), 60);
    await eventually(() => expect(counters().resyncs.get('silent')).toBe(1));
    clearInterval(closing);
    expect(counters().watchErrors.get('stall')).toBeUndefined();
    server.faults.clear();
    await synced('a');
  });

  test('when one version could not be decoded three times; then the object is quarantined', async () => {
    createPods('a', 'b');
    start();
    await synced('a', 'b');
    server.truth.patch('pods', 'a', 'shop', { metadata: { labels: { broken: 17 } } });
    await eventually(() => expect(sink.lists('Pod')).toBe(2));
    await synced('b');
    expect([...counters().resyncs]).toEqual([['decode', 1]]);
    expect(counters().watchErrors.get('object')).toBe(3);
    expect(counters().quarantined).toBe(1);
    expect(sink.store.diagnostics().get('Pod shop/a')?.at(-1)).toMatchObject({ code: 'K001', severity: 'error' });

    // Still bad: the alarm stands, and the watch goes on without another list.
    server.truth.patch('pods', 'a', 'shop', { metadata: { labels: { broken: 18 } } });
    createPods('c');
    await synced('b', 'c');
    expect(sink.lists('Pod')).toBe(2);

    server.truth.patch('pods', 'a', 'shop', { metadata: { labels: { broken: 'no-more' } } });
    await synced('a', 'b', 'c');
    expect(counters().quarantined).toBe(0);
    expect(sink.store.diagnostics().size).toBe(0);
  });
});

describe('objects', () => {
  test('an older version of the same object is ignored and counted', async () => {
    createPods('a');
    start();
    await synced('a');
    server.faults.add({ streamedList: false }, { kind: 'stale', after: 2 });
    server.endWatches();
    await eventually(() => expect(server.watches).toBe(1));
    for (const value of ['1', '2', '3']) server.truth.patch('pods', 'a', 'shop', { metadata: { labels: { value } } });
    await eventually(() => expect(counters().staleIgnored).toBe(1));
    await eventually(() => expect(sink.store.snapshot().pods.get(podKey('shop', 'a'))?.labels.get('value')).toBe('3'));
  });

  test('the same name with a new uid, seen in a new list, is a removal and an addition', async () => {
    createPods('a');
    start();
    await synced('a');
    await server.stop();
    server.truth.delete('pods', 'a', 'shop');
    server.truth.create('pods', podObject({ name: 'a', uid: 'u-a-2' }));
    server.truth.compact();
    await server.start();
    await eventually(() => expect(sink.store.get('Pod', 'u-a-2')).toBeDefined());
    expect(sink.calls).toContain('remove Pod u-a');
    expect(sink.store.get('Pod', 'u-a')).toBeUndefined();
  });

  test('an invalid policy stays in force, closed, and is reported until it is fixed or deleted', async () => {
    server.truth.create('networkpolicies', denyAllObject('deny'));
    start([resourceOf('NetworkPolicy')]);
    await eventually(() => expect(sink.store.snapshot().policies.size).toBe(1));
    const broken = { ingress: [{ from: [{ ipBlock: { cidr: 'nonsense' } }] }] };
    server.truth.patch('networkpolicies', 'deny', 'shop', { spec: broken });
    await eventually(() => expect(sink.store.diagnostics().has('NetworkPolicy shop/deny')).toBe(true));
    expect(sink.store.snapshot().policies.get(policyKey('shop', 'deny'))).toMatchObject({ invalid: true });
    server.truth.patch('networkpolicies', 'deny', 'shop', { spec: { ingress: [] } });
    await eventually(() => expect(sink.store.diagnostics().size).toBe(0));
    server.truth.patch('networkpolicies', 'deny', 'shop', { spec: broken });
    await eventually(() => expect(sink.store.diagnostics().size).toBe(1));
    server.truth.delete('networkpolicies', 'deny', 'shop');
    await eventually(() => expect(sink.store.diagnostics().size).toBe(0));
    expect(sink.store.snapshot().policies.size).toBe(0);
  });

  test('a bookmark with null containers moves the version and reaches no decoder', async () => {
    createPods('a');
    start();
    await synced('a');
    server.truth.create('namespaces', { metadata: { name: 'elsewhere' } });
    const revision = String(server.truth.revision);
    await eventually(() => expect(counters().lastBookmarkAtMs).toBeDefined());
    await new Promise((resolve) => setTimeout(resolve, 120));
    server.endWatches();
    await eventually(() => expect(watchVersions()).toEqual([revision]));
    expect(counters().decodeErrors).toBe(0);
  });
});

describe('identity', () => {
  test('a refused token is read anew', async () => {
    createPods('a');
    token = 'expired-token';
    start();
    await synced('a');
    expect(counters().watchErrors.get('401')).toBe(1);
  });

  test('a missing permission is reported exactly, and the report goes when it is granted', async () => {
    server.forbidden.add('watch namespaces');
    start([resourceOf('Namespace')]);
    await eventually(() => expect(sink.store.diagnostics().get('watch Namespace')).toHaveLength(1));
    const [missing] = sink.store.diagnostics().get('watch Namespace')!;
    expect(missing).toMatchObject({ code: 'K002', message: 'not allowed to watch namespaces' });
    expect(missing!.help).toContain('verbs ["list", "watch"] on resources ["namespaces"] in apiGroups [""]');
    expect(missing!.help).toContain('User "system:serviceaccount:kube-system:nftpolicy" cannot watch');
    expect(source.health()[0]).toMatchObject({ synced: false });
    server.forbidden.clear();
    server.truth.create('namespaces', { metadata: { name: 'shop' } });
    await eventually(() => expect(sink.store.snapshot().namespaces.has(namespaceName('shop'))).toBe(true));
    await eventually(() => expect(sink.store.diagnostics().size).toBe(0));
  });
});

test('a pause of the length the server asked for is kept', async () => {
  createPods('a');
  server.faults.add({}, { kind: 'status', code: 429, reason: 'TooManyRequests', retryAfterSeconds: 1 });
  start();
  await eventually(() => expect(counters().backoffMs).toBeGreaterThanOrEqual(1000));
  await synced('a');
});

test.each([
  { jump: 'a day ahead', hours: 24 },
  { jump: 'a day back', hours: -24 },
])('the watch goes on when the time of the machine is set $jump, and its ages stay true', async ({ hours }) => {
  createPods('a');
  start();
  await synced('a');
  vi.useFakeTimers({ toFake: ['Date'] });
  try {
    vi.setSystemTime(Date.now() + hours * 3_600_000);
    createPods('b');
    await synced('a', 'b');
    server.endWatches();
    createPods('c');
    await synced('a', 'b', 'c');
  } finally {
    vi.useRealTimers();
  }
  expect(counters().resyncs.size).toBe(0);
  const age = performance.now() - (source.health()[0]?.lastHeardAtMs ?? 0);
  expect(age).toBeGreaterThanOrEqual(0);
  expect(age).toBeLessThan(60_000);
});
