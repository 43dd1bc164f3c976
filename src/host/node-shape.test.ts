import { describe, expect, test } from 'vitest';

import type { NodeShape, PodBinding } from '../model/binding.ts';
import { parseCidr } from '../model/cidr.ts';
import type { Cidr } from '../model/cidr.ts';
import type { IpAddress } from '../model/ip.ts';
import { nodeName, podKey } from '../model/names.ts';
import type { CniConfig } from './cni-config.ts';
import type { HostFacts } from './facts.ts';
import type { Link } from './links.ts';
import { checkNode } from './network-plugin.ts';
import { matchesPattern, nodeShape } from './node-shape.ts';
import { sampleFacts, sampleRoute, sampleVeth } from './sample-facts.ts';

const cidr = (text: string): Cidr => {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(text);
  return parsed.cidr;
};
const address = (text: string, prefix: number): Link['addresses'][number] => ({
  address: text as IpAddress,
  prefix,
  scope: 'global',
});
const bridge = (name: string, ...addresses: Link['addresses']): Link => ({
  index: 50,
  name,
  kind: 'bridge',
  loopback: false,
  addresses,
});
const config = (...plugins: string[]): CniConfig => ({
  file: '/etc/cni/net.d/10.conflist',
  network: 'n',
  plugins,
  podCidrs: [],
});
const bound = (name: string, attachment: PodBinding['attachment']): PodBinding => ({
  pod: podKey('default', name),
  uid: name,
  interface: name,
  addresses: [],
  attachment,
});
const routed = { kind: 'routed' } as const;

