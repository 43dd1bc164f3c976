import { describe, expect, test } from 'vitest';

import type { HostFacts } from './facts.ts';
import { parseCidr } from '../model/cidr.ts';
import { checkNode } from './network-plugin.ts';
import { sampleFacts, sampleVeth } from './sample-facts.ts';

const link = (name: string, kind = 'dummy'): HostFacts['links'][number] => ({
  index: 7,
  name,
  kind,
  loopback: false,
  addresses: [],
});
const config = (...plugins: string[]): HostFacts['config'] & object => ({
  file: '/etc/cni/net.d/10.conflist',
  network: 'n',
  plugins,
  podCidrs: [],
});
const bridgeConfig = { ...config('bridge'), bridge: 'cni0' };

describe('refused networks', () => {
  const cases: { name: string; facts: Partial<HostFacts>; code: string }[] = [
    { name: 'kube-proxy in IPVS mode', facts: { links: [link('kube-ipvs0')] }, code: 'kube-proxy-ipvs' },
    { name: 'Cilium by its interface', facts: { links: [link('cilium_host', 'veth')] }, code: 'network-plugin-ebpf' },
    { name: 'Cilium by its configuration', facts: { config: config('cilium-cni') }, code: 'network-plugin-ebpf' },
    {
      name: 'Cilium chained on another plugin',
      facts: { config: config('aws-cni', 'cilium-cni') },
      code: 'network-plugin-ebpf',
    },
    {
      name: 'Cilium by a pod interface',
      facts: { links: [sampleVeth('lxc0123456789ab', 5)] },
      code: 'network-plugin-ebpf',
    },
    { name: 'GKE Dataplane V2', facts: { links: [sampleVeth('gke0123456789a', 5)] }, code: 'network-plugin-ebpf' },
    { name: 'Calico with eBPF', facts: { links: [link('bpfin.cali', 'veth')] }, code: 'network-plugin-ebpf' },
    { name: 'Antrea', facts: { links: [link('antrea-gw0')] }, code: 'network-plugin-ovs' },
    { name: 'an OVS datapath', facts: { links: [link('br-int', 'openvswitch')] }, code: 'network-plugin-ovs' },
    { name: 'OVN-Kubernetes', facts: { config: config('ovn-k8s-cni-overlay') }, code: 'network-plugin-ovs' },
    { name: 'Weave', facts: { config: config('weave-net') }, code: 'network-plugin-weave' },
    { name: 'macvlan', facts: { config: config('macvlan') }, code: 'network-plugin-without-veth' },
    {
      name: 'a bridge whose IPv6 packets bypass us',
      facts: { config: bridgeConfig, settings: { bridgeNetfilter4: true, bridgeNetfilter6: false } },
      code: 'bridge-netfilter-off',
    },
    {
      name: 'a bridge without br_netfilter',
      facts: { config: bridgeConfig, settings: {} },
      code: 'bridge-netfilter-off',
    },
  ];
  test.each(cases)('$name', ({ facts, code }) => {
    const found = checkNode(sampleFacts(facts)).filter(({ severity }) => severity === 'refuse');
    expect(found.map((refusal) => refusal.code)).toEqual([code]);
    for (const { seen, why, help } of found) expect([seen, why, help].every((text) => text.length > 5)).toBe(true);
  });
});

describe('accepted networks', () => {
  test.each([
    { name: 'a bare node', facts: {} },
    { name: 'calico', facts: { config: config('calico', 'portmap') } },
    { name: 'a bridge with br_netfilter on', facts: { config: bridgeConfig } },
    { name: 'a routed node without br_netfilter', facts: { config: config('ptp'), settings: { forwarding4: true } } },
    { name: 'LXC’s interfaces, which are not Cilium’s', facts: { links: [sampleVeth('lxcbr-port', 5)] } },
  ])('$name', ({ facts }) => {
    expect(checkNode(sampleFacts(facts))).toEqual([]);
  });
});

test('pods of an IPv6 bridge are warned about where nft cannot match what a neighbour advertises', () => {
  const codes = (neighbourTargetMatch: boolean | undefined, ...blocks: string[]): string[] =>
    checkNode(
      sampleFacts({
        config: { ...bridgeConfig, podCidrs: blocks.flatMap((text) => parseCidr(text)?.cidr ?? []) },
        ...(neighbourTargetMatch !== undefined && { neighbourTargetMatch }),
      }),
    ).map(({ code, severity }) => `${severity} ${code}`);
  expect(codes(false, '10.244.1.0/24', 'fd00::/64')).toEqual(['warn neighbour-targets-unchecked']);
  expect([...codes(false, '10.244.1.0/24'), ...codes(true, 'fd00::/64'), ...codes(undefined, 'fd00::/64')]).toEqual([]);
});

test('a node that forwards nothing is warned about, not refused', () => {
  const facts = sampleFacts({ config: config('ptp'), settings: { forwarding4: false, forwarding6: false } });
  expect(checkNode(facts).map(({ code, severity }) => [code, severity])).toEqual([['forwarding-off', 'warn']]);
});
