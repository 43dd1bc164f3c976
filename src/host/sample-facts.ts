import type { Endpoint } from '../model/endpoint.ts';
import { namespaceName, nodeName, podKey } from '../model/names.ts';
import type { IpAddress } from '../model/ip.ts';
import type { CniCacheEntry } from './cni-cache.ts';
import type { HostFacts } from './facts.ts';
import { parseLinks, parseRoutes } from './links.ts';
import type { Link, Route } from './links.ts';

/** Facts of an empty node with `changes`: the starting point of tests. */
export function sampleFacts(changes: Partial<HostFacts> = {}): HostFacts {
  return {
    links: [],
    routes: [],
    neighbours: [],
    forwarding: [],
    namespaces: [],
    namespaceIds: new Map(),
    cache: [],
    bridgeNameMatch: false,
    settings: { bridgeNetfilter4: true, bridgeNetfilter6: true, forwarding4: true, forwarding6: true },
    gaps: [],
    ...changes,
  };
}

/** A pod of node1 in namespace default for tests. */
export function samplePod(name: string, addresses: readonly string[], changes: Partial<Endpoint> = {}): Endpoint {
  return {
    kind: 'Pod',
    key: podKey('default', name),
    namespace: namespaceName('default'),
    name,
    uid: `uid-${name}`,
    labels: new Map(),
    node: nodeName('node1'),
    hostNetwork: false,
    phase: 'Running',
    terminating: false,
    createdAtMs: 0,
    addresses: addresses as IpAddress[],
    namedPorts: [],
    declaredPorts: [],
    source: { kind: 'cluster', resourceVersion: '1' },
    ...changes,
  };
}

/** A veth of the node whose other end has index `peerIndex` in namespace `peerNamespaceId`. */
export function sampleVeth(name: string, index: number, changes: Partial<Link> = {}): Link {
  return {
    index,
    name,
    kind: 'veth',
    loopback: false,
    peerIndex: 2,
    peerNamespaceId: index,
    addresses: [],
    ...changes,
  };
}

/** The route that a routed CNI makes for a pod address. */
export function sampleRoute(destination: string, dev: string): Route {
  const family = destination.includes(':') ? '6' : '4';
  const [route] = parseRoutes(family, JSON.stringify([{ dst: destination, dev, scope: 'link', flags: [] }]));
  if (route === undefined) throw new Error(`not a route: ${destination}`);
  return route;
}

/** The pod's end of {@link sampleVeth}, in its own namespace. */
export function sampleInside(
  inode: string,
  hostIndex: number,
  mac: string,
  addresses: readonly string[],
  changes: { readonly names?: readonly string[]; readonly kind?: string } = {},
): HostFacts['namespaces'][number] {
  const row = {
    ifindex: 2,
    ifname: 'eth0',
    flags: [],
    address: mac,
    link_index: hostIndex,
    link_netnsid: 0,
    linkinfo: { info_kind: changes.kind ?? 'veth' },
    addr_info: addresses.map((local) => ({ local, prefixlen: local.includes(':') ? 64 : 24, scope: 'global' })),
  };
  return { inode, names: changes.names ?? [], links: parseLinks(JSON.stringify([row])) };
}

/** A cache entry for a pod of namespace default. */
export function sampleEntry(pod: string, veth: string, changes: Partial<CniCacheEntry> = {}): CniCacheEntry {
  return {
    file: `/var/lib/cni/results/net-${pod}-eth0`,
    namespace: 'default',
    pod,
    uid: `uid-${pod}`,
    podInterface: 'eth0',
    hostInterfaces: [veth],
    addresses: [],
    ...changes,
  };
}
