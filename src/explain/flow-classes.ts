import { isFinished, isPoliced } from '../model/endpoint.ts';
import { familyOf, formatIp, ipFamilies, ipToBigInt } from '../model/ip.ts';
import type { IpAddress, IpFamily } from '../model/ip.ts';
import { compareText } from '../model/names.ts';
import type { NamespaceName, NodeName, PodKey } from '../model/names.ts';
import type { ClusterSnapshot } from '../model/snapshot.ts';
import { cutAddresses } from './address-classes.ts';
import type { AddressClass, AddressClasses } from './address-classes.ts';
import { describeAddresses, nameClasses } from './class-names.ts';
import { sampleFlow } from './flow-ends.ts';
import type { EndClass, Face, NodeClass, NodeRelation, OutsideClass, PodClass, PodMember } from './flow-ends.ts';
import { declaredNumbers } from './policy-view.ts';
import type { PolicyView, PodView } from './policy-view.ts';

/** Everything a flow can start from or lead to, in classes that no policy of any state tells apart. */
export interface FlowClasses {
  /** Pods by name, then nodes, then addresses outside. */
  readonly ends: readonly EndClass[];
  readonly addresses: AddressClasses;
  /** Policed pods that are not in every state; by state. */
  readonly strays: readonly (readonly PodView[])[];
  /** Pods in every state that own no address in some state: they have no flows there. */
  readonly silent: readonly PodKey[];
}

/** Partitions the ends of flows of all states together, so that one flow per pair of classes decides all of them. */
export function classifyEnds(states: readonly PolicyView[]): FlowClasses {
  const addresses = cutAddresses(states.flatMap(({ blocks }) => blocks));
  const strays: PodView[][] = states.map(() => []);
  const silent: PodKey[] = [];
  const members: PodMember[] = [];
  for (const [state, { pods }] of states.entries()) {
    for (const [key, view] of pods) {
      const views = states.flatMap((other) => other.pods.get(key) ?? []);
      if (views.length < states.length) strays[state]?.push(view);
      else if (state === 0) {
        const variants = podVariants(key, views, addresses);
        if (variants.length === 0) silent.push(key);
        members.push(...variants);
      }
    }
  }
  const pods = podClasses(members, states, addresses);
  const stated = pods.flatMap(({ faces }) => [...faces]).filter(([, face]) => !face.classes.includes('unknown'));
  const families = ipFamilies.filter((family) => stated.length === 0 || stated.some(([other]) => other === family));
  const shared = nodeAddresses(states.map(({ snapshot }) => snapshot));
  const nodes = nodeClasses(shared.everywhere, pods, addresses, families, states.length);
  const taken = new Set(shared.anywhere);
  for (const { snapshot } of states) {
    for (const pod of snapshot.pods.values())
      if (isPoliced(pod)) for (const address of pod.addresses) taken.add(address);
  }
  return { ends: [...pods, ...nodes, ...outsideClasses(addresses, taken, families)], addresses, strays, silent };
}

/** A pod, and once more for each further address that lies in other blocks; none if it has no address of its own. */
function podVariants(key: PodKey, views: readonly PodView[], classes: AddressClasses): PodMember[] {
  const primary = new Map<IpFamily, readonly (IpAddress | undefined)[]>();
  const extra: PodMember[] = [];
  for (const family of ipFamilies) {
    const owned = views.map((view) => view.addresses.filter((address) => familyOf(address) === family));
    const lacking = views.some(({ pod }, state) => pod.addresses.length > 0 && owned[state]?.length === 0);
    if (lacking) continue;
    const common = (owned[0] ?? []).filter((address) => owned.every((list) => list.includes(address)));
    const severally = owned.some((list) => list.length > 1) && common.length > 0;
    const [first] = common;
    primary.set(family, severally ? views.map(() => first) : owned.map((list) => list[0]));
    if (!severally || first === undefined) continue;
    const seen = new Set([classes.classOf(first)]);
    for (const address of common) {
      if (seen.has(classes.classOf(address))) continue;
      seen.add(classes.classOf(address));
      extra.push({ key, views, addresses: new Map([[family, views.map(() => address)]]) });
    }
  }
  return primary.size === 0 ? extra : [{ key, views, addresses: primary }, ...extra];
}

