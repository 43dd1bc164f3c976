import type { Endpoint } from '../model/endpoint.ts';
import type { FlowEnd } from '../model/flow.ts';
import { ipFamilies } from '../model/ip.ts';
import type { IpAddress, IpFamily } from '../model/ip.ts';
import type { NamespaceName, NodeName, PodKey } from '../model/names.ts';
import type { AddressClass } from './address-classes.ts';
import type { PodView } from './policy-view.ts';

// Every class is one of the states that are compared: one snapshot for a map, two for a diff. Lists named `by state`
// have one entry for each.

/** Where the addresses of a pod class lie, in one family. */
export interface Face {
  /** By state; `unknown` if nobody stated the pod's address. */
  readonly classes: readonly (AddressClass | 'unknown')[];
}

/** One pod of a class. */
export interface PodMember {
  readonly key: PodKey;
  /** By state. */
  readonly views: readonly PodView[];
  /** By family, then by state. */
  readonly addresses: ReadonlyMap<IpFamily, readonly (IpAddress | undefined)[]>;
}

/** Pods of one namespace that no policy of any state can tell apart. */
export interface PodClass {
  readonly kind: 'pods';
  readonly namespace: NamespaceName;
  readonly name: string;
  /** Sorted by key, never empty. */
  readonly members: readonly PodMember[];
  readonly faces: ReadonlyMap<IpFamily, Face>;
  /** On which nodes members are, by state; each combination once, with a pod for which it holds. */
  readonly homes: readonly { readonly nodes: readonly (NodeName | undefined)[]; readonly member: PodMember }[];
}

/** Whether a node is the pod's own, by state. */
export type NodeRelation = readonly ('own' | 'other')[];

/** Nodes whose addresses lie in the same blocks, as the pod at the other end of the flow sees them. */
export interface NodeClass {
  readonly kind: 'nodes';
  readonly name: string;
  readonly relation: NodeRelation;
  readonly addressClass: AddressClass;
  /** One address of each node; the name is empty for a hostNetwork pod that no node is known for. */
  readonly nodes: ReadonlyMap<IpFamily, ReadonlyMap<NodeName | '', IpAddress>>;
}

/** Addresses of nobody in the cluster that lie in the same blocks. */
export interface OutsideClass {
  readonly kind: 'outside';
  readonly name: string;
  readonly addressClass: AddressClass;
  /** An address of each family the class has. */
  readonly samples: ReadonlyMap<IpFamily, IpAddress>;
}

/** One end of flow classes. */
export type EndClass = PodClass | NodeClass | OutsideClass;

/** Real ends of a flow that stands for all flows between two classes in one family; by state. */
export interface FlowSample {
  readonly from: readonly FlowEnd[];
  readonly to: readonly FlowEnd[];
}

/** A flow between two classes, or `undefined` if none exists: no pod at either end, no common family, or only a pod's own. */
export function sampleFlow(from: EndClass, to: EndClass, family: IpFamily): FlowSample | undefined {
  if (from.kind === 'pods') {
    if (to.kind === 'pods') return samplePods(from, to, family);
    return samplePod(from, to, family);
  }
  if (to.kind !== 'pods') return undefined;
  const sample = samplePod(to, from, family);
  return sample === undefined ? undefined : { from: sample.to, to: sample.from };
}

/** Families in which flows between two classes exist, IPv4 first. Allocates nothing for pods: pairs are many. */
export function flowFamilies(from: EndClass, to: EndClass): readonly IpFamily[] {
  if (from.kind !== 'pods' || to.kind !== 'pods') {
    return ipFamilies.filter((family) => sampleFlow(from, to, family) !== undefined);
  }
  const lone = from.members.length === 1 && to.members.length === 1 && from.members[0]?.key === to.members[0]?.key;
  if (lone) return none;
  const [v4, v6] = [hasFaces(from, to, 'IPv4'), hasFaces(from, to, 'IPv6')];
  return v4 && v6 ? ipFamilies : v4 ? onlyV4 : v6 ? onlyV6 : none;
}

const none: readonly IpFamily[] = [];
const onlyV4: readonly IpFamily[] = ['IPv4'];
const onlyV6: readonly IpFamily[] = ['IPv6'];

function hasFaces(from: PodClass, to: PodClass, family: IpFamily): boolean {
  return from.faces.has(family) && to.faces.has(family);
}

function samplePods(from: PodClass, to: PodClass, family: IpFamily): FlowSample | undefined {
  if (!from.faces.has(family) || !to.faces.has(family)) return undefined;
  const [source, ...sources] = from.members;
  const [target, ...targets] = to.members;
  if (source === undefined || target === undefined) return undefined;
  if (source.key !== target.key) return { from: podEnds(source, family), to: podEnds(target, family) };
  if (targets[0] !== undefined) return { from: podEnds(source, family), to: podEnds(targets[0], family) };
  if (sources[0] !== undefined) return { from: podEnds(sources[0], family), to: podEnds(target, family) };
  return undefined;
}

function samplePod(pods: PodClass, other: NodeClass | OutsideClass, family: IpFamily): FlowSample | undefined {
  if (!pods.faces.has(family)) return undefined;
  const [first] = pods.members;
  if (other.kind === 'nodes') return sampleNode(pods, other, family);
  const address = other.samples.get(family);
  if (address === undefined || first === undefined) return undefined;
  return { from: podEnds(first, family), to: first.views.map(() => ({ kind: 'external', address })) };
}

function sampleNode(pods: PodClass, other: NodeClass, family: IpFamily): FlowSample | undefined {
  const nodes = other.nodes.get(family);
  if (nodes === undefined) return undefined;
  const own = new Set(other.relation).has('own');
  for (const { nodes: homes, member } of pods.homes) {
    for (const [name, address] of own ? homesAmong(homes, nodes) : nodes) {
      const relation = homes.map((home) => (home !== undefined && home === name ? 'own' : 'other'));
      if (relation.some((answer, state) => answer !== other.relation[state])) continue;
      const end: FlowEnd = name === '' ? { kind: 'node', address } : { kind: 'node', name, address };
      return { from: podEnds(member, family), to: homes.map(() => end) };
    }
  }
  return undefined;
}

function* homesAmong(
  homes: readonly (NodeName | undefined)[],
  nodes: ReadonlyMap<NodeName | '', IpAddress>,
): Generator<readonly [NodeName, IpAddress], void> {
  for (const home of homes) {
    const address = home === undefined ? undefined : nodes.get(home);
    if (home !== undefined && address !== undefined) yield [home, address];
  }
}

function podEnds(member: PodMember, family: IpFamily): FlowEnd[] {
  return member.views.map(({ pod }, state) => podEnd(pod, member.addresses.get(family)?.[state]));
}

/** A pod whose address nobody stated: conditions on it are undecidable. */
function podEnd(pod: Endpoint, address: IpAddress | undefined): FlowEnd {
  return address === undefined ? { kind: 'pod', pod, unknown: new Set(['addresses']) } : { kind: 'pod', pod, address };
}
