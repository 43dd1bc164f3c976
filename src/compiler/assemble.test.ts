import { describe, expect, test } from 'vitest';

import type { NodeShape } from '../model/binding.ts';
import { assemble } from './assemble.ts';
import { defaultOptions } from './options.ts';
import type { DesiredTable } from './ruleset.ts';
import { lower, pod, policy } from './testing/cast.ts';

const shape: NodeShape = { routed: ['veth*'], bridges: [] };
const withBridge: NodeShape = {
  routed: ['veth*'],
  bridges: [{ name: 'cni0', ports: { kind: 'pattern', pattern: 'veth*' }, podCidrs: [] }],
};
const bridged = { kind: 'bridged', bridge: 'cni0' } as const;

function inet(parts: Partial<Parameters<typeof assemble>[0]>): DesiredTable {
  const ruleset = assemble({ shape, options: defaultOptions, endpoints: [], elements: () => new Set(), ...parts });
  return ruleset.get('inet')!;
}

const a = pod({ ips: ['10.244.1.1', 'fd00::1'] });
const b = pod({ name: 'b', ips: ['10.244.1.2'] });
const denyIngress = policy({});

describe('assemble', () => {
  test('gives every pod an element in both maps, isolated or not (invariant 4)', () => {
    const { maps } = inet({ endpoints: [lower([denyIngress], a), lower([], b)] });
    expect(Object.fromEntries(maps.get('pod-receivers-4')!.elements)).toEqual({
      'veth-a . 10.244.1.1': { kind: 'goto', chain: 'pod-veth-a-ingress' },
      'veth-b . 10.244.1.2': { kind: 'accept' },
    });
    expect([...maps.get('pod-receivers-6')!.elements.keys()]).toEqual(['veth-a . fd00::1']);
    expect(Object.fromEntries(maps.get('pod-senders-4')!.elements)).toEqual({
      'veth-a . 10.244.1.1': { kind: 'accept' },
      'veth-b . 10.244.1.2': { kind: 'accept' },
    });
    expect([...maps.get('pod-senders-6')!.elements.keys()]).toEqual(['veth-a . fd00::1']);
  });

  test('finds the egress of an interface whatever the source only where the node is a destination that counts', () => {
    const endpoints = [lower([policy({ policyTypes: ['Egress'] })], a)];
    const policed = inet({ endpoints, options: { ...defaultOptions, policeNodeEgress: true } });
    const verdict = { kind: 'goto', chain: 'pod-veth-a-egress' };
    expect(Object.fromEntries(policed.maps.get('pod-egress')!.elements)).toEqual({ 'veth-a': verdict });
    expect(policed.maps.get('pod-senders-6')!.elements.get('veth-a . fd00::1')).toEqual(verdict);
    expect(inet({ endpoints }).maps.has('pod-egress')).toBe(false);
  });

  test('binds a bridged pod by each of its addresses', () => {
    const { maps } = inet({ shape: withBridge, endpoints: [lower([denyIngress], a, bridged)] });
    const keys = (name: string) => [...maps.get(name)!.elements.keys()];
    expect(keys('pod-ingress-4')).toEqual(['10.244.1.1']);
    expect(keys('pod-ingress-6')).toEqual(['fd00::1']);
    expect(keys('pod-receivers-4')).toEqual([]);
  });

  test('lets a routed pod send from each of its addresses', () => {
    const { sets } = inet({ endpoints: [lower([], a)] });
    expect([...sets.get('sources-4')!.elements]).toEqual(['veth-a . 10.244.1.1']);
    expect([...sets.get('sources-6')!.elements]).toEqual(['veth-a . fd00::1']);
  });

  test('fills a set once, however many pods use it', () => {
    const policies = [policy({ ingress: [{ from: [{ podSelector: {} }] }] })];
    const asked: string[] = [];
    const { sets } = inet({
      endpoints: [lower(policies, a), lower(policies, b)],
      elements: ({ name }) => {
        asked.push(name);
        return new Set([name]);
      },
    });
    const peers = [...sets.keys()].filter((name) => name.startsWith('peers-'));
    expect(asked.sort()).toEqual(peers.sort());
    expect(peers).toHaveLength(2);
  });

  test('is the same in whatever order the pods come', () => {
    const endpoints = [lower([denyIngress], a), lower([], b)];
    expect(inet({ endpoints })).toEqual(inet({ endpoints: endpoints.toReversed() }));
  });

  test('has a bridge table only where there is a bridge', () => {
    const families = (of: NodeShape) => [
      ...assemble({ shape: of, options: defaultOptions, endpoints: [], elements: () => new Set() }).keys(),
    ];
    expect(families(shape)).toEqual(['inet']);
    expect(families(withBridge)).toEqual(['inet', 'bridge']);
  });

  test('has the audit chain only if a pod is audited', () => {
    const audited = policy({}, { annotations: { 'nftpolicy.dev/mode': 'audit' } });
    expect(inet({ endpoints: [lower([denyIngress], a)] }).chains.has('audit')).toBe(false);
    expect(inet({ endpoints: [lower([audited], a)] }).chains.has('audit')).toBe(true);
  });

  test('every chain, set and map that a rule names exists', () => {
    const policies = [policy({ ingress: [{ from: [{ podSelector: {} }] }], egress: [{ ports: [{ port: 'http' }] }] })];
    const table = inet({ shape: withBridge, endpoints: [lower(policies, a), lower(policies, b, bridged)] });
    const text = JSON.stringify([...table.chains.values()]);
    const named = [...text.matchAll(/"@([^"]+)"/g)].map(([, name = '']) => name);
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((name) => !table.sets.has(name) && !table.maps.has(name))).toEqual([]);
    const targets = [...text.matchAll(/"target":"([^"]+)"/g)].map(([, name = '']) => name);
    expect(targets.filter((name) => !table.chains.has(name))).toEqual([]);
  });
});
