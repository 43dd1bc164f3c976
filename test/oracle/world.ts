import { isSame, parseAddress } from './address.ts';
import type { Address } from './address.ts';
import { field, items, labelsOf, text } from './raw.ts';
import type { Family, RawObject } from './question.ts';
import type { LabelView } from './selector.ts';

/** A pod that has not finished. */
export interface Pod {
  /** `namespace/name`. */
  readonly key: string;
  readonly namespace: string;
  readonly labels: LabelView;
  readonly node: string | undefined;
  readonly hostNetwork: boolean;
  readonly terminating: boolean;
  readonly createdAtMs: number;
  /** What the status claims; another pod may own it. */
  readonly claimed: readonly Address[];
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly number: number }[];
}

/** One end of a flow. Pods on the host network are their node (semantics 51). */
export type End =
  | { readonly kind: 'pod'; readonly pod: Pod; readonly addresses: readonly Address[] }
  | { readonly kind: 'node'; readonly name: string | undefined; readonly addresses: readonly Address[] }
  | { readonly kind: 'outside'; readonly addresses: readonly Address[] };

/** What a cluster's objects say. */
export interface World {
  readonly pods: readonly Pod[];
  readonly nodes: ReadonlyMap<string, readonly Address[]>;
  readonly namespaces: ReadonlyMap<string, LabelView>;
  readonly policies: readonly RawObject[];
}

/** Reads the objects; finished pods are gone at once (semantics 44). */
export function readWorld(objects: readonly RawObject[]): World {
  const ofKind = (kind: string): readonly RawObject[] => objects.filter((object) => object['kind'] === kind);
  return {
    pods: ofKind('Pod')
      .filter((pod) => !['Succeeded', 'Failed'].includes(String(field(field(pod, 'status'), 'phase'))))
      .map(readPod),
    nodes: new Map(ofKind('Node').map((node) => [nameOf(node), nodeAddresses(node)])),
    namespaces: new Map(ofKind('Namespace').map((object) => [nameOf(object), namespaceLabels(nameOf(object), object)])),
    policies: ofKind('NetworkPolicy').filter((policy) => policy['apiVersion'] === 'networking.k8s.io/v1'),
  };
}

/** Labels of a namespace. Of one that nobody has seen, only the name label is known (semantics 24). */
export function labelsOfNamespace(world: World, name: string): LabelView {
  return world.namespaces.get(name) ?? { known: new Map([[nameLabel, name]]), complete: false };
}

/** What a text means as the end of a flow, or `undefined` if nothing in the cluster bears that name. */
export function locate(world: World, end: string): End | undefined {
  const address = parseAddress(end);
  if (address !== undefined) return locateAddress(world, address);
  if (end.startsWith('node/')) {
    const name = end.slice('node/'.length);
    const addresses = world.nodes.get(name);
    return addresses === undefined ? undefined : { kind: 'node', name, addresses };
  }
  const pod = world.pods.find((candidate) => candidate.key === end);
  if (pod === undefined) return undefined;
  if (pod.hostNetwork) return { kind: 'node', name: pod.node, addresses: pod.claimed };
  return { kind: 'pod', pod, addresses: pod.claimed.filter((claim) => ownerOf(world, claim) === pod) };
}

/** The first address of a family. */
export function addressOf(end: End, family: Family): Address | undefined {
  return end.addresses.find((address) => address.family === family);
}

/** `metadata.namespace`; a file without one means `default` (semantics 75). */
export function namespaceOf(object: unknown): string {
  return text(field(field(object, 'metadata'), 'namespace')) || 'default';
}

const nameLabel = 'kubernetes.io/metadata.name';

function locateAddress(world: World, address: Address): End {
  const owner = ownerOf(world, address);
  if (owner !== undefined) return { kind: 'pod', pod: owner, addresses: [address] };
  for (const [name, addresses] of world.nodes) {
    if (addresses.some((own) => isSame(own, address))) return { kind: 'node', name, addresses: [address] };
  }
  const host = world.pods.find((pod) => pod.hostNetwork && pod.claimed.some((claim) => isSame(claim, address)));
  if (host !== undefined) return { kind: 'node', name: host.node, addresses: [address] };
  return { kind: 'outside', addresses: [address] };
}

/** The pod on the pod network that an address belongs to: the newest of those that claim it (semantics 49). */
function ownerOf(world: World, address: Address): Pod | undefined {
  let owner: Pod | undefined;
  for (const pod of world.pods) {
    if (pod.hostNetwork || !pod.claimed.some((claim) => isSame(claim, address))) continue;
    if (owner === undefined || isNewer(pod, owner)) owner = pod;
  }
  return owner;
}

function isNewer(a: Pod, b: Pod): boolean {
  if (a.createdAtMs !== b.createdAtMs) return a.createdAtMs > b.createdAtMs;
  if (a.terminating !== b.terminating) return b.terminating;
  return a.key > b.key;
}

function readPod(object: RawObject): Pod {
  const metadata = field(object, 'metadata');
  const spec = field(object, 'spec');
  const namespace = namespaceOf(object);
  return {
    key: `${namespace}/${nameOf(object)}`,
    namespace,
    labels: { known: labelsOf(object), complete: true },
    node: text(field(spec, 'nodeName')) || undefined,
    hostNetwork: field(spec, 'hostNetwork') === true,
    terminating: field(metadata, 'deletionTimestamp') !== undefined,
    createdAtMs: Date.parse(text(field(metadata, 'creationTimestamp')) ?? '') || 0,
    claimed: podAddresses(field(object, 'status')),
    ports: declaringContainers(spec).flatMap((container) => items(field(container, 'ports')).flatMap(readPort)),
  };
}

/** Containers and restartable init containers (semantics 42). */
function declaringContainers(spec: unknown): readonly unknown[] {
  const sidecars = items(field(spec, 'initContainers')).filter((item) => field(item, 'restartPolicy') === 'Always');
  return [...items(field(spec, 'containers')), ...sidecars];
}

function readPort(port: unknown): Pod['ports'] {
  const name = text(field(port, 'name'));
  const number = field(port, 'containerPort');
  if (name === undefined || typeof number !== 'number') return [];
  return [{ name, number, protocol: text(field(port, 'protocol')) ?? 'TCP' }];
}

/** `status.podIPs`, else `status.podIP` (semantics 48). */
function podAddresses(status: unknown): readonly Address[] {
  const list = items(field(status, 'podIPs')).map((entry) => field(entry, 'ip'));
  return parseAll(list.length > 0 ? list : [field(status, 'podIP')]);
}

/** InternalIP before ExternalIP; names are no addresses (semantics 54). */
function nodeAddresses(node: RawObject): readonly Address[] {
  const entries = items(field(field(node, 'status'), 'addresses'));
  return ['InternalIP', 'ExternalIP'].flatMap((type) =>
    parseAll(entries.filter((entry) => field(entry, 'type') === type).map((entry) => field(entry, 'address'))),
  );
}

function parseAll(texts: readonly unknown[]): readonly Address[] {
  return texts.flatMap((value) => parseAddress(text(value) ?? '') ?? []);
}

function namespaceLabels(name: string, object: RawObject): LabelView {
  return { known: labelsOf(object).set(nameLabel, name), complete: true };
}

function nameOf(object: RawObject): string {
  return text(field(field(object, 'metadata'), 'name')) ?? '';
}
