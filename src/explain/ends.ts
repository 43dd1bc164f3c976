import type { Endpoint } from '../model/endpoint.ts';
import { isFinished, isPoliced } from '../model/endpoint.ts';
import type { FlowEnd, PodFact } from '../model/flow.ts';
import { familyOf, ipFamilies, parseIp } from '../model/ip.ts';
import type { IpAddress, IpFamily } from '../model/ip.ts';
import { nodeName } from '../model/names.ts';
import type { NodeName, PodKey } from '../model/names.ts';
import type { ClusterSnapshot } from '../model/snapshot.ts';
import { addressOwners } from '../selector/address-owners.ts';

/** Something a flow can start from or lead to, with all its addresses. One {@link FlowEnd} per family comes of it. */
export type Party =
  | {
      readonly kind: 'pod';
      readonly pod: Endpoint;
      readonly addresses: readonly IpAddress[];
      /** Facts nobody supplied; without `addresses` it can talk in any family. */
      readonly unknown?: ReadonlySet<PodFact>;
    }
  | {
      readonly kind: 'node';
      readonly name?: NodeName;
      readonly addresses: readonly IpAddress[];
      readonly hostNetworkPod?: Endpoint;
    }
  | { readonly kind: 'external'; readonly addresses: readonly [IpAddress] };

/** Why a text names nothing that can be an end. */
export type UnknownParty = 'no-such-pod' | 'no-such-node' | 'finished-pod' | 'not-an-address';

/** Finds the ends of flows in one snapshot. */
export interface Directory {
  /** `namespace/pod`, `node/NAME` or an address. */
  find(text: string): Party | UnknownParty;
  /** A pod on the pod network with the addresses it owns, or the node of a hostNetwork pod (semantics 51). */
  podParty(pod: Endpoint): Party;
  /** The live pod, node or outside host with this address. */
  addressParty(address: IpAddress): Party;
}

/** Builds a {@link Directory}; the snapshot must not change while it is used. */
export function createDirectory(snapshot: ClusterSnapshot): Directory {
  const owners = addressOwners(snapshot.pods.values());
  const nodes = nodesByAddress(snapshot);

  function podParty(pod: Endpoint): Party {
    if (!pod.hostNetwork) {
      return { kind: 'pod', pod, addresses: pod.addresses.filter((address) => owners.get(address) === pod) };
    }
    return { kind: 'node', ...named(pod.node), addresses: pod.addresses, hostNetworkPod: pod };
  }

  function addressParty(address: IpAddress): Party {
    const owner = owners.get(address);
    if (owner !== undefined) return { kind: 'pod', pod: owner, addresses: [address] };
    const node = nodes.get(address);
    return node === undefined
      ? { kind: 'external', addresses: [address] }
      : { kind: 'node', ...named(node.name), addresses: [address] };
  }

  function find(text: string): Party | UnknownParty {
    const address = parseIp(text);
    if (address !== undefined) return addressParty(address);
    if (text.startsWith('node/')) {
      const node = snapshot.nodes.get(nodeName(text.slice('node/'.length)));
      return node === undefined ? 'no-such-node' : { kind: 'node', name: node.name, addresses: node.addresses };
    }
    if (!text.includes('/')) return 'not-an-address';
    const pod = snapshot.pods.get(text as PodKey);
    if (pod === undefined) return 'no-such-pod';
    return isFinished(pod) ? 'finished-pod' : podParty(pod);
  }

  return { find, podParty, addressParty };
}

/** The end of a flow of this family; `undefined` if the party has no address of it. */
export function toEnd(party: Party, family: IpFamily): FlowEnd | undefined {
  const address = party.addresses.find((candidate) => familyOf(candidate) === family);
  if (address === undefined) {
    return party.kind === 'pod' && party.unknown?.has('addresses') === true
      ? { kind: 'pod', pod: party.pod, unknown: party.unknown }
      : undefined;
  }
  switch (party.kind) {
    case 'pod':
      return {
        kind: 'pod',
        pod: party.pod,
        address,
        ...(party.unknown === undefined ? {} : { unknown: party.unknown }),
      };
    case 'node': {
      const { name, hostNetworkPod } = party;
      return { kind: 'node', ...named(name), address, ...(hostNetworkPod === undefined ? {} : { hostNetworkPod }) };
    }
    case 'external':
      return { kind: 'external', address };
  }
}

/** Families in which two parties can talk, IPv4 first (semantics 63). */
export function sharedFamilies(a: Party, b: Party): readonly IpFamily[] {
  const has = (party: Party, family: IpFamily): boolean =>
    (party.kind === 'pod' && party.unknown?.has('addresses') === true) ||
    party.addresses.some((address) => familyOf(address) === family);
  return ipFamilies.filter((family) => has(a, family) && has(b, family));
}

function named(name: NodeName | undefined): { readonly name?: NodeName } {
  return name === undefined ? {} : { name };
}

/** Addresses of Node objects, then those of hostNetwork pods, which are their node's (semantics 51, 54). */
function nodesByAddress(snapshot: ClusterSnapshot): ReadonlyMap<IpAddress, { readonly name: NodeName | undefined }> {
  const nodes = new Map<IpAddress, { readonly name: NodeName | undefined }>();
  for (const node of snapshot.nodes.values()) {
    for (const address of node.addresses) if (!nodes.has(address)) nodes.set(address, { name: node.name });
  }
  for (const pod of snapshot.pods.values()) {
    if (!pod.hostNetwork || isFinished(pod) || isPoliced(pod)) continue;
    for (const address of pod.addresses) if (!nodes.has(address)) nodes.set(address, { name: pod.node });
  }
  return nodes;
}
