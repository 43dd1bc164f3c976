import fc from 'fast-check';
import { expect, test } from 'vitest';

import type { Endpoint } from '../model/endpoint.ts';
import type { IpAddress } from '../model/ip.ts';
import { namespaceName, podKey } from '../model/names.ts';
import { addressOwners } from './address-owners.ts';
import { AddressTable } from './address-table.ts';
import { PodEntry } from './pod-class.ts';

const addresses = ['10.0.0.1', '10.0.0.2', 'fd00::1'] as IpAddress[];

function entry(name: string, createdAtMs: number, claimed: readonly IpAddress[]): PodEntry {
  const pod: Endpoint = {
    kind: 'Pod',
    key: podKey('x', name),
    namespace: namespaceName('x'),
    name,
    uid: name,
    labels: new Map(),
    hostNetwork: false,
    phase: 'Running',
    terminating: false,
    createdAtMs,
    addresses: claimed,
    namedPorts: [],
    declaredPorts: [],
    source: { kind: 'cluster', resourceVersion: '1' },
  };
  return new PodEntry(pod);
}

test('owners are those of a scan over all claims, however claims came and went', () => {
  const arbClaim = fc.tuple(fc.nat({ max: 3 }), fc.nat({ max: 1 }), fc.subarray(addresses));
  let disputes = 0;
  fc.assert(
    fc.property(fc.array(arbClaim, { maxLength: 20, size: 'max' }), (claims) => {
      const table = new AddressTable();
      const live = new Map<number, PodEntry>();
      for (const [pod, age, claimed] of claims) {
        const before = live.get(pod);
        for (const address of before?.pod.addresses ?? []) table.unclaim(address, before!);
        live.delete(pod);
        if (claimed.length > 0) live.set(pod, entry(`p${pod}`, age, claimed));
        for (const address of claimed) table.claim(address, live.get(pod)!);

        const owners = addressOwners([...live.values()].map((one) => one.pod));
        expect(table.size).toBe(owners.size);
        for (const address of addresses) {
          expect(table.owner(address)?.pod).toBe(owners.get(address));
          const claimants = [...live.values()].filter((one) => one.pod.addresses.includes(address));
          expect(new Set(table.rivals(address))).toEqual(new Set(claimants.length > 1 ? claimants : []));
          disputes += table.rivals(address).length;
        }
        for (const one of live.values()) {
          expect(table.owned(one)).toEqual(one.pod.addresses.filter((address) => owners.get(address) === one.pod));
        }
      }
    }),
  );
  expect(disputes).toBeGreaterThan(100);
});
