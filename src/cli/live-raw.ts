import { familyOf, parseIp } from '../model/ip.ts';
import type { IpAddress, IpFamily } from '../model/ip.ts';
import type { EndScope } from './live-scope.ts';

/** An object as the API server sent it. */
export type RawObject = Readonly<Record<string, unknown>>;

function metadataOf(raw: RawObject): { readonly name: string; readonly namespace?: string } {
  return raw['metadata'] as { readonly name: string; readonly namespace?: string };
}

/** Empty for objects that are in none. */
export function namespaceOf(raw: RawObject): string {
  return metadataOf(raw).namespace ?? '';
}

/** Kind, namespace and name. */
export function titleOf(raw: RawObject): string {
  return `${String(raw['kind'])} ${namespaceOf(raw)}/${metadataOf(raw).name}`;
}

/** What places in it begin with. */
export function placeName(raw: RawObject): string {
  const { name, namespace } = metadataOf(raw);
  return namespace === undefined ? `${String(raw['kind']).toLowerCase()}/${name}` : `${namespace}/${name}`;
}

/**
 * Whether `status.podIP`, the only address that a field selector knows, is every pod's address of this family: a kubelet
 * puts the family of its node's first address first.
 */
export function isPrimaryFamily(nodes: readonly RawObject[], family: IpFamily): boolean {
  const families = nodes.map((raw) => {
    const status = raw['status'] as { readonly addresses?: readonly NodeAddress[] } | undefined;
    const first = status?.addresses?.find(({ type }) => type === 'InternalIP')?.address;
    const address = first === undefined ? undefined : parseIp(first);
    return address === undefined ? undefined : familyOf(address);
  });
  return families.length > 0 && families.every((found) => found === family);
}

interface NodeAddress {
  readonly type?: string;
  readonly address?: string;
}

/** Where the endpoints of an EndpointSlice are. */
export function sliceAddresses(raw: RawObject): readonly IpAddress[] {
  const endpoints = (raw['endpoints'] ?? []) as readonly { readonly addresses?: readonly string[] }[];
  return endpoints.flatMap(({ addresses = [] }) => addresses.flatMap((text) => parseIp(text) ?? []));
}

/** Whether an end leads to a Service: by its name, by its address, or by its port of a node. */
export function isMeant(service: RawObject, end: EndScope, port: number | string | undefined): boolean {
  if (end.kind === 'object')
    return end.object === 'Service' && end.namespace === namespaceOf(service) && end.name === metadataOf(service).name;
  if (end.kind === 'block') return false;
  const { ports = [] } = (service['spec'] ?? {}) as { readonly ports?: readonly { readonly nodePort?: number }[] };
  const byPort = port !== undefined && ports.some(({ nodePort }) => nodePort === port);
  return byPort || (end.kind === 'address' && hasAddress(service, end.address));
}

/** Whether an EndpointSlice is of a Service. */
export function isSliceOf(slice: RawObject, service: RawObject): boolean {
  const { labels } = slice['metadata'] as { readonly labels?: Readonly<Record<string, string>> };
  return (
    namespaceOf(slice) === namespaceOf(service) && labels?.['kubernetes.io/service-name'] === metadataOf(service).name
  );
}

/** Whether a pod, a node, or a Service by any of its addresses, has this address. The text is canonical on our side only. */
export function hasAddress(raw: RawObject, address: string): boolean {
  const status = raw['status'] as
    | {
        readonly podIP?: string;
        readonly podIPs?: readonly { readonly ip?: string }[];
        readonly addresses?: readonly { readonly address?: string }[];
      }
    | undefined;
  const spec = raw['spec'] as
    | { readonly clusterIPs?: readonly string[]; readonly clusterIP?: string; readonly externalIPs?: readonly string[] }
    | undefined;
  const balancer = raw['status'] as
    { readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string }[] } } | undefined;
  const all =
    raw['kind'] === 'Pod'
      ? [status?.podIP, ...(status?.podIPs ?? []).map(({ ip }) => ip)]
      : [
          ...(status?.addresses ?? []).map((entry) => entry.address),
          spec?.clusterIP,
          ...(spec?.clusterIPs ?? []),
          ...(spec?.externalIPs ?? []),
          ...(balancer?.loadBalancer?.ingress ?? []).map(({ ip }) => ip),
        ];
  return all.some((text) => text !== undefined && parseIp(text) === address);
}
