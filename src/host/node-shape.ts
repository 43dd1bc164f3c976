import type { BridgePorts, NodeShape, PodBinding } from '../model/binding.ts';
import { cidrContains, toCidr } from '../model/cidr.ts';
import type { Cidr } from '../model/cidr.ts';
import { familyOf, ipToBigInt } from '../model/ip.ts';
import type { IpAddress } from '../model/ip.ts';
import { compareText } from '../model/names.ts';
import type { Node } from '../model/node.ts';
import type { HostFacts } from './facts.ts';
import { indexFacts } from './evidence.ts';
import type { Link } from './links.ts';
import { openTunnels } from './tunnels.ts';
import { bridgeOfPort, exitReason, strangerReason } from './uplinks.ts';

/** What the facts of one moment do not tell. */
export interface ShapeOptions {
  /** Names of pod bridges, instead of the detected ones. */
  readonly bridges?: readonly string[];
  /** Bridges that carried pods before: they count while they exist, empty or not. */
  readonly knownBridges?: ReadonlySet<string>;
  /** A routed pod once had an interface of a name that no pattern covers: so may the next. */
  readonly foreignNames?: boolean;
  /** Interfaces that some pod without a binding may have: such a pod stays closed, so none of them may be left out. */
  readonly claimed?: ReadonlySet<string>;
}

/** Prefixes of host interfaces that network plugins give to pods. */
const POD_PREFIXES = ['veth', 'cali', 'eni', 'knet', 'azv'] as const;

/** Patterns of plugins that route their pods. Of a plugin that is neither here nor on a bridge, every veth is a pod's. */
const ROUTED_PLUGINS: ReadonlyMap<string, readonly string[]> = new Map([
  ['ptp', ['veth*']],
  ['calico', ['cali*']],
  ['aws-cni', ['eni*']],
  ['kindnet', ['knet*', 'veth*']],
  ['cni-kindnet', ['knet*', 'veth*']],
  ['azure-vnet', ['azv*']],
]);

/** Bridges of container engines that are not the pod network: docker0 and the bridges of Docker networks, libvirt's, Podman's. */
const FOREIGN_BRIDGE = /^(?:docker\d+|br-[0-9a-f]{12}|virbr\d+|podman\d+|lxcbr\d+|lxdbr\d+)$/;

/**
 * How to recognise pods of this node, known or not. Stable while pods come and go, so that unknown pods are closed from the start:
 * with a CNI configuration it follows the plugin; without one, or with a plugin nobody knows, it takes every veth, cni0 and every
 * bridge that has veth ports only.
 * Uplinks that this covers are excepted from it; {@link coveredUplinks} tells.
 */
export function nodeShape(
  facts: HostFacts,
  bindings: readonly PodBinding[],
  node?: Node,
  options: ShapeOptions = {},
): NodeShape {
  const strangers = coveredUplinks(facts, bindings, options).map((uplink) => uplink.interface);
  const names = podBridges(facts, bindings, options);
  const bridges = names.map((name) => ({
    name,
    ports: portsOf(facts, bindings, name),
    podCidrs: podCidrsOf(facts, name, node),
    ...ownAddresses(facts, name),
  }));
  const tunnels = openTunnels(facts.links);
  return {
    ...routedPods(facts, bindings, options),
    ...(strangers.length > 0 && { strangers }),
    ...(tunnels !== undefined && { tunnels }),
    ...(bridges.length > 0 && facts.neighbourTargetMatch === true && { neighbourTargets: true }),
    bridges,
  };
}

