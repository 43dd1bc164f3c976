import { describe, expect, test } from 'vitest';

import { decodeObject } from '../model/decode/object.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { addressOwners } from './address-owners.ts';

interface Draft {
  readonly name: string;
  readonly created?: string;
  readonly phase?: string;
  readonly hostNetwork?: boolean;
  readonly terminating?: boolean;
}

const address = '10.244.1.1';

function claim({ name, created, phase = 'Running', hostNetwork = false, terminating = false }: Draft): Endpoint {
  const { object } = decodeObject(
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        name,
        creationTimestamp: created,
        ...(terminating ? { deletionTimestamp: '2026-01-09T00:00:00Z' } : {}),
      },
      spec: { hostNetwork },
      status: { phase, podIPs: [{ ip: address }] },
    },
    { kind: 'cluster', resourceVersion: '1' },
  );
  if (object?.kind !== 'Pod') throw new Error('no pod');
  return object;
}

/** The owner of the contested address, which must not depend on the order of the claims. */
function owner(...drafts: readonly Draft[]): string | undefined {
  const pods = drafts.map(claim);
  const names = [pods, pods.toReversed()].map((list) => [...addressOwners(list).values()].map(({ name }) => name));
  expect(names[0]).toEqual(names[1]);
  return names[0]?.[0];
}

describe('an address', () => {
  const [monday, tuesday] = ['2026-01-05T00:00:00Z', '2026-01-06T00:00:00Z'];

  test('belongs to the newest live pod that claims it (semantics 49)', () => {
    expect(owner({ name: 'new', created: tuesday }, { name: 'old', created: monday })).toBe('new');
    expect(owner({ name: 'dated', created: monday }, { name: 'undated' })).toBe('dated');
  });

  test('belongs to no finished pod, however new (semantics 44)', () => {
    for (const phase of ['Succeeded', 'Failed']) {
      expect(owner({ name: 'old', created: monday }, { name: 'ended', created: tuesday, phase })).toBe('old');
      expect(owner({ name: 'ended', phase })).toBeUndefined();
    }
  });

  test('belongs to no pod on the host network (semantics 51)', () => {
    expect(owner({ name: 'host', created: tuesday, hostNetwork: true })).toBeUndefined();
  });

  test('of equally old claims goes to the pod that stays, then to the greater key', () => {
    expect(owner({ name: 'b', created: monday, terminating: true }, { name: 'a', created: monday })).toBe('a');
    expect(owner({ name: 'a', created: monday }, { name: 'b', created: monday })).toBe('b');
  });

  test('of a terminating pod is still its own (semantics 46)', () => {
    expect(owner({ name: 'leaving', terminating: true })).toBe('leaving');
  });
});