describe('interfaces of routed pods', () => {
  const ptp = config('ptp');
  const cases: { name: string; facts?: Partial<HostFacts>; bindings?: PodBinding[]; expected: Partial<NodeShape> }[] = [
    { name: 'a bare node without pods takes every veth', expected: { routed: [], anyVeth: true } },
    {
      name: 'a plugin nobody knows may name its veths as it likes',
      facts: { config: config('my-own-cni') },
      bindings: [bound('mypod0', routed)],
      expected: { routed: [], anyVeth: true },
    },
    { name: 'calico takes cali*', facts: { config: config('calico', 'portmap') }, expected: { routed: ['cali*'] } },
    { name: 'the AWS plugin takes eni*', facts: { config: config('aws-cni') }, expected: { routed: ['eni*'] } },
    {
      name: 'a configured prefix is taken too',
      facts: { config: { ...config('aws-cni'), interfacePrefix: 'abc' } },
      expected: { routed: ['abc*', 'eni*'] },
    },
    {
      name: 'a bridge plugin routes nobody',
      facts: { config: { ...config('bridge'), bridge: 'cni0' } },
      expected: { routed: [] },
    },
    {
      name: 'a routed pod on a bridge node brings its pattern',
      facts: { config: { ...config('bridge'), bridge: 'cni0' } },
      bindings: [bound('vethA', routed)],
      expected: { routed: ['veth*'] },
    },
    {
      name: 'a pod nobody named, but a host route leads to, brings its pattern',
      facts: {
        config: { ...config('bridge'), bridge: 'cni0' },
        links: [sampleVeth('knet1', 5)],
        routes: [sampleRoute('10.1.1.2', 'knet1')],
      },
      expected: { routed: ['knet*'] },
    },
    {
      name: 'a pod whose interface has a name of no known kind brings every veth',
      facts: { config: ptp },
      bindings: [bound('mypod0', routed)],
      expected: { routed: [], anyVeth: true },
    },
  ];
  test.each(cases)('$name', ({ facts, bindings, expected }) => {
    const { routed: patterns, anyVeth } = nodeShape(sampleFacts(facts), bindings ?? []);
    expect({ routed: patterns, ...(anyVeth && { anyVeth }) }).toEqual(expected);
  });

  test('a name of no known kind is expected again after its pod has gone', () => {
    const facts = sampleFacts({ config: ptp });
    expect(nodeShape(facts, [], undefined, { foreignNames: true }).anyVeth).toBe(true);
    expect(nodeShape(facts, []).anyVeth).toBeUndefined();
  });

  const gateway = { ...sampleRoute('192.168.7.0/24', 'veth-up'), hops: [{ interface: 'veth-up', gateway: true }] };
  const uplinks: { name: string; facts: Partial<HostFacts>; byKind: number }[] = [
    {
      name: 'a default route',
      facts: { links: [sampleVeth('veth-up', 5)], routes: [sampleRoute('default', 'veth-up')] },
      byKind: 0,
    },
    { name: 'a route through a gateway', facts: { links: [sampleVeth('veth-up', 5)], routes: [gateway] }, byKind: 1 },
    {
      name: 'a subnet of its own',
      facts: { links: [sampleVeth('veth-up', 5, { addresses: [address('192.168.1.1', 24)] })] },
      byKind: 1,
    },
  ];
  test.each(uplinks)('an interface with $name is excepted, others stay covered', ({ facts, byKind }) => {
    const links = [...(facts.links ?? []), sampleVeth('vethA', 6)];
    const byName = sampleFacts({ ...facts, links, config: ptp });
    expect(nodeShape(byName, [])).toMatchObject({ routed: ['veth*'], strangers: ['veth-up'] });
    expect(warnings(byName)).toEqual(['warn routed-pattern-covers-uplink']);
    const anyName = sampleFacts({ ...facts, links });
    expect(nodeShape(anyName, [])).toMatchObject({ anyVeth: true, strangers: ['veth-up'] });
    expect(warnings(anyName)).toHaveLength(byKind);
  });

  test('an interface that is no veth is excepted from a pattern, and no kind covers it', () => {
    const links: Link[] = [{ index: 5, name: 'veth-up', loopback: false, addresses: [] }];
    expect(nodeShape(sampleFacts({ links, config: ptp }), []).strangers).toEqual(['veth-up']);
    expect(nodeShape(sampleFacts({ links }), [])).toEqual({ routed: [], anyVeth: true, bridges: [] });
  });

  test('an interface that a closed pod may have is not left out for a route through it, but for the way out is', () => {
    const links = [sampleVeth('veth-up', 5)];
    const claimed = new Set(['veth-up']);
    const strangers = (...routes: HostFacts['routes']): readonly string[] | undefined =>
      nodeShape(sampleFacts({ links, routes }), [], undefined, { claimed }).strangers;
    expect(strangers(gateway)).toBeUndefined();
    expect(strangers(sampleRoute('default', 'veth-up'))).toEqual(['veth-up']);
    const wayOut = sampleFacts({ links, routes: [sampleRoute('default', 'veth-up')] });
    expect(checkNode(wayOut, [], { claimed }).map(({ code }) => code)).toEqual(['routed-pattern-covers-uplink']);
    expect(checkNode(wayOut)).toEqual([]);
  });

  test('an address on the node’s end of a veth that is a pod’s does not make it an uplink', () => {
    const facts = sampleFacts({ links: [sampleVeth('vethA', 5, { addresses: [address('10.0.1.1', 24)] })] });
    expect(nodeShape(facts, [bound('vethA', routed)]).strangers).toBeUndefined();
  });

  test('a bridge port may be covered: it never appears in the forward hook', () => {
    const facts = sampleFacts({ links: [bridge('docker0'), sampleVeth('vethD', 5, { master: 'docker0' })] });
    expect(nodeShape(facts, [])).toEqual({ routed: [], anyVeth: true, bridges: [] });
  });

  function warnings(facts: HostFacts): readonly string[] {
    return checkNode(facts).map(({ code, severity }) => `${severity} ${code}`);
  }
});

