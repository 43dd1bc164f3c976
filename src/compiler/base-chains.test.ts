import { describe, expect, test } from 'vitest';

import type { NodeShape } from '../model/binding.ts';
import type { IpAddress } from '../model/ip.ts';
import { baseChains, recordSets, sharedChains } from './base-chains.ts';
import { defaultOptions } from './options.ts';
import type { EnforcementOptions } from './options.ts';
import { textOf } from './testing/cast.ts';

const routed: NodeShape = { routed: ['veth*'], bridges: [] };
const bridged: NodeShape = {
  routed: [],
  bridges: [{ name: 'cni0', ports: { kind: 'pattern', pattern: 'veth*' }, podCidrs: [] }],
};

function base(
  shape: NodeShape,
  options: Partial<EnforcementOptions> = {},
): Readonly<Record<string, readonly string[]>> {
  const chains = baseChains(shape, { ...defaultOptions, ...options });
  return Object.fromEntries(chains.map((chain) => [chain.name, textOf(chain)]));
}

function shared(name: string, options: Partial<EnforcementOptions> = {}, audited = false): readonly string[] {
  return textOf(sharedChains({ ...defaultOptions, ...options }, audited).find((chain) => chain.name === name));
}

describe('base chains', () => {
  test('of routed pods dispatch by interface and address, then check the source, and end closed', () => {
    expect(base(routed)).toEqual({
      'forward-egress': [
        'iifname . ip saddr vmap @pod-senders-4',
        'iifname . ip6 saddr vmap @pod-senders-6',
        'iifname "veth*" iifname . ip saddr != @sources-4 goto deny',
        'iifname "veth*" iifname . ip6 saddr != @sources-6 goto deny',
        'iifname "veth*" goto closed',
      ],
      'forward-ingress': [
        'oifname . ip daddr vmap @pod-receivers-4',
        'oifname . ip6 daddr vmap @pod-receivers-6',
        'oifname "veth*" goto closed',
      ],
      'input-guard-egress': [
        'iifname "veth*" ip saddr @local-4 iifname . ip saddr != @sources-4 goto deny',
        'iifname "veth*" ip6 saddr @local-6 iifname . ip6 saddr != @sources-6 goto deny',
      ],
    });
  });

  test('leave out what has the name of a pod and is none, and close every other interface of that name', () => {
    const one = base({ ...routed, strangers: ['veth-up'] }, { policeNodeEgress: true });
    expect(one['forward-egress']?.at(2)).toBe(
      'iifname "veth*" iifname != "veth-up" iifname . ip saddr != @sources-4 goto deny',
    );
    expect(one['forward-egress']?.at(-1)).toBe('iifname "veth*" iifname != "veth-up" goto closed');
    expect(one['forward-ingress']?.at(-1)).toBe('oifname "veth*" oifname != "veth-up" goto closed');
    expect(one['input-egress']?.at(-1)).toBe('iifname "veth*" iifname != "veth-up" goto closed');
    const two = base({ ...routed, strangers: ['eth0', 'veth-a', 'veth-b'] });
    expect(two['forward-ingress']?.at(-1)).toBe('oifname "veth*" oifname != { "veth-a", "veth-b" } goto closed');
  });

  test('close every veth where nobody knows what names pods get, except the ways out', () => {
    expect(base({ routed: [], anyVeth: true, strangers: ['eth0'], bridges: [] })).toEqual({
      'forward-egress': [
        'iifname . ip saddr vmap @pod-senders-4',
        'iifname . ip6 saddr vmap @pod-senders-6',
        'meta iifkind "veth" iifname != "eth0" iifname . ip saddr != @sources-4 goto deny',
        'meta iifkind "veth" iifname != "eth0" iifname . ip6 saddr != @sources-6 goto deny',
        'meta iifkind "veth" iifname != "eth0" goto closed',
      ],
      'forward-ingress': [
        'oifname . ip daddr vmap @pod-receivers-4',
        'oifname . ip6 daddr vmap @pod-receivers-6',
        'meta oifkind "veth" oifname != "eth0" goto closed',
      ],
      'input-guard-egress': [
        'meta iifkind "veth" iifname != "eth0" ip saddr @local-4 iifname . ip saddr != @sources-4 goto deny',
        'meta iifkind "veth" iifname != "eth0" ip6 saddr @local-6 iifname . ip6 saddr != @sources-6 goto deny',
      ],
    });
  });

  test('of bridged pods dispatch by address, and are closed by the bridge, not by a block of addresses', () => {
    expect(base(bridged)).toEqual({
      'forward-egress': [
        'iifname "cni0" ip saddr vmap @pod-egress-4',
        'iifname "cni0" ip6 saddr vmap @pod-egress-6',
        'iifname "cni0" goto closed',
      ],
      'forward-ingress': [
        'oifname "cni0" ip daddr vmap @pod-ingress-4',
        'oifname "cni0" ip6 daddr vmap @pod-ingress-6',
        'oifname "cni0" goto closed',
      ],
    });
  });

  test("leave the node's own DNS reachable while egress to the node is policed, where it is found or named", () => {
    const found: NodeShape = { ...routed, nodeDns: ['10.96.0.10', '169.254.20.10', 'fd00::a'] as IpAddress[] };
    const dns = (options: Partial<EnforcementOptions>): readonly string[] | undefined =>
      base(found, options)['input-egress']?.filter((text) => text.includes('53'));
    expect(dns({})).toBeUndefined();
    expect(dns({ policeNodeEgress: true })).toEqual([
      'ip daddr { 10.96.0.10, 169.254.20.10 } udp dport 53 accept',
      'ip daddr { 10.96.0.10, 169.254.20.10 } tcp dport 53 accept',
      'ip6 daddr fd00::a udp dport 53 accept',
      'ip6 daddr fd00::a tcp dport 53 accept',
    ]);
    expect(dns({ policeNodeEgress: true, nodeDns: [] })).toEqual([]);
    expect(dns({ policeNodeEgress: true, nodeDns: ['10.0.0.1'] as IpAddress[] })).toEqual([
      'ip daddr 10.0.0.1 udp dport 53 accept',
      'ip daddr 10.0.0.1 tcp dport 53 accept',
    ]);
  });

  test('stand behind kube-proxy and before filter, egress first', () => {
    expect(baseChains(routed, defaultOptions).map(({ base }) => base)).toEqual([
      { type: 'filter', hook: 'forward', priority: -11 },
      { type: 'filter', hook: 'forward', priority: -10 },
      { type: 'filter', hook: 'input', priority: -12 },
    ]);
  });

  test('keep pods out of the tunnels of the node, before anybody passes', () => {
    const tunnels = { ports: [6081, 8472], protocols: [4] };
    const one = base({ ...bridged, tunnels: { ports: [8472], protocols: [] } });
    expect(one['forward-egress']?.slice(0, 2)).toEqual([
      'iifname "cni0" udp dport 8472 goto deny',
      'iifname "cni0" ip saddr vmap @pod-egress-4',
    ]);
    expect(one['input-guard-egress']).toEqual(['iifname "cni0" udp dport 8472 goto deny']);
    const entrances = [
      'iifname "veth*" udp dport { 6081, 8472 } goto deny',
      'iifname "veth*" meta l4proto 4 goto deny',
      'iifname "cni0" udp dport { 6081, 8472 } goto deny',
      'iifname "cni0" meta l4proto 4 goto deny',
    ];
    const both = base({ ...bridged, routed: ['veth*'], tunnels });
    expect(both['forward-egress']?.slice(0, 5)).toEqual([...entrances, 'iifname . ip saddr vmap @pod-senders-4']);
    expect(both['input-guard-egress']?.slice(2)).toEqual(entrances);
  });

  test('accept unknown pods only if the operator says so, and then check no unknown source', () => {
    const open = base(routed, { unknownPods: 'accept' });
    expect(open['forward-ingress']?.slice(-2)).toEqual([
      'oifname @bound-interfaces goto closed',
      'oifname "veth*" accept',
    ]);
    expect(open['forward-egress']?.[2]).toBe(
      'iifname "veth*" iifname @bound-interfaces iifname . ip saddr != @sources-4 goto deny',
    );
    expect(open['forward-egress']?.[4]).toBe(
      'iifname "veth*" ip saddr @local-4 iifname . ip saddr != @sources-4 goto deny',
    );
  });

  test('police traffic to the own node only if the operator says so; replies and DHCP pass', () => {
    const { 'input-egress': input } = base({ ...bridged, routed: ['veth*'] }, { policeNodeEgress: true });
    expect(input).toEqual([
      'udp sport { 68, 546 } udp dport { 67, 547 } accept',
      'iifname vmap @pod-egress',
      'iifname "cni0" ip saddr vmap @pod-egress-4',
      'iifname "cni0" ip6 saddr vmap @pod-egress-6',
      'iifname "veth*" goto closed',
      'iifname "cni0" goto closed',
    ]);
  });
});

