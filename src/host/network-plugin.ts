import type { PodBinding } from '../model/binding.ts';
import type { HostFacts } from './facts.ts';
import { coveredUplinks, misjudgedPorts, nodeShape, podBridges, portsOfBridge } from './node-shape.ts';
import type { CoveredUplink, ShapeOptions } from './node-shape.ts';

/** Why policy cannot hold on this node, or holds less than it should. */
export type RefusalCode =
  | 'kube-proxy-ipvs'
  | 'network-plugin-ebpf'
  | 'network-plugin-ovs'
  | 'network-plugin-weave'
  | 'network-plugin-without-veth'
  | 'bridge-netfilter-off'
  | 'bridge-ports-ambiguous'
  | 'bridge-uplink'
  | 'neighbour-targets-unchecked'
  | 'routed-pattern-covers-uplink'
  | 'forwarding-off'
  | 'node-unknown';

/** Something about the node that makes enforcement impossible (`refuse`) or incomplete (`warn`). Never a reason for a weaker mode. */
export interface Refusal {
  readonly code: RefusalCode;
  readonly severity: 'refuse' | 'warn';
  /** What was seen. */
  readonly seen: string;
  /** What it would do to policy. */
  readonly why: string;
  /** What would make it work. */
  readonly help: string;
}

const EBPF_INTERFACES = /^(?:cilium_host|cilium_net|cilium_vxlan|lxc_health|bpfin\.cali|bpfout\.cali)$/;
const EBPF_POD_INTERFACE = /^(?:lxc[0-9a-f]{12,}|gke[0-9a-f]{11})$/;
const OVS_INTERFACES = /^(?:ovs-system|antrea-gw0|ovn-k8s-mp0|ovn0)$/;
const EBPF_PLUGINS = new Set(['cilium-cni', 'cilium']);
const OVS_PLUGINS = new Set(['antrea', 'ovn-k8s-cni-overlay', 'kube-ovn']);
const PLUGINS_WITHOUT_VETH = new Set(['macvlan', 'ipvlan', 'sriov', 'host-device', 'vlan', 'ib-sriov']);

/** Looks for everything that lets packets bypass the hooks we stand on. Empty: the node can be policed. */
export function checkNode(
  facts: HostFacts,
  bindings: readonly PodBinding[] = [],
  options: ShapeOptions = {},
): Refusal[] {
  return [
    ...checkServiceProxy(facts),
    ...checkPlugin(facts),
    ...checkBridges(facts, bindings, options),
    ...checkRouting(facts, bindings, options),
  ];
}

function checkServiceProxy(facts: HostFacts): Refusal[] {
  if (!facts.links.some(({ name }) => name === 'kube-ipvs0')) return [];
  return [
    {
      code: 'kube-proxy-ipvs',
      severity: 'refuse',
      seen: 'interface kube-ipvs0',
      why: 'kube-proxy in IPVS mode sends packets for Services through input and output: they never pass the forward hook',
      help: 'Run kube-proxy in nftables or iptables mode, and delete kube-ipvs0.',
    },
  ];
}

function checkPlugin(facts: HostFacts): Refusal[] {
  const [plugin] = facts.config?.plugins ?? [];
  const found: Refusal[] = [];
  const add = (code: RefusalCode, seen: readonly string[], why: string, help: string): void => {
    if (seen.length > 0) found.push({ code, severity: 'refuse', seen: seen.join(', '), why, help });
  };
  const configured = (types: ReadonlySet<string>): string[] =>
    facts.config === undefined
      ? []
      : facts.config.plugins
          .filter((type) => types.has(type))
          .map((type) => `plugin ${type} in ${facts.config?.file ?? ''}`);
  const interfaces = (matches: (name: string, kind: string | undefined) => boolean): string[] =>
    facts.links.filter(({ name, kind }) => matches(name, kind)).map(({ name }) => `interface ${name}`);
  add(
    'network-plugin-ebpf',
    [
      ...configured(EBPF_PLUGINS),
      ...interfaces(
        (name, kind) =>
          EBPF_INTERFACES.test(name) || (kind === 'veth' && EBPF_POD_INTERFACE.test(name)) || kind === 'netkit',
      ),
    ],
    'eBPF programs forward packets between pods before any nftables hook',
    'Use the network policy of that plugin, or a plugin that routes pods through the kernel.',
  );
  add(
    'network-plugin-ovs',
    [...configured(OVS_PLUGINS), ...interfaces((name, kind) => OVS_INTERFACES.test(name) || kind === 'openvswitch')],
    'Open vSwitch forwards packets between pods past the IP stack of the node',
    'Use the network policy of that plugin, or a plugin that routes or bridges pods through the kernel.',
  );
  add(
    'network-plugin-weave',
    [...configured(new Set(['weave-net'])), ...interfaces((name, kind) => name === 'weave' && kind === 'bridge')],
    'Weave is archived, and its bridge has uplinks that pods can reach without passing the IP stack',
    'Move to a maintained network plugin.',
  );
  add(
    'network-plugin-without-veth',
    plugin !== undefined && PLUGINS_WITHOUT_VETH.has(plugin) ? [`plugin ${plugin} in ${facts.config?.file ?? ''}`] : [],
    'pods have no interface on the node: their packets never pass its IP stack',
    'Use a network plugin that attaches pods by veth.',
  );
  return found;
}

