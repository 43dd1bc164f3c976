import type { PodBinding } from '../model/binding.ts';
import type { Flow, FlowEnd } from '../model/flow.ts';
import type { NodeName, PodKey } from '../model/names.ts';
import type { Direction } from '../model/policy.ts';
import type { Ruleset, TableFamily } from './ruleset.ts';
import { simulate } from './simulate.ts';
import type { Outcome, Packet } from './simulate.ts';

/** A node as the packet meets it. */
export interface NodeRules {
  readonly ruleset: Ruleset;
  readonly bindings: ReadonlyMap<PodKey, PodBinding>;
}

/** What one node's rules did with the flow's first packet in one direction. */
export interface NodeOutcome extends Outcome {
  readonly node: NodeName;
  readonly family: TableFamily;
  readonly chain: string;
  /** As this chain saw it. */
  readonly packet: Packet;
}

/** What the rules of all nodes on the path do: each side, and every chain asked, in the order of the kernel. */
export interface PathOutcome {
  readonly egress: 'allow' | 'deny';
  readonly ingress: 'allow' | 'deny';
  readonly outcomes: readonly NodeOutcome[];
}

/** The interface towards everything that is no local pod. Never matches a pod interface. */
const uplink = 'uplink0';

/**
 * Follows the first packet of a flow over the nodes it passes. Traffic between a node and its own pods never enters
 * the forward hook; a pod that has no binding on its node hangs on an interface nobody knows.
 */
export function simulateFlow(flow: Flow, nodes: ReadonlyMap<NodeName, NodeRules>): PathOutcome {
  const outcomes: NodeOutcome[] = [];
  for (const name of passedNodes(flow)) {
    const node = nodes.get(name);
    if (node === undefined) continue;
    outcomes.push(...runNode(name, node, flow));
  }
  const side = (direction: Direction): 'allow' | 'deny' =>
    outcomes.every((outcome) => !outcome.chain.endsWith(direction) || outcome.verdict === 'accept') ? 'allow' : 'deny';
  return { egress: side('egress'), ingress: side('ingress'), outcomes };
}

/** Forwarding nodes: those of pod ends, unless the other end is the node itself. */
function passedNodes(flow: Flow): readonly NodeName[] {
  const names = [flow.from, flow.to].flatMap((end) =>
    end.kind === 'pod' && end.pod.node !== undefined ? [end.pod.node] : [],
  );
  return [...new Set(names)];
}

function runNode(name: NodeName, node: NodeRules, flow: Flow): NodeOutcome[] {
  const inet = node.ruleset.get('inet');
  if (inet === undefined) return [];
  const packet = toPacket(name, node, flow);
  const fromNode = isThisNode(flow.from, name);
  const toNode = isThisNode(flow.to, name);
  const outcomes: NodeOutcome[] = [];
  const guard = guardFrame(name, node, flow, packet);
  const bridge = node.ruleset.get('bridge');
  if (bridge !== undefined && guard !== undefined) {
    const family = 'bridge' as const;
    outcomes.push({ node: name, family, ...simulate(bridge, 'guard', guard), chain: 'guard-egress', packet: guard });
  }
  const chains = fromNode
    ? []
    : toNode
      ? ['input-guard-egress', 'input-egress']
      : ['forward-egress', 'forward-ingress'];
  for (const chain of chains) {
    if (inet.chains.has(chain)) {
      outcomes.push({ node: name, family: 'inet', ...simulate(inet, chain, packet), chain, packet });
    }
  }
  const delivered = deliveredFrame(name, node, flow, packet);
  if (bridge?.chains.has('delivery') === true && delivered !== undefined) {
    const outcome = simulate(bridge, 'delivery', delivered);
    outcomes.push({ node: name, family: 'bridge', ...outcome, chain: 'delivery-ingress', packet: delivered });
  }
  return outcomes;
}

function isThisNode(end: FlowEnd, name: NodeName): boolean {
  return end.kind === 'node' && end.name === name;
}

function toPacket(name: NodeName, node: NodeRules, flow: Flow): Packet {
  const [saddr, daddr] = [flow.from.address, flow.to.address];
  const icmp = flow.family === 'IPv4' ? ('icmp' as const) : ('icmpv6' as const);
  const [iifname, oifname] = [interfaceOf(flow.from, name, node), interfaceOf(flow.to, name, node)];
  return {
    iifname,
    oifname,
    iifkind: kindOf(iifname, node),
    oifkind: kindOf(oifname, node),
    ...(saddr === undefined ? {} : { saddr }),
    ...(daddr === undefined ? {} : { daddr }),
    protocol: flow.protocol === 'ICMP' ? icmp : (flow.protocol.toLowerCase() as 'tcp' | 'udp' | 'sctp'),
    ...(flow.protocol === 'ICMP' ? { icmpType: 'echo-request' } : {}),
    ...(flow.port === undefined ? {} : { sport: 40_000, dport: flow.port }),
    hopLimit: 63,
    ctDirection: 'original',
    ctState: 'new',
  };
}

/** Where a packet enters or leaves this node: the pod's own interface, its bridge, or the uplink. */
function interfaceOf(end: FlowEnd, name: NodeName, node: NodeRules): string {
  if (end.kind !== 'pod' || end.pod.node !== name) return uplink;
  const binding = node.bindings.get(end.pod.key);
  if (binding === undefined) return unboundInterface(node);
  return binding.attachment.kind === 'bridged' ? binding.attachment.bridge : binding.interface;
}

/** A pod's interface is a veth; a pod on a bridge is met by the bridge. */
function kindOf(name: string, node: NodeRules): string {
  if (name === uplink) return 'physical';
  const isBridge = [...node.bindings.values()].some(
    ({ attachment }) => attachment.kind === 'bridged' && attachment.bridge === name,
  );
  return isBridge ? 'bridge' : 'veth';
}

/** The interface of a local pod nobody has bound: it looks like the others. */
function unboundInterface(node: NodeRules): string {
  const [binding] = node.bindings.values();
  return binding?.attachment.kind === 'bridged' ? binding.attachment.bridge : 'vethffffffff';
}

/** The frame a bridged pod sends, as its port's guard sees it. */
function guardFrame(name: NodeName, node: NodeRules, flow: Flow, packet: Packet): Packet | undefined {
  if (flow.from.kind !== 'pod' || flow.from.pod.node !== name) return undefined;
  const binding = node.bindings.get(flow.from.pod.key);
  if (binding?.attachment.kind !== 'bridged' || binding.mac === undefined) return undefined;
  return {
    ...packet,
    iifname: binding.interface,
    oifname: '',
    ibrname: binding.attachment.bridge,
    etherSource: binding.mac,
  };
}

/** The frame a bridged pod receives from another port of its bridge, at its own port. */
function deliveredFrame(name: NodeName, node: NodeRules, flow: Flow, packet: Packet): Packet | undefined {
  if (flow.from.kind !== 'pod' || flow.to.kind !== 'pod') return undefined;
  if (flow.from.pod.node !== name || flow.to.pod.node !== name) return undefined;
  const [source, target] = [flow.from, flow.to].map(({ pod }) => node.bindings.get(pod.key));
  if (source?.attachment.kind !== 'bridged' || target?.attachment.kind !== 'bridged') return undefined;
  if (source.attachment.bridge !== target.attachment.bridge || source === target) return undefined;
  return { ...packet, iifname: source.interface, oifname: target.interface, ibrname: source.attachment.bridge };
}
