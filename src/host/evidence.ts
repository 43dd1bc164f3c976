import { createHash } from 'node:crypto';

import type { Endpoint } from '../model/endpoint.ts';
import { familyBits, familyOf } from '../model/ip.ts';
import type { IpAddress } from '../model/ip.ts';
import type { CniCacheEntry } from './cni-cache.ts';
import type { HostFacts } from './facts.ts';
import type { Link } from './links.ts';
import { areVethEnds } from './namespaces.ts';
import type { PodNamespace } from './namespaces.ts';

/** Who says which interface a pod has, in the order of trust. */
export type EvidenceSource = 'computed-name' | 'cni-cache' | 'host-route' | 'namespace-peer' | 'forwarding-table';

/** What one source says about one pod. */
export interface Evidence {
  readonly source: EvidenceSource;
  /** Host interfaces the pod may have, by this source; sorted, never empty. More than one: the source cannot decide. */
  readonly interfaces: readonly string[];
  /** The source leads to different interfaces for different addresses of the pod. */
  readonly divided?: true;
  /** MAC address inside the pod, where the source knows it. */
  readonly mac?: string;
  /** Addresses the network plugin gave to the pod, where the source knows them. */
  readonly addresses?: readonly IpAddress[];
}

/** Lookup tables over facts: evidence for one pod then costs what the pod has. */
export interface FactIndex {
  readonly facts: HostFacts;
  readonly links: ReadonlyMap<string, Link>;
  readonly linksByIndex: ReadonlyMap<number, Link>;
  /** Interfaces that have a route for exactly this address, without a gateway. */
  readonly hostRoutes: ReadonlyMap<IpAddress, ReadonlySet<string>>;
  /** Namespaces and their interfaces that hold this address. */
  readonly insides: ReadonlyMap<IpAddress, readonly { readonly namespace: PodNamespace; readonly link: Link }[]>;
  readonly cache: ReadonlyMap<string, readonly CniCacheEntry[]>;
  /** Cache entries by host interface. */
  readonly cachedOn: ReadonlyMap<string, readonly CniCacheEntry[]>;
}

/** Builds the lookup tables. O(facts). */
export function indexFacts(facts: HostFacts): FactIndex {
  const hostRoutes = new Map<IpAddress, Set<string>>();
  for (const { destination, hops } of facts.routes) {
    if (destination.prefix !== familyBits(destination.family)) continue;
    const direct = hops.filter(({ gateway }) => !gateway).map((hop) => hop.interface);
    const known = hostRoutes.get(destination.base);
    if (known === undefined) hostRoutes.set(destination.base, new Set(direct));
    else for (const name of direct) known.add(name);
  }
  const insides = new Map<IpAddress, { namespace: PodNamespace; link: Link }[]>();
  for (const namespace of facts.namespaces) {
    for (const link of namespace.links) {
      for (const { address, scope } of link.addresses) {
        if (scope !== 'global') continue;
        const known = insides.get(address);
        if (known === undefined) insides.set(address, [{ namespace, link }]);
        else known.push({ namespace, link });
      }
    }
  }
  return {
    facts,
    links: new Map(facts.links.map((link) => [link.name, link])),
    linksByIndex: new Map(facts.links.map((link) => [link.index, link])),
    hostRoutes,
    insides,
    cache: Map.groupBy(facts.cache, ({ namespace, pod }) => `${namespace}/${pod}`),
    cachedOn: cacheByInterface(facts.cache),
  };
}

function cacheByInterface(cache: readonly CniCacheEntry[]): ReadonlyMap<string, readonly CniCacheEntry[]> {
  const entries = new Map<string, CniCacheEntry[]>();
  for (const entry of cache) {
    for (const name of entry.hostInterfaces) entries.set(name, [...(entries.get(name) ?? []), entry]);
  }
  return entries;
}

