import { setImmediate } from 'node:timers/promises';
import { describe, expect, test, vi } from 'vitest';

import type { Clock } from '../enforcer/clock.ts';
import { AccessError } from '../source/kubernetes/access.ts';
import type { KubeAccess, KubeRequest } from '../source/kubernetes/access.ts';
import { KubernetesEvents } from './kubernetes-events.ts';
import type { Trouble } from './kubernetes-events.ts';

class ManualClock implements Clock {
  #now = 0;
  #sleepers: { at: number; wake: () => void }[] = [];
  now(): number {
    return this.#now;
  }
  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#sleepers.push({ at: this.#now + ms, wake: resolve });
    signal?.addEventListener('abort', () => resolve(), { once: true });
    await promise;
  }
  /** In steps of a second, so that every look happens. */
  async advance(ms: number): Promise<void> {
    for (let step = 0; step < ms; step += 1_000) {
      this.#now += 1_000;
      const due = this.#sleepers.filter(({ at }) => at <= this.#now);
      this.#sleepers = this.#sleepers.filter(({ at }) => at > this.#now);
      for (const { wake } of due) wake();
      for (let turn = 0; turn < 8; turn += 1) await setImmediate();
    }
  }
}

function pod(name: string, code = 'pod-interface-missing'): Trouble {
  return { about: { kind: 'Pod', namespace: 'shop', name, uid: `uid-${name}` }, code, reason: 'Closed', message: 'm' };
}

async function withEvents(
  answer: (request: KubeRequest) => number | AccessError,
  body: (events: KubernetesEvents, clock: ManualClock, posted: KubeRequest[], results: string[]) => Promise<void>,
): Promise<void> {
  const posted: KubeRequest[] = [];
  const results: string[] = [];
  const access: KubeAccess = {
    server: 'https://test',
    request: (request) => {
      posted.push(request);
      const result = answer(request);
      if (result instanceof AccessError) return Promise.reject(result);
      const empty: AsyncIterable<Uint8Array> = { [Symbol.asyncIterator]: () => [][Symbol.iterator]() as never };
      return Promise.resolve({ status: result, headers: {}, body: empty });
    },
    openSocket: () => Promise.reject(new AccessError('unreachable', 'events need no other protocol')),
    refreshCredentials: () => undefined,
    close: () => undefined,
  };
  const clock = new ManualClock();
  const logger = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };
  const events = new KubernetesEvents({
    access,
    node: 'node-1',
    clock,
    logger,
    onResult: (result) => results.push(result),
  });
  const stop = new AbortController();
  const running = events.run(stop.signal);
  try {
    await body(events, clock, posted, results);
  } finally {
    stop.abort();
    await running;
  }
}