describe('the prologue', () => {
  const discovery = [
    'icmpv6 type { nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert } ip6 hoplimit 255 accept',
    'icmpv6 type { mld-listener-query, mld-listener-report, mld-listener-done, mld2-listener-report } ip6 hoplimit 1 accept',
  ];

  test('passes replies, related packets and unrouted neighbour discovery; original packets go on (semantics 67, 68)', () => {
    expect(shared('prologue')).toEqual(['ct direction reply accept', 'ct state related accept', ...discovery]);
  });

  test('passes established connections where only first packets are judged', () => {
    expect(shared('prologue', { enforce: 'new-connections' })).toEqual([
      'ct state established,related accept',
      ...discovery,
    ]);
  });

  test('accepts no router advertisement', () => {
    expect(shared('prologue').join(' ')).not.toContain('nd-router-advert');
  });
});

test('a packet of a pod that nobody knows may be a reply, and is refused else', () => {
  expect(shared('closed')).toEqual(['jump prologue', 'goto deny']);
});

describe('the deny chain', () => {
  test('drops in a rule of its own, behind the record', () => {
    const rules = shared('deny');
    expect(rules).toHaveLength(3);
    expect(rules.at(-1)).toBe('drop');
    for (const record of rules.slice(0, -1)) {
      expect(record).toMatch(/^meta nfproto ipv[46] meta l4proto \{ tcp, udp, sctp \} limit .* update @denied-[46] /);
      expect(record).not.toContain('drop');
    }
  });

  test('without a record only drops', () => {
    expect(shared('deny', { recordDenied: false })).toEqual(['drop']);
    expect(recordSets({ ...defaultOptions, recordDenied: false }, false)).toEqual([]);
  });

  test('answers where the operator wants it, and drops what no answer reached', () => {
    expect(shared('deny', { reject: true, recordDenied: false })).toEqual([
      'meta l4proto tcp reject with tcp reset',
      'reject with icmpx admin-prohibited',
      'drop',
    ]);
    // An answer to a forged source would go to somebody who never asked.
    expect(shared('deny-forged', { reject: true, recordDenied: false })).toEqual(['drop']);
    expect(base(routed, { reject: true })['forward-egress']?.[2]).toContain('goto deny-forged');
  });
});

test('the audit chain exists only if a pod needs it; it records and accepts', () => {
  expect(shared('audit')).toEqual([]);
  expect(shared('audit', {}, true).at(-1)).toBe('accept');
  expect(recordSets(defaultOptions, true).map(({ name }) => name)).toEqual([
    'denied-4',
    'denied-6',
    'audited-4',
    'audited-6',
  ]);
});

test('records are bounded and expire', () => {
  for (const set of recordSets(defaultOptions, true)) expect(set.dynamic).toEqual({ timeoutSeconds: 300, size: 4096 });
});