/** The live entry by which the network plugin gave this interface to another pod, if there is one. */
export function givenToAnother(index: FactIndex, pod: Endpoint, name: string): CniCacheEntry | undefined {
  return (index.cachedOn.get(name) ?? []).find((entry) => {
    const sameName = `${entry.namespace}/${entry.pod}` === pod.key;
    const differs = !sameName || (hasComparableUid(entry, pod) && entry.uid !== pod.uid);
    return differs && index.links.get(name)?.kind === 'veth' && !isStale(index, entry, [name]);
  });
}

/**
 * Everything the sources say about the pod's interface, in the order of trust.
 * The forwarding table is filled by what pods send: it is asked only when no other source speaks.
 */
export function gatherEvidence(index: FactIndex, pod: Endpoint): Evidence[] {
  const cached = cachedResult(index, pod);
  const addresses = pod.addresses.length > 0 ? pod.addresses : (cached?.addresses ?? []);
  const strong = [computedName(index, pod), cached, hostRoute(index, addresses), namespacePeer(index, addresses)];
  const found = strong.filter((evidence) => evidence !== undefined);
  // A computed name alone decides nothing: another program may use the same scheme.
  if (found.some(({ source }) => source !== 'computed-name')) return found;
  const weak = forwardingTable(index, addresses);
  return weak === undefined ? found : [...found, weak];
}

/** Interface name of a workload in Calico (`cali`) and the AWS VPC CNI (`eni`): prefix and 11 digits of SHA-1. */
export function computedInterfaceName(prefix: string, namespace: string, pod: string): string {
  return `${prefix}${createHash('sha1').update(`${namespace}.${pod}`).digest('hex').slice(0, 11)}`;
}

function computedName(index: FactIndex, pod: Endpoint): Evidence | undefined {
  const configured = index.facts.config?.interfacePrefix;
  const prefixes = new Set(['cali', 'eni', ...(configured === undefined ? [] : [configured])]);
  const names = [...prefixes].map((prefix) => computedInterfaceName(prefix, pod.namespace, pod.name));
  return evidence(
    'computed-name',
    names.filter((name) => index.links.has(name)),
  );
}

function hostRoute(index: FactIndex, addresses: readonly IpAddress[]): Evidence | undefined {
  return overAddresses(
    'host-route',
    addresses.map((address) => [...(index.hostRoutes.get(address) ?? [])]),
  );
}

function namespacePeer(index: FactIndex, addresses: readonly IpAddress[]): Evidence | undefined {
  const macs = new Map<string, Set<string>>();
  const perAddress = addresses.map((address) =>
    (index.insides.get(address) ?? []).flatMap(({ namespace, link }) => {
      const host = hostEnd(index, namespace, link);
      if (host === undefined) return [];
      if (link.mac !== undefined) macs.set(host.name, (macs.get(host.name) ?? new Set()).add(link.mac));
      return [host.name];
    }),
  );
  const found = overAddresses('namespace-peer', perAddress);
  const own = found?.interfaces.length === 1 ? [...(macs.get(found.interfaces[0] ?? '') ?? [])] : [];
  return found === undefined || own[0] === undefined || own.length > 1 ? found : { ...found, mac: own[0] };
}

/** Indexes repeat between namespaces, so both ends must name each other and, where it is known, the same namespace. */
function hostEnd(index: FactIndex, namespace: PodNamespace, link: Link): Link | undefined {
  const host = link.peerIndex === undefined ? undefined : index.linksByIndex.get(link.peerIndex);
  if (host === undefined || !areVethEnds(host, link) || host.peerNamespaceId === undefined) return undefined;
  if (!index.facts.namespaceIds.has(host.peerNamespaceId)) return host;
  const name = index.facts.namespaceIds.get(host.peerNamespaceId);
  if (name === undefined) return host;
  return namespace.names.includes(name) ? host : undefined;
}

