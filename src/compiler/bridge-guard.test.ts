import { describe, expect, test } from 'vitest';

import type { NodeShape } from '../model/binding.ts';
import { bridgeGuard } from './bridge-guard.ts';
import { simulate } from './simulate.ts';
import type { Packet } from './simulate.ts';
import { bind, cidr, ip, pod } from './testing/cast.ts';

const shape: NodeShape = {
  routed: [],
  bridges: [{ name: 'cni0', ports: { kind: 'bridge-name' }, podCidrs: [cidr('10.244.1.0/24'), cidr('fd00:1::/64')] }],
};
const bridged = { kind: 'bridged', bridge: 'cni0' } as const;
const binding = bind(pod({ ips: ['10.244.1.1', 'fd00:1::1'] }), bridged);
const table = bridgeGuard(shape, [binding, bind(pod({ name: 'r', ips: ['10.244.1.9'] }))]);

const frame: Packet = {
  iifname: binding.interface,
  oifname: '',
  ibrname: 'cni0',
  etherSource: '02:00:00:00:00:01',
  saddr: ip('10.244.1.1'),
  protocol: 'tcp',
  hopLimit: 64,
  ctDirection: 'original',
  ctState: 'untracked',
};
const verdict = (changes: Partial<Packet>): string => simulate(table, 'guard', { ...frame, ...changes }).verdict;

describe('the guard lets a bound port', () => {
  test.each<[string, string, Partial<Packet>]>([
    ['send from its addresses', 'accept', {}],
    ['send from its IPv6 address', 'accept', { saddr: ip('fd00:1::1') }],
    ['not send from another address', 'drop', { saddr: ip('10.244.1.2') }],
    ['not send from another MAC address', 'drop', { etherSource: '02:00:00:00:00:02' }],
    ['not send IPv6 from another MAC address', 'drop', { etherSource: '02:00:00:00:00:02', saddr: ip('fd00:1::1') }],
    ['not send from another IPv6 address', 'drop', { saddr: ip('fd00:1::2') }],
    [
      'send ICMPv6 from its address',
      'accept',
      { saddr: ip('fd00:1::1'), protocol: 'icmpv6', icmpType: 'echo-request' },
    ],
    ['claim its address by ARP', 'accept', { protocol: 'arp' }],
    ['not claim another address by ARP', 'drop', { protocol: 'arp', saddr: ip('10.244.1.2') }],
    ['probe by ARP', 'accept', { protocol: 'arp', saddr: ip('0.0.0.0') }],
    ['ask for an address by DHCP', 'accept', { saddr: ip('0.0.0.0'), protocol: 'udp', sport: 68, dport: 67 }],
    ['send nothing else without an address', 'drop', { saddr: ip('0.0.0.0'), protocol: 'udp', sport: 68, dport: 53 }],
    [
      'discover neighbours from a link-local address',
      'accept',
      { saddr: ip('fe80::1'), protocol: 'icmpv6', icmpType: 'nd-neighbor-solicit', hopLimit: 255 },
    ],
    [
      'not pretend discovery with another hop limit',
      'drop',
      { saddr: ip('fe80::1'), protocol: 'icmpv6', icmpType: 'nd-neighbor-solicit', hopLimit: 64 },
    ],
    [
      'not advertise itself as a router',
      'drop',
      { saddr: ip('fe80::1'), protocol: 'icmpv6', icmpType: 'nd-router-advert', hopLimit: 255 },
    ],
    ['send nothing else from a link-local address', 'drop', { saddr: ip('fe80::1') }],
  ])('%s: %s', (_, expected, changes) => {
    expect(verdict(changes)).toBe(expected);
  });
});

describe('the guard lets a port nobody is bound to', () => {
  const stranger = { iifname: 'veth-new', etherSource: '02:00:00:00:00:09' };
  test.each<[string, string, Partial<Packet>]>([
    ['talk from an unused pod address', 'accept', { saddr: ip('10.244.1.77') }],
    ['talk from an unused IPv6 pod address', 'accept', { saddr: ip('fd00:1::77') }],
    ['not use a known address', 'drop', {}],
    ['not use a known MAC address', 'drop', { etherSource: '02:00:00:00:00:01', saddr: ip('10.244.1.77') }],
    ['not use an address outside the blocks', 'drop', { saddr: ip('192.0.2.7') }],
    ['not claim a known address by ARP', 'drop', { protocol: 'arp' }],
  ])('%s: %s', (_, expected, changes) => {
    expect(verdict({ ...stranger, ...changes })).toBe(expected);
  });
});

describe('a packet to the address of a bound pod', () => {
  const to = (oifname: string, changes: Partial<Packet> = {}): string =>
    simulate(table, 'delivery', { ...frame, oifname, daddr: ip('10.244.1.1'), ...changes }).verdict;

  test("leaves by that pod's port only: MAC addresses decide where a frame goes, and anybody can write one", () => {
    expect([to(binding.interface), to('veth-other')]).toEqual(['accept', 'drop']);
  });

  test('also in IPv6', () => {
    const six = { saddr: ip('fd00:1::7'), daddr: ip('fd00:1::1') };
    expect([to(binding.interface, six), to('veth-other', six)]).toEqual(['accept', 'drop']);
  });

  test('is not held up by packets to other addresses, nor by ARP', () => {
    expect([to('veth-other', { daddr: ip('10.244.1.77') }), to('veth-other', { protocol: 'arp' })]).toEqual([
      'accept',
      'accept',
    ]);
  });
});