function podClasses(
  members: readonly PodMember[],
  states: readonly PolicyView[],
  addresses: AddressClasses,
): PodClass[] {
  const ids = new Map<object, number>();
  const idOf = (thing: object): number => {
    const id = ids.get(thing) ?? ids.size;
    ids.set(thing, id);
    return id;
  };
  const bySignature = new Map<string, { members: PodMember[]; faces: ReadonlyMap<IpFamily, Face> }>();
  for (const member of members) {
    const faces = facesOf(member, addresses);
    const parts: (string | number)[] = [member.views[0]?.pod.namespace ?? ''];
    for (const [state, { pod, egress, ingress, answers }] of member.views.entries()) {
      parts.push(idOf(egress), idOf(ingress), idOf(answers), declaredNumbers(pod, ingress.names));
      parts.push(declaredNumbers(pod, states[state]?.egressNames ?? []));
    }
    for (const [family, face] of faces) {
      parts.push(family, ...face.classes.map((part) => (part === 'unknown' ? part : part.id)));
    }
    const signature = JSON.stringify(parts);
    const known = bySignature.get(signature);
    if (known === undefined) bySignature.set(signature, { members: [member], faces });
    else known.members.push(member);
  }

  const drafts = [...bySignature.values()];
  for (const draft of drafts) draft.members.sort((a, b) => compareText(a.key, b.key));
  const named: PodClass[] = [];
  for (const [namespace, group] of byNamespace(drafts)) {
    const names = nameClasses(group.map((draft) => draft.members.flatMap(({ views }) => views[0]?.pod ?? [])));
    for (const [index, draft] of group.entries()) {
      const name = `${namespace}/${names[index] ?? ''}`;
      named.push({
        kind: 'pods',
        namespace,
        name,
        members: draft.members,
        faces: draft.faces,
        homes: homesOf(draft.members),
      });
    }
  }
  return named.sort((a, b) => compareText(a.namespace, b.namespace) || compareText(a.name, b.name));
}

function facesOf(member: PodMember, addresses: AddressClasses): Map<IpFamily, Face> {
  return new Map(
    [...member.addresses].map(([family, list]) => [
      family,
      { classes: list.map((address) => (address === undefined ? 'unknown' : addresses.classOf(address))) },
    ]),
  );
}

/** In the order of each class's first pod, so that names that need a number get the same one every time. */
function byNamespace<T extends { readonly members: readonly PodMember[] }>(
  drafts: readonly T[],
): Map<NamespaceName, T[]> {
  const groups = new Map<NamespaceName, T[]>();
  for (const draft of [...drafts].sort((a, b) => compareText(a.members[0]?.key ?? '', b.members[0]?.key ?? ''))) {
    const namespace = draft.members[0]?.views[0]?.pod.namespace;
    if (namespace !== undefined) groups.set(namespace, [...(groups.get(namespace) ?? []), draft]);
  }
  return groups;
}

function homesOf(members: readonly PodMember[]): PodClass['homes'] {
  const homes = new Map<string, { nodes: readonly (NodeName | undefined)[]; member: PodMember }>();
  for (const member of members) {
    const nodes = member.views.map(({ pod }) => pod.node);
    const key = JSON.stringify(nodes);
    if (!homes.has(key)) homes.set(key, { nodes, member });
  }
  return [...homes.values()];
}

interface NodeAddress {
  readonly name: NodeName | '';
  readonly address: IpAddress;
}

/** Addresses of nodes and of hostNetwork pods, which are their node's (semantics 51): in every state, and in any. */
function nodeAddresses(snapshots: readonly ClusterSnapshot[]): {
  readonly everywhere: readonly NodeAddress[];
  readonly anywhere: readonly IpAddress[];
} {
  const seen = new Map<string, NodeAddress & { readonly states: Set<number> }>();
  const add = (name: NodeName | '', address: IpAddress, state: number): void => {
    const key = `${name} ${address}`;
    const known = seen.get(key) ?? { name, address, states: new Set<number>() };
    known.states.add(state);
    seen.set(key, known);
  };
  for (const [state, { nodes, pods }] of snapshots.entries()) {
    for (const node of nodes.values()) for (const address of node.addresses) add(node.name, address, state);
    for (const pod of pods.values()) {
      if (!pod.hostNetwork || isFinished(pod)) continue;
      for (const address of pod.addresses) add(pod.node ?? '', address, state);
    }
  }
  const all = [...seen.entries()].sort(([a], [b]) => compareText(a, b)).map(([, value]) => value);
  return {
    everywhere: all.filter(({ states }) => states.size === snapshots.length),
    anywhere: all.map(({ address }) => address),
  };
}