describe('Kubernetes Events', () => {
  test('are posted once for a trouble that lasts, and again after an hour', async () => {
    await withEvents(
      () => 201,
      async (events, clock, posted) => {
        events.update([pod('a')]);
        await clock.advance(3_000);
        expect(posted).toEqual([]);
        await clock.advance(5_000);
        events.update([pod('a')]);
        await clock.advance(600_000);
        expect(posted.map(({ path }) => path)).toEqual(['/api/v1/namespaces/shop/events']);
        const event = JSON.parse(posted[0]?.body ?? '{}') as Record<string, unknown>;
        expect(event).toMatchObject({ kind: 'Event', type: 'Warning', involvedObject: { kind: 'Pod', uid: 'uid-a' } });
        await clock.advance(3_600_000);
        expect(posted).toHaveLength(2);
      },
    );
  });

  test('are not posted for a trouble that passes', async () => {
    await withEvents(
      () => 201,
      async (events, clock, posted) => {
        events.update([pod('a')]);
        await clock.advance(2_000);
        events.update([]);
        await clock.advance(60_000);
        expect(posted).toEqual([]);
      },
    );
  });

  test('are never more than twelve per minute', async () => {
    await withEvents(
      () => 201,
      async (events, clock, posted, results) => {
        events.update(Array.from({ length: 40 }, (_, i) => pod(`p${i}`)));
        await clock.advance(10_000);
        expect(posted).toHaveLength(12);
        expect(results.filter((result) => result === 'suppressed')).toHaveLength(28);
        await clock.advance(240_000);
        expect(posted).toHaveLength(40);
      },
    );
  });

  test('are tried again when the server cannot be reached, and only after an hour when they are forbidden', async () => {
    let answer: number | AccessError = new AccessError('unreachable', 'gone');
    await withEvents(
      () => answer,
      async (events, clock, posted, results) => {
        events.update([pod('a')]);
        await clock.advance(40_000);
        expect(posted).toHaveLength(2);
        answer = 403;
        await clock.advance(40_000);
        expect(posted).toHaveLength(3);
        await clock.advance(400_000);
        expect(posted).toHaveLength(3);
        answer = 201;
        await clock.advance(3_600_000);
        expect(posted).toHaveLength(4);
        expect(results).toEqual(['failed', 'failed', 'failed', 'posted']);
      },
    );
  });

  test('a namespace that is going away does not silence the others', async () => {
    const other = (name: string): Trouble => ({
      ...pod(name),
      about: { ...pod(name).about, namespace: 'ending' } as never,
    });
    await withEvents(
      ({ path }) => (path.includes('/ending/') ? 403 : 201),
      async (events, clock, posted, results) => {
        events.update([other('a'), pod('b')]);
        await clock.advance(10_000);
        expect(posted.map(({ path }) => path)).toEqual([
          '/api/v1/namespaces/ending/events',
          '/api/v1/namespaces/shop/events',
        ]);
        expect(results).toEqual(['failed', 'posted']);
      },
    );
  });

  test('have the same name within an hour, and one that exists already is not posted again', async () => {
    const names: string[] = [];
    const nameOf = (request: KubeRequest): string =>
      (JSON.parse(request.body ?? '{}') as { metadata: { name: string } }).metadata.name;
    const answer = (request: KubeRequest): number => {
      const known = names.includes(nameOf(request));
      names.push(nameOf(request));
      return known ? 409 : 201;
    };
    vi.useFakeTimers({ toFake: ['Date'], now: Date.parse('2026-11-21T10:10:00Z') });
    try {
      for (let start = 0; start < 3; start += 1) {
        await withEvents(answer, async (events, clock, posted, results) => {
          events.update([pod('a'), pod('x'.repeat(253))]);
          await clock.advance(60_000);
          expect(posted).toHaveLength(2);
          expect(results).toEqual(start === 0 ? ['posted', 'posted'] : ['suppressed', 'suppressed']);
        });
      }
      vi.setSystemTime(Date.parse('2026-11-21T11:10:00Z'));
      await withEvents(answer, async (events, clock, _, results) => {
        events.update([pod('a')]);
        await clock.advance(60_000);
        expect(results).toEqual(['posted']);
      });
    } finally {
      vi.useRealTimers();
    }
    expect(new Set(names).size).toBe(3);
    expect(names.every((name) => name.length <= 253)).toBe(true);
  });

  test('about a pod with a long name have one that the API takes, wherever it is cut', async () => {
    await withEvents(
      () => 201,
      async (events, clock, posted) => {
        const long = 'p'.repeat(17);
        events.update([pod(`${'p'.repeat(235)}-${long}`), pod(`${'p'.repeat(235)}.${long}`)]);
        await clock.advance(10_000);
        const names = posted.map(
          ({ body }) => (JSON.parse(body ?? '{}') as { metadata: { name: string } }).metadata.name,
        );
        expect(new Set(names).size).toBe(2);
        for (const name of names)
          expect(name).toMatch(/^(?=.{1,253}$)[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*$/);
      },
    );
  });

  test('about a node stand in namespace default and name the node as its uid', async () => {
    await withEvents(
      () => 201,
      async (events, clock, posted) => {
        events.update([{ about: { kind: 'Node', name: 'node-1' }, code: 'c', reason: 'Refused', message: 'm' }]);
        await clock.advance(8_000);
        expect(posted[0]?.path).toBe('/api/v1/namespaces/default/events');
        expect(JSON.parse(posted[0]?.body ?? '{}')).toMatchObject({ involvedObject: { kind: 'Node', uid: 'node-1' } });
      },
    );
  });
});