describe('bridges', () => {
  const port = (name: string, master: string): Link => sampleVeth(name, 5, { master });

  test('the configured bridge is guarded before it exists', () => {
    const facts = sampleFacts({ config: { ...config('bridge'), bridge: 'cni0', podCidrs: [cidr('10.244.1.0/24')] } });
    expect(nodeShape(facts, []).bridges).toEqual([
      { name: 'cni0', ports: { kind: 'pattern', pattern: 'veth*' }, podCidrs: [cidr('10.244.1.0/24')] },
    ]);
  });

  test('a bare node takes bridges whose ports are all veths, but not those of container engines or with an uplink', () => {
    const nic: Link = { index: 9, name: 'ens3', loopback: false, addresses: [], master: 'br0' };
    const links = [
      bridge('pods'),
      port('vethA', 'pods'),
      bridge('docker0'),
      port('vethD', 'docker0'),
      bridge('br0'),
      port('vethL', 'br0'),
      nic,
    ];
    expect(nodeShape(sampleFacts({ links }), []).bridges.map(({ name }) => name)).toEqual(['pods']);
  });

  test('a plugin nobody knows may bridge its pods, a routing one does not', () => {
    const links = [bridge('pods'), port('vethA', 'pods')];
    const names = (plugin: string): string[] =>
      nodeShape(sampleFacts({ links, config: config(plugin) }), []).bridges.map(({ name }) => name);
    expect([names('my-own-cni'), names('calico')]).toEqual([['pods'], []]);
  });

  test('pod addresses are the subnets of the bridge and of the Node, without those inside another', () => {
    const links = [bridge('cni0', address('10.244.1.1', 24), address('fd00::1', 64))];
    const node = {
      kind: 'Node' as const,
      name: nodeName('n'),
      uid: 'n',
      addresses: [],
      podCidrs: [cidr('10.244.0.0/16')],
      source: { kind: 'cluster' as const, resourceVersion: '1' },
    };
    expect(nodeShape(sampleFacts({ links }), [], node).bridges[0]?.podCidrs.map(({ text }) => text)).toEqual([
      '10.244.0.0/16',
      'fd00::/64',
    ]);
  });

  test('ports are known by the bridge where the kernel can', () => {
    const facts = sampleFacts({
      links: [bridge('cni0'), port('vethA', 'cni0'), bridge('docker0'), port('vethD', 'docker0')],
      bridgeNameMatch: true,
    });
    expect(nodeShape(facts, []).bridges[0]?.ports).toEqual({ kind: 'bridge-name' });
    expect(checkNode(facts)).toEqual([]);
  });

  test('targets of neighbour advertisements are checked on bridges where nft can', () => {
    const links = [bridge('cni0'), port('vethA', 'cni0')];
    expect(nodeShape(sampleFacts({ links, neighbourTargetMatch: true }), [])).toMatchObject({ neighbourTargets: true });
    for (const facts of [{ links }, { links, neighbourTargetMatch: false }, { neighbourTargetMatch: true }])
      expect(nodeShape(sampleFacts(facts), [])).not.toHaveProperty('neighbourTargets');
  });

  test('where it cannot, ports of a foreign bridge with the same names are a reason to refuse', () => {
    const facts = sampleFacts({
      links: [bridge('cni0'), port('vethA', 'cni0'), bridge('docker0'), port('vethD', 'docker0')],
    });
    expect(checkNode(facts).map(({ code }) => code)).toEqual(['bridge-ports-ambiguous']);
  });

  test('ports of the pod bridge that no pattern covers are a reason to refuse', () => {
    const facts = sampleFacts({ links: [bridge('cni0'), port('vethA', 'cni0'), port('tapB', 'cni0')] });
    expect(checkNode(facts).map(({ code }) => code)).toEqual(['bridge-ports-ambiguous']);
  });

  test('an uplink in the pod bridge is a reason to refuse', () => {
    const nic: Link = { index: 9, name: 'ens3', loopback: false, addresses: [], master: 'cni0' };
    expect(checkNode(sampleFacts({ links: [bridge('cni0'), nic] })).map(({ code }) => code)).toEqual(['bridge-uplink']);
  });
});

test('a pattern is a prefix with a star, or an exact name', () => {
  expect([matchesPattern('veth*', 'veth1'), matchesPattern('veth', 'veth1'), matchesPattern('veth1', 'veth1')]).toEqual(
    [true, false, true],
  );
});

test('a bridge that carried pods stays in the shape while it exists, so that the next pod is closed from the start', () => {
  const facts = sampleFacts({ links: [bridge('mybr0')] });
  const names = (knownBridges: ReadonlySet<string>): string[] =>
    nodeShape(facts, [], undefined, { knownBridges }).bridges.map(({ name }) => name);
  expect(names(new Set())).toEqual([]);
  expect(names(new Set(['mybr0', 'gone0']))).toEqual(['mybr0']);
});