function nodeClasses(
  nodes: readonly NodeAddress[],
  pods: readonly PodClass[],
  addresses: AddressClasses,
  families: readonly IpFamily[],
  states: number,
): NodeClass[] {
  const groups = new Map<AddressClass, Map<IpFamily, Map<NodeName | '', IpAddress>>>();
  for (const { name, address } of nodes) {
    const addressClass = addresses.classOf(address);
    const group = groups.get(addressClass) ?? new Map<IpFamily, Map<NodeName | '', IpAddress>>();
    const names = group.get(familyOf(address)) ?? new Map<NodeName | '', IpAddress>();
    if (!names.has(name)) names.set(name, address);
    groups.set(addressClass, group.set(familyOf(address), names));
  }
  const classes: NodeClass[] = [];
  for (const relation of relations(states)) {
    for (const [addressClass, group] of [...groups].sort(([a], [b]) => a.id - b.id)) {
      const where = groups.size === 1 ? '' : ` in ${addressText(addressClass, families) ?? 'no block'}`;
      const name = `${relationName(relation)}${where}`;
      const candidate: NodeClass = { kind: 'nodes', name, relation, addressClass, nodes: group };
      if (pods.some((other) => ipFamilies.some((family) => sampleFlow(other, candidate, family) !== undefined))) {
        classes.push(candidate);
      }
    }
  }
  return classes;
}

function relations(states: number): NodeRelation[] {
  let all: NodeRelation[] = [[]];
  for (let state = 0; state < states; state++) {
    all = all.flatMap((head): NodeRelation[] => [
      [...head, 'own'],
      [...head, 'other'],
    ]);
  }
  return all;
}

function relationName(relation: NodeRelation): string {
  if (!relation.includes('other')) return 'own node';
  if (!relation.includes('own')) return 'other nodes';
  return relation[0] === 'own' ? 'former node' : 'new node';
}

function outsideClasses(
  addresses: AddressClasses,
  taken: ReadonlySet<IpAddress>,
  families: readonly IpFamily[],
): OutsideClass[] {
  const values = new Map(
    families.map((family) => [
      family,
      new Set([...taken].filter((address) => familyOf(address) === family).map(ipToBigInt)),
    ]),
  );
  const found: { addressClass: AddressClass; samples: Map<IpFamily, IpAddress> }[] = [];
  for (const addressClass of addresses.classes) {
    const samples = new Map<IpFamily, IpAddress>();
    for (const family of families) {
      const address = freeAddress(addressClass, family, values.get(family) ?? new Set());
      if (address !== undefined) samples.set(family, address);
    }
    if (samples.size > 0) found.push({ addressClass, samples });
  }
  const named = found.map(({ addressClass, samples }): OutsideClass => {
    const text = addressText(addressClass, families);
    return {
      kind: 'outside',
      name: text ?? (found.length === 1 ? 'outside' : 'anyone else outside'),
      addressClass,
      samples,
    };
  });
  return [
    ...named.filter(({ addressClass }) => addressClass.id !== 0),
    ...named.filter(({ addressClass }) => addressClass.id === 0),
  ];
}

/** The first address of the class that no pod and no node has. */
function freeAddress(addressClass: AddressClass, family: IpFamily, taken: ReadonlySet<bigint>): IpAddress | undefined {
  for (const { first, last } of addressClass.intervals.get(family) ?? []) {
    for (let value = first; value <= last; value++) if (!taken.has(value)) return formatIp(family, value);
  }
  return undefined;
}

/** `undefined` for the addresses in no block. */
function addressText({ id, intervals }: AddressClass, families: readonly IpFamily[]): string | undefined {
  if (id === 0) return undefined;
  return [...intervals]
    .filter(([family]) => families.includes(family))
    .map(([family, list]) => describeAddresses(family, list))
    .join(', ');
}