test('a port nobody is bound to cannot claim an address of the bridge, which is the gateway of its pods', () => {
  const bridges = shape.bridges.map((one) => ({ ...one, addresses: [ip('10.244.1.254'), ip('fd00:1::fe')] }));
  const guarded = bridgeGuard({ routed: [], bridges }, []);
  const claim = (protocol: 'arp' | 'tcp', saddr: string): string =>
    simulate(guarded, 'guard', { ...frame, iifname: 'veth-new', protocol, saddr: ip(saddr) }).verdict;
  expect([claim('arp', '10.244.1.254'), claim('tcp', '10.244.1.254'), claim('tcp', 'fd00:1::fe')]).toEqual([
    'drop',
    'drop',
    'drop',
  ]);
  expect(claim('arp', '10.244.1.77')).toBe('accept');
});

describe('where nft can match its target, a neighbour advertisement', () => {
  const bridges = shape.bridges.map((one) => ({ ...one, addresses: [ip('fd00:1::fe')] }));
  const bindings = [binding, bind(pod({ name: 'other', ips: ['fd00:1::2'] }), bridged)];
  const checked = bridgeGuard({ routed: [], neighbourTargets: true, bridges }, bindings);
  const advert = (target: string, changes: Partial<Packet> = {}): string => {
    const type = { protocol: 'icmpv6', icmpType: 'nd-neighbor-advert', hopLimit: 255 } as const;
    const about = { saddr: ip('fe80::1'), neighbourTarget: ip(target) };
    return simulate(checked, 'guard', { ...frame, ...type, ...about, ...changes }).verdict;
  };
  const stranger = { iifname: 'veth-new', etherSource: '02:00:00:00:00:09' };

  test.each([
    ['own address', 'accept', 'fd00:1::1'],
    ['own link-local address', 'accept', 'fe80::1'],
    ["another pod's address", 'drop', 'fd00:1::2'],
    ["gateway's address", 'drop', 'fd00:1::fe'],
    ['address nobody has', 'drop', 'fd00:1::77'],
  ])('of a bound port, about its %s: %s', (_, expected, target) => {
    expect(advert(target)).toBe(expected);
    expect(advert(target, { saddr: ip('fd00:1::1') })).toBe(expected);
  });

  test.each([
    ['an address nobody has', 'accept', 'fd00:1::77'],
    ["a pod's address", 'drop', 'fd00:1::2'],
    ["the gateway's address", 'drop', 'fd00:1::fe'],
  ])('of a port nobody is bound to, about %s: %s', (_, expected, target) => {
    expect(advert(target, stranger)).toBe(expected);
    expect(advert(target, { ...stranger, saddr: ip('fd00:1::9') })).toBe(expected);
  });

  test('is the only message it holds: who asks for another may do so', () => {
    expect(advert('fd00:1::2', { icmpType: 'nd-neighbor-solicit' })).toBe('accept');
  });
});

test('ports of other bridges are not touched', () => {
  expect(verdict({ iifname: 'tap0', ibrname: 'br-other' })).toBe('accept');
});

test('tagged frames are dropped before anything else, on bound and unknown ports: the IP hooks never see them', () => {
  for (const name of ['bound', 'quarantine-cni0']) {
    const [first] = table.chains.get(name)?.rules ?? [];
    expect(JSON.stringify(first?.statements)).toContain('8021q');
    expect(first?.statements.at(-1)).toEqual({ drop: null });
  }
  // What the guard lets pass before it asks for the port is an IP frame by its type, and so none with a tag.
  const short = table.chains.get('guard')?.rules.filter(({ statements }) => 'accept' in (statements.at(-1) ?? {}));
  expect(short).toHaveLength(2);
  for (const { statements } of short ?? []) {
    expect(JSON.stringify(statements[0])).toMatch(/"field":"type"}},"right":"ip6?"/);
  }
});

test('a pod whose MAC address nobody knows sends nothing', () => {
  const { mac: _, ...unknown } = binding;
  const guarded = bridgeGuard(shape, [unknown]);
  expect(simulate(guarded, 'guard', frame).verdict).toBe('drop');
  expect(simulate(guarded, 'guard', { ...frame, saddr: ip('fd00:1::1') }).verdict).toBe('drop');
});

test('a pod whose address is link-local discovers neighbours from it, and nothing else', () => {
  const guarded = bridgeGuard(shape, [{ ...binding, addresses: [ip('fe80::7')] }]);
  const from = { ...frame, saddr: ip('fe80::7') };
  const discovery = { protocol: 'icmpv6', icmpType: 'nd-neighbor-solicit', hopLimit: 255 } as const;
  expect(simulate(guarded, 'guard', from).verdict).toBe('drop');
  expect(simulate(guarded, 'guard', { ...from, ...discovery }).verdict).toBe('accept');
});

test('the guard runs before br_netfilter', () => {
  expect(table.chains.get('guard')?.base).toEqual({ type: 'filter', hook: 'prerouting', priority: -350 });
});

test('only bridged pods are known to it', () => {
  expect([...(table.maps.get('ports')?.elements.keys() ?? [])]).toEqual(['veth-a']);
  expect([...(table.sets.get('known-4')?.elements ?? [])]).toEqual(['10.244.1.1']);
});