/** Whether an nftables interface pattern (`veth*`, or an exact name) matches a name. */
export function matchesPattern(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

/** An interface that is left out where all others like it are closed. */
export interface CoveredUplink {
  readonly interface: string;
  /** What covers it: a pattern, or the kind of interface. */
  readonly by: string;
  readonly why: string;
  /** It surely leads away from this node, and no pod is said to be behind it. */
  readonly sure: boolean;
}

/** Uplinks that would be taken for interfaces of routed pods, sorted: what passes them is not judged as a pod's. */
export function coveredUplinks(
  facts: HostFacts,
  bindings: readonly PodBinding[],
  options: ShapeOptions = {},
): readonly CoveredUplink[] {
  const { routed, anyVeth } = routedPods(facts, bindings, options);
  const bound = new Set(bindings.map((binding) => binding.interface));
  return facts.links
    .flatMap((link): CoveredUplink[] => {
      // Ports of a bridge never appear in the forward hook themselves, so they may be covered.
      if (link.master !== undefined || bound.has(link.name)) return [];
      const pattern = routed.find((one) => matchesPattern(one, link.name));
      const by = anyVeth === true && link.kind === 'veth' ? 'every veth' : pattern;
      if (by === undefined) return [];
      const exit = exitReason(facts, link);
      const claimed = options.claimed?.has(link.name) === true;
      if (exit === undefined && claimed) return [];
      const why = exit ?? strangerReason(facts, link);
      return why === undefined ? [] : [{ interface: link.name, by, why, sure: exit !== undefined && !claimed }];
    })
    .sort((a, b) => compareText(a.interface, b.interface));
}

/** Names of the bridges that carry pods, sorted. */
export function podBridges(
  facts: HostFacts,
  bindings: readonly PodBinding[],
  options: ShapeOptions = {},
): readonly string[] {
  if (options.bridges !== undefined) return [...options.bridges].sort();
  const names = new Set<string>();
  for (const { attachment } of bindings) if (attachment.kind === 'bridged') names.add(attachment.bridge);
  if (facts.config?.bridge !== undefined) names.add(facts.config.bridge);
  for (const { name, kind } of facts.links) if (kind === 'bridge' && options.knownBridges?.has(name)) names.add(name);
  if (!isKnownPlugin(facts)) {
    for (const link of facts.links) {
      if (link.kind !== 'bridge' || FOREIGN_BRIDGE.test(link.name)) continue;
      const ports = portsOfBridge(facts, link.name);
      const carriesPods = ports.length > 0 && ports.every(({ kind }) => kind === 'veth' || kind === 'dummy');
      if (link.name === 'cni0' || carriesPods) names.add(link.name);
    }
  }
  return [...names].sort(compareText);
}

/** Whether the configuration says how its plugin attaches pods; of any other plugin both ways must be expected. */
export function isKnownPlugin({ config }: HostFacts): boolean {
  return config !== undefined && (config.bridge !== undefined || ROUTED_PLUGINS.has(config.plugins[0] ?? ''));
}

/** Links that are ports of the bridge. */
export function portsOfBridge(facts: HostFacts, bridge: string): readonly Link[] {
  return facts.links.filter(({ master }) => master === bridge);
}

/** What the interfaces of routed pods look like, present and to come. */
function routedPods(
  facts: HostFacts,
  bindings: readonly PodBinding[],
  options: ShapeOptions,
): Pick<NodeShape, 'routed' | 'anyVeth'> {
  const patterns = new Set<string>();
  const [plugin] = facts.config?.plugins ?? [];
  let anyVeth = !isKnownPlugin(facts) || options.foreignNames === true;
  if (facts.config?.bridge === undefined) {
    for (const pattern of ROUTED_PLUGINS.get(plugin ?? '') ?? []) patterns.add(pattern);
  }
  if (facts.config?.interfacePrefix !== undefined) patterns.add(`${facts.config.interfacePrefix}*`);
  for (const { interface: name, attachment } of bindings) {
    if (attachment.kind !== 'routed' || [...patterns].some((pattern) => matchesPattern(pattern, name))) continue;
    const prefix = knownPrefix(name);
    // Another plugin is at work that names its interfaces like this one.
    if (prefix === undefined) anyVeth = true;
    else patterns.add(`${prefix}*`);
  }
  if (anyVeth) return { routed: [], anyVeth };
  // Pods that nobody has named yet: veths that a host route leads to.
  const routes = new Set([...indexFacts(facts).hostRoutes.values()].flatMap((names) => [...names]));
  for (const link of routedCandidates(facts)) {
    const prefix = routes.has(link.name) ? knownPrefix(link.name) : undefined;
    if (prefix !== undefined) patterns.add(`${prefix}*`);
  }
  return { routed: [...patterns].sort() };
}

function knownPrefix(name: string): string | undefined {
  return POD_PREFIXES.find((known) => name.startsWith(known));
}

/** Interfaces that could be a routed pod's: veths that are nobody's port and no uplink. */
function routedCandidates(facts: HostFacts): readonly Link[] {
  return facts.links.filter(
    (link) => link.kind === 'veth' && link.master === undefined && strangerReason(facts, link) === undefined,
  );
}

function portsOf(facts: HostFacts, bindings: readonly PodBinding[], bridge: string): BridgePorts {
  if (facts.bridgeNameMatch === true) return { kind: 'bridge-name' };
  const known = [
    ...bindings.flatMap((one) =>
      one.attachment.kind === 'bridged' && one.attachment.bridge === bridge ? [one.interface] : [],
    ),
    ...portsOfBridge(facts, bridge).flatMap(({ kind, name }) => (kind === 'veth' ? [name] : [])),
  ];
  const prefix = POD_PREFIXES.find((one) => known.length > 0 && known.every((name) => name.startsWith(one)));
  return { kind: 'pattern', pattern: `${prefix ?? 'veth'}*` };
}

/** Ports of foreign bridges that the guard's pattern would take for pods, and ports of this one that it would miss. */
export function misjudgedPorts(
  facts: HostFacts,
  shape: NodeShape,
  bridge: NodeShape['bridges'][number],
): { readonly foreign: readonly string[]; readonly missed: readonly string[] } {
  if (bridge.ports.kind === 'bridge-name') return { foreign: [], missed: [] };
  const { pattern } = bridge.ports;
  const podBridgeNames = new Set(shape.bridges.map(({ name }) => name));
  const ports = facts.links.filter((link) => bridgeOfPort(facts.links, link) !== undefined);
  return {
    foreign: ports
      .filter(({ name, master }) => !podBridgeNames.has(master ?? '') && matchesPattern(pattern, name))
      .map(({ name }) => name),
    missed: ports
      .filter(({ name, master, kind }) => master === bridge.name && kind === 'veth' && !matchesPattern(pattern, name))
      .map(({ name }) => name),
  };
}

function ownAddresses(facts: HostFacts, bridge: string): { readonly addresses?: readonly IpAddress[] } {
  const addresses = (facts.links.find(({ name }) => name === bridge)?.addresses ?? [])
    .filter(({ scope }) => scope === 'global')
    .map(({ address }) => address)
    .sort(compareText);
  return addresses.length === 0 ? {} : { addresses };
}

function podCidrsOf(facts: HostFacts, bridge: string, node: Node | undefined): readonly Cidr[] {
  const addresses = facts.links.find(({ name }) => name === bridge)?.addresses ?? [];
  const own = addresses
    .filter(({ scope }) => scope === 'global')
    .map(({ address, prefix }) => toCidr(familyOf(address), ipToBigInt(address), prefix));
  const configured = facts.config?.bridge === bridge ? facts.config.podCidrs : [];
  const all = [...own, ...configured, ...(node?.podCidrs ?? [])];
  const widest = all.filter(
    (cidr) => !all.some((other) => other.prefix < cidr.prefix && cidrContains(other, cidr.base)),
  );
  return [...new Map(widest.map((cidr) => [cidr.text, cidr])).values()].sort((a, b) => compareText(a.text, b.text));
}