function cachedResult(index: FactIndex, pod: Endpoint): Evidence | undefined {
  const entries = (index.cache.get(pod.key) ?? []).filter((entry) => isEntryOf(entry, pod));
  const alive = entries.flatMap((entry) => {
    const interfaces = entry.hostInterfaces.filter((name) => index.links.get(name)?.kind === 'veth');
    return isStale(index, entry, interfaces) ? [] : [{ entry, interfaces }];
  });
  const found = evidence('cni-cache', [...new Set(alive.flatMap(({ interfaces }) => interfaces))]);
  if (found === undefined) return undefined;
  const entry = alive.length === 1 ? alive[0]?.entry : undefined;
  return {
    ...found,
    ...(entry?.mac === undefined ? {} : { mac: entry.mac }),
    ...(entry === undefined || entry.addresses.length === 0 ? {} : { addresses: entry.addresses }),
  };
}

/**
 * The entry of the pod's primary interface. Where UIDs cannot be compared an address must prove it: static pods have a
 * hash there, old runtimes nothing, and pods from files without a UID are named by their path.
 */
function isEntryOf(entry: CniCacheEntry, pod: Endpoint): boolean {
  const sharesAddress = pod.addresses.some((address) => entry.addresses.includes(address));
  if (hasComparableUid(entry, pod)) return entry.uid === pod.uid && (sharesAddress || entry.podInterface === 'eth0');
  return sharesAddress;
}

function hasComparableUid(entry: CniCacheEntry, pod: Endpoint): boolean {
  return entry.uid !== undefined && !pod.uid.includes('/') && !/^[0-9a-f]{32}$/.test(entry.uid);
}

/** An entry outlives its pod after a crash: its veth or its namespace is gone, or the veth ends somewhere else. */
function isStale(index: FactIndex, entry: CniCacheEntry, interfaces: readonly string[]): boolean {
  const { sandbox } = entry;
  if (interfaces.length === 0 || sandbox?.kind === 'missing') return true;
  const namespace =
    sandbox === undefined ? undefined : index.facts.namespaces.find(({ inode }) => inode === sandbox.inode);
  const inside = namespace?.links.find(({ name }) => name === entry.podInterface);
  if (namespace === undefined || inside === undefined) return false;
  return !interfaces.some((name) => hostEnd(index, namespace, inside)?.name === name);
}

function forwardingTable(index: FactIndex, addresses: readonly IpAddress[]): Evidence | undefined {
  const { facts } = index;
  const macs = new Set<string>();
  const perAddress = addresses.map((address) =>
    facts.neighbours
      .filter((neighbour) => neighbour.address === address)
      .flatMap((neighbour) => {
        const ports = facts.forwarding.filter(
          ({ mac, bridge }) => mac === neighbour.mac && bridge === neighbour.interface,
        );
        if (ports.length > 0) macs.add(neighbour.mac);
        return ports.map(({ port }) => port);
      }),
  );
  const found = overAddresses('forwarding-table', perAddress);
  const [mac] = macs;
  if (found === undefined || mac === undefined || macs.size > 1) return undefined;
  // A MAC address that also answers for a stranger's address is somebody pretending.
  const others = facts.neighbours.filter(
    (neighbour) => neighbour.mac === mac && !addresses.includes(neighbour.address),
  );
  const foreign = others.some(({ address }) => !isLinkLocal(address));
  return foreign || found.divided === true || found.interfaces.length > 1 ? undefined : { ...found, mac };
}

function isLinkLocal(address: IpAddress): boolean {
  return familyOf(address) === 'IPv6' ? /^fe[89ab]/.test(address) : address.startsWith('169.254.');
}

/** Interfaces that fit every address for which the source knows any; if none fits all, the source is divided. */
function overAddresses(source: EvidenceSource, perAddress: readonly (readonly string[])[]): Evidence | undefined {
  const speaking = perAddress.filter((names) => names.length > 0);
  const [first = [], ...rest] = speaking;
  const shared = first.filter((name) => rest.every((names) => names.includes(name)));
  if (shared.length > 0 || speaking.length === 0) return evidence(source, shared);
  const all = evidence(source, speaking.flat());
  return all === undefined ? undefined : { ...all, divided: true };
}

function evidence(source: EvidenceSource, names: readonly string[]): Evidence | undefined {
  const interfaces = [...new Set(names)].sort();
  return interfaces.length === 0 ? undefined : { source, interfaces };
}
