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
import { bridgeOfPort, strangerReason } from './uplinks.ts';

/** What the operator may set where detection cannot know. */
export interface ShapeOptions {
  /** Patterns or names of routed pods' interfaces, instead of the detected ones. */
  readonly routed?: readonly string[];
  /** Names of pod bridges, instead of the detected ones. */
  readonly bridges?: readonly string[];
  /** Bridges that carried pods before: they count while they exist, empty or not. */
  readonly knownBridges?: ReadonlySet<string>;
}

/** Prefixes of host interfaces that network plugins give to pods. */
const POD_PREFIXES = ['veth', 'cali', 'eni', 'knet', 'azv'] as const;

/** Patterns of plugins that route their pods. Plugins that are not listed here get the patterns of what is seen. */
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
 * with a CNI configuration it follows the plugin; without one, or with a plugin nobody knows, it takes `veth*`, cni0 and every
 * bridge that has veth ports only.
 * Uplinks that a pattern covers are excepted from it; {@link coveredUplinks} tells.
 */
export function nodeShape(
  facts: HostFacts,
  bindings: readonly PodBinding[],
  node?: Node,
  options: ShapeOptions = {},
): NodeShape {
  const routed = new Set(options.routed ?? wantedPatterns(facts, bindings));
  const covered = coveredUplinks(facts, bindings, options).map((uplink) => uplink.interface);
  const strangers = [...new Set(covered)].sort();
  for (const binding of bindings) {
    if (binding.attachment.kind !== 'routed') continue;
    if (![...routed].some((pattern) => matchesPattern(pattern, binding.interface))) routed.add(binding.interface);
  }
  const names = podBridges(facts, bindings, options);
  const bridges = names.map((name) => ({
    name,
    ports: portsOf(facts, bindings, name),
    podCidrs: podCidrsOf(facts, name, node),
    ...ownAddresses(facts, name),
  }));
  return { routed: [...routed].sort(), ...(strangers.length > 0 && { strangers }), bridges };
}

/** Whether an nftables interface pattern (`veth*`, or an exact name) matches a name. */
export function matchesPattern(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

/** Uplinks that the node's patterns would cover: what passes them is not judged as a pod's. */
export function coveredUplinks(
  facts: HostFacts,
  bindings: readonly PodBinding[],
  options: ShapeOptions = {},
): readonly { readonly pattern: string; readonly interface: string; readonly why: string }[] {
  return (options.routed ?? wantedPatterns(facts, bindings)).flatMap((pattern) =>
    uplinksCoveredBy(facts, bindings, pattern),
  );
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
function isKnownPlugin({ config }: HostFacts): boolean {
  return config !== undefined && (config.bridge !== undefined || ROUTED_PLUGINS.has(config.plugins[0] ?? ''));
}

/** Links that are ports of the bridge. */
export function portsOfBridge(facts: HostFacts, bridge: string): readonly Link[] {
  return facts.links.filter(({ master }) => master === bridge);
}

function wantedPatterns(facts: HostFacts, bindings: readonly PodBinding[]): readonly string[] {
  const patterns = new Set<string>();
  const [plugin] = facts.config?.plugins ?? [];
  if (facts.config === undefined) patterns.add('veth*');
  else if (facts.config.bridge === undefined) {
    for (const pattern of ROUTED_PLUGINS.get(plugin ?? '') ?? ['veth*']) patterns.add(pattern);
  }
  if (facts.config?.interfacePrefix !== undefined) patterns.add(`${facts.config.interfacePrefix}*`);
  for (const { interface: name, attachment } of bindings) {
    if (attachment.kind === 'routed') addPrefix(patterns, name);
  }
  // Pods that nobody has named yet: veths that a host route leads to.
  const routes = new Set([...indexFacts(facts).hostRoutes.values()].flatMap((names) => [...names]));
  for (const link of routedCandidates(facts)) if (routes.has(link.name)) addPrefix(patterns, link.name);
  return [...patterns];
}

function addPrefix(patterns: Set<string>, name: string): void {
  const prefix = POD_PREFIXES.find((known) => name.startsWith(known));
  if (prefix !== undefined) patterns.add(`${prefix}*`);
}

/** Interfaces that could be a routed pod's: veths that are nobody's port and no uplink. */
function routedCandidates(facts: HostFacts): readonly Link[] {
  return facts.links.filter(
    (link) => link.kind === 'veth' && link.master === undefined && strangerReason(facts, link) === undefined,
  );
}

/** Ports of a bridge never appear in the forward hook themselves, so a pattern may match them. */
function uplinksCoveredBy(
  facts: HostFacts,
  bindings: readonly PodBinding[],
  pattern: string,
): { pattern: string; interface: string; why: string }[] {
  const bound = new Set(bindings.map((binding) => binding.interface));
  return facts.links.flatMap((link) => {
    if (link.master !== undefined || bound.has(link.name) || !matchesPattern(pattern, link.name)) return [];
    const why = strangerReason(facts, link);
    return why === undefined ? [] : [{ pattern, interface: link.name, why }];
  });
}

function portsOf(facts: HostFacts, bindings: readonly PodBinding[], bridge: string): BridgePorts {
  if (facts.bridgeNameMatch) return { kind: 'bridge-name' };
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