function checkBridges(facts: HostFacts, bindings: readonly PodBinding[], options: ShapeOptions): Refusal[] {
  const found: Refusal[] = [];
  const names = podBridges(facts, bindings, options);
  const { bridgeNetfilter4, bridgeNetfilter6 } = facts.settings;
  if (names.length > 0 && (bridgeNetfilter4 !== true || bridgeNetfilter6 !== true)) {
    const state = (value: boolean | undefined): string => (value === undefined ? 'missing' : value ? '1' : '0');
    found.push({
      code: 'bridge-netfilter-off',
      severity: 'refuse',
      seen: `pod bridge ${names.join(', ')}; bridge-nf-call-iptables ${state(bridgeNetfilter4)}, bridge-nf-call-ip6tables ${state(bridgeNetfilter6)}`,
      why: 'packets between two pods of one bridge bypass every rule',
      help: 'On the node: modprobe br_netfilter; sysctl -w net.bridge.bridge-nf-call-iptables=1 net.bridge.bridge-nf-call-ip6tables=1',
    });
  }
  const shape = nodeShape(facts, bindings, undefined, options);
  const withIpv6 = shape.bridges.filter(({ podCidrs }) => podCidrs.some(({ family }) => family === 'IPv6'));
  if (withIpv6.length > 0 && facts.neighbourTargetMatch === false) {
    found.push({
      code: 'neighbour-targets-unchecked',
      severity: 'warn',
      seen: `pod bridge ${withIpv6.map(({ name }) => name).join(', ')} with IPv6, and an nft that cannot match icmpv6 taddr`,
      why: 'a pod can advertise the IPv6 address of another as its own, and what is sent to that address gets lost',
      help: 'Use nftables 1.1.3 or newer.',
    });
  }
  for (const bridge of shape.bridges) {
    const { foreign, missed } = misjudgedPorts(facts, shape, bridge);
    if (foreign.length > 0 || missed.length > 0) {
      found.push({
        code: 'bridge-ports-ambiguous',
        severity: 'refuse',
        seen: [
          ...foreign.map((name) => `port ${name} of a bridge that is not the pods'`),
          ...missed.map((name) => `port ${name} of ${bridge.name} with another kind of name`),
        ].join(', '),
        why: 'the kernel cannot match bridges by name (NFT_BRIDGE_META), and names of ports do not tell the pod bridge from others',
        help: 'Use a kernel with NFT_BRIDGE_META, or remove the other bridge.',
      });
    }
    const uplinks = portsOfBridge(facts, bridge.name).filter(({ kind }) => kind !== 'veth' && kind !== 'dummy');
    if (uplinks.length > 0) {
      found.push({
        code: 'bridge-uplink',
        severity: 'refuse',
        seen: `port ${uplinks.map(({ name }) => name).join(', ')} of ${bridge.name}`,
        why: 'an uplink in the pod bridge brings strangers’ packets in as if they came from pods',
        help: `Take the uplink out of ${bridge.name}.`,
      });
    }
  }
  return found;
}

function checkRouting(facts: HostFacts, bindings: readonly PodBinding[], options: ShapeOptions): Refusal[] {
  const found = coveredUplinks(facts, bindings, options).flatMap((uplink) => {
    const refusal = leftOut(uplink);
    return refusal === undefined ? [] : [refusal];
  });
  const { forwarding4, forwarding6 } = facts.settings;
  if (forwarding4 === false && forwarding6 !== true) {
    found.push({
      code: 'forwarding-off',
      severity: 'warn',
      seen: 'net.ipv4.ip_forward 0',
      why: 'the node forwards nothing: pods reach nobody but their node',
      help: 'Network plugins set it when they attach the first pod; otherwise: sysctl -w net.ipv4.ip_forward=1',
    });
  }
  return found;
}

/** A way out that is only of a pod's kind needs no word; one with a pod's name does, and one that might be a pod's. */
function leftOut({ interface: name, by, why, sure }: CoveredUplink): Refusal | undefined {
  const byKind = !by.endsWith('*');
  if (byKind && sure) return undefined;
  return {
    code: 'routed-pattern-covers-uplink',
    severity: 'warn',
    seen: `interface ${name}: ${why}`,
    why: `it looks like a pod's interface (${by}) and is left out: a pod behind it would be open`,
    help: byKind
      ? `If ${name} is a pod's, take its route or address away; else use a network plugin that is known, so that names tell.`
      : `Rename ${name} so that ${by} does not match it.`,
  };
}
