import { parseCidr } from '../model/cidr.ts';
import type { Cidr } from '../model/cidr.ts';
import { isFinished } from '../model/endpoint.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { PodFact } from '../model/flow.ts';
import { familyBits, parseIp } from '../model/ip.ts';
import type { IpAddress } from '../model/ip.ts';
import { noLabels } from '../model/labels.ts';
import { namespaceName, nodeName, podKey, serviceKey } from '../model/names.ts';
import type { Node } from '../model/node.ts';
import { err, ok } from '../model/result.ts';
import type { Result } from '../model/result.ts';
import type { Service } from '../model/service.ts';
import type { Cluster, WrittenObject } from './cluster.ts';
import type { Directory, Party } from './ends.ts';
import type { EndRef, WorkloadKind } from './explanation.ts';
import type { Entrance } from './external-routes.ts';
import { parseKind, workloadKinds } from './kinds.ts';
import { lettersApart } from './label-words.ts';
import { workloadNames, workloadPods } from './workloads.ts';
import type { WorkloadPods } from './workloads.ts';

/** One thing a flow can start from or lead to, and what the question calls it. */
export interface Member {
  readonly party: Party;
  readonly ref: EndRef;
}

/** How packets enter a Service: by its own address, or from outside through a node or a load balancer. */
export type ServiceEntry = 'cluster' | 'outside';

/** What the text of an end means. */
export type Located =
  | { readonly kind: 'members'; readonly ref: EndRef; readonly members: readonly Member[] }
  | {
      readonly kind: 'service';
      readonly ref: EndRef;
      readonly service: Service;
      readonly entry: ServiceEntry;
      readonly address?: IpAddress;
      /** The node whose port it was entered by. */
      readonly door?: Entrance['door'];
    }
  | { readonly kind: 'block'; readonly ref: EndRef; readonly cidr: Cidr };

/** Where ends are looked up. `templates` grows with pods made from workload templates. */
export interface World {
  readonly cluster: Cluster;
  readonly directory: Directory;
  readonly templates: Map<Endpoint, WrittenObject>;
  /** Addresses that every node has for itself, to answer DNS. */
  readonly nodeDns: ReadonlySet<IpAddress>;
}

const nothingKnown: ReadonlySet<PodFact> = new Set(['labels', 'addresses', 'ports', 'node']);

/** Finds an end: `pod`, `ns/pod`, `kind/name`, `ns/kind/name`, an address or a CIDR. In `a/b` a kind wins over a namespace. */
export function locate(world: World, text: string, namespace: string): Result<Located, string> {
  const address = parseIp(text);
  if (address !== undefined) return ok(locateAddress(world, address));
  const block = parseCidr(text)?.cidr;
  if (block !== undefined) {
    return block.prefix === familyBits(block.family)
      ? ok(locateAddress(world, block.base))
      : ok({ kind: 'block', ref: { kind: 'Block', cidr: block.text }, cidr: block });
  }
  const parts = text.split('/');
  const [first = '', second, third] = parts;
  if (parts.length > 3 || parts.includes(''))
    return err(
      `cannot read ${JSON.stringify(text)}: write POD, NAMESPACE/POD, KIND/NAME, NAMESPACE/KIND/NAME or an address`,
    );
  if (third !== undefined) {
    const kind = parseKind(second ?? '');
    return kind === undefined
      ? err(`unknown kind ${JSON.stringify(second)}: use pod, deploy, sts, ds, rs, job, cronjob, svc or node`)
      : locateKind(world, kind, first, third);
  }
  const kind = second === undefined ? undefined : parseKind(first);
  if (kind !== undefined && second !== undefined) return locateKind(world, kind, namespace, second);
  return second === undefined ? locatePod(world, namespace, first) : locatePod(world, first, second);
}

function locateKind(
  world: World,
  kind: ReturnType<typeof parseKind> & {},
  namespace: string,
  name: string,
): Result<Located, string> {
  switch (kind) {
    case 'Pod':
      return locatePod(world, namespace, name);
    case 'Node':
      return locateNode(world, name);
    case 'Service':
      return locateService(world, namespace, name);
    case 'Deployment':
    case 'StatefulSet':
    case 'DaemonSet':
    case 'ReplicaSet':
    case 'Job':
    case 'CronJob':
      return locateWorkload(world, kind, namespace, name);
  }
}

function locateAddress({ cluster, directory, nodeDns }: World, address: IpAddress): Located {
  if (nodeDns.has(address)) {
    const member = nodeDnsMember(address);
    return { kind: 'members', ref: member.ref, members: [member] };
  }
  for (const service of cluster.snapshot.services.values()) {
    const entry = service.clusterIps.includes(address)
      ? 'cluster'
      : service.loadBalancerIps.includes(address) || service.externalIps.includes(address)
        ? 'outside'
        : undefined;
    if (entry === undefined) continue;
    return {
      kind: 'service',
      ref: { kind: 'Service', namespace: service.namespace, name: service.name },
      service,
      entry,
      address,
    };
  }
  const party = directory.addressParty(address);
  const ref: EndRef =
    party.kind === 'pod'
      ? { kind: 'Pod', namespace: party.pod.namespace, name: party.pod.name }
      : party.kind === 'node' && party.name !== undefined
        ? { kind: 'Node', name: party.name }
        : { kind: 'Address', address };
  return { kind: 'members', ref, members: [{ party, ref }] };
}

function locatePod(world: World, namespace: string, name: string): Result<Located, string> {
  const { cluster } = world;
  const ref: EndRef = { kind: 'Pod', namespace, name };
  const pod = cluster.snapshot.pods.get(podKey(namespace, name));
  if (pod !== undefined) {
    if (isFinished(pod)) return err(`pod ${pod.key} has finished (${pod.phase}): it neither sends nor receives`);
    const member = podMember(world, pod);
    return member.ok ? ok({ kind: 'members', ref, members: [member.value] }) : member;
  }
  if (/\.[a-z]{2,}$/i.test(name))
    return err(`${name} is no pod here, and host names are not looked up: ask with the address`);
  const names = podNames(cluster, namespace);
  const wrongNamespace = missingNamespace(cluster, namespace, names.length);
  if (wrongNamespace !== undefined) return err(wrongNamespace);
  const elsewhere = [...cluster.snapshot.pods.values()].some((other) => other.name === name);
  const workload = workloadKinds.find((kind) => workloadNames(cluster, kind, namespace).includes(name));
  if (names.length === 0 && workload !== undefined)
    return err(`there is no pod ${namespace}/${name}, but a ${workload}: ask for ${workload.toLowerCase()}/${name}`);
  if (names.length > 0 || elsewhere || cluster.complete === true)
    return err(`there is no pod ${namespace}/${name} in the manifests${podHint(cluster, namespace, name, names)}`);
  return ok({
    kind: 'members',
    ref,
    members: [
      { party: { kind: 'pod', pod: imaginaryPod(namespace, name), addresses: [], unknown: nothingKnown }, ref },
    ],
  });
}

/** A pod with the facts it is known by; a manifest without status leaves its address and often its node open. */
export function podMember({ directory }: World, pod: Endpoint): Result<Member, string> {
  const ref: EndRef = { kind: 'Pod', namespace: pod.namespace, name: pod.name };
  const party = directory.podParty(pod);
  if (party.kind !== 'pod') return ok({ party, ref });
  if (pod.addresses.length > 0 && party.addresses.length === 0) {
    const owner = directory.addressParty(pod.addresses[0] ?? ('' as IpAddress));
    return err(
      `pod ${pod.key} has lost its address ${pod.addresses[0]} to ${owner.kind === 'pod' ? `the newer pod ${owner.pod.key}` : 'another'}`,
    );
  }
  const unknown = new Set<PodFact>();
  if (pod.addresses.length === 0) unknown.add('addresses');
  if (pod.node === undefined) unknown.add('node');
  return ok({ ref, party: unknown.size === 0 ? party : { ...party, unknown } });
}

/** The end that whoever asks this address meets on its own node. */
export function nodeDnsMember(address: IpAddress): Member {
  return { ref: { kind: 'Address', address }, party: { kind: 'node', addresses: [address] } };
}

/** A node as an end. */
export function nodeMember({ name, addresses }: Node): Member {
  return { ref: { kind: 'Node', name }, party: { kind: 'node', name, addresses } };
}

function locateNode({ cluster }: World, name: string): Result<Located, string> {
  const node = cluster.snapshot.nodes.get(nodeName(name));
  if (node === undefined) {
    const known = [...cluster.snapshot.nodes.keys()];
    return err(`there is no node ${name} in the manifests${didYouMean(name, known, (other) => `node/${other}`)}`);
  }
  const member = nodeMember(node);
  return ok({ kind: 'members', ref: member.ref, members: [member] });
}

function locateService({ cluster }: World, namespace: string, name: string): Result<Located, string> {
  const service = cluster.snapshot.services.get(serviceKey(namespace, name));
  const ref: EndRef = { kind: 'Service', namespace, name };
  if (service !== undefined) return ok({ kind: 'service', ref, service, entry: 'cluster' });
  const services = [...cluster.snapshot.services.values()];
  const here = services.filter((other) => other.namespace === namespace).map((other) => other.name);
  const elsewhere = services.find((other) => other.name === name);
  const hint =
    didYouMean(name, here, (other) => `svc/${other}`) ||
    (elsewhere === undefined ? '' : `; did you mean ${elsewhere.namespace}/svc/${name}?`);
  return err(`there is no Service ${namespace}/${name} in the manifests${hint}`);
}

/** A pod as a template would make it; nobody knows its address and node. */
export function templateMember(
  world: World,
  ref: EndRef,
  { pod, written }: NonNullable<WorkloadPods['template']>,
): Member {
  world.templates.set(pod, written);
  const unknown: ReadonlySet<PodFact> = new Set(['addresses', 'node']);
  const host = pod.hostNetwork;
  return {
    ref,
    party: host ? { kind: 'node', addresses: [], hostNetworkPod: pod } : { kind: 'pod', pod, addresses: [], unknown },
  };
}

function locateWorkload(world: World, kind: WorkloadKind, namespace: string, name: string): Result<Located, string> {
  const { cluster } = world;
  const ref: EndRef = { kind, namespace, name };
  const { pods, template, exists } = workloadPods(cluster, kind, namespace, name);
  const members: Member[] = [];
  for (const pod of pods) {
    const member = podMember(world, pod);
    if (!member.ok) return member;
    members.push(member.value);
  }
  if (template !== undefined) members.push(templateMember(world, ref, template));
  if (members.length > 0) return ok({ kind: 'members', ref, members });
  const word = kind.toLowerCase();
  if (exists) return err(`${word} ${namespace}/${name} has no live pods and no template in the manifests`);
  const names = workloadNames(cluster, kind, namespace);
  const podCount = podNames(cluster, namespace).length;
  const wrongNamespace = missingNamespace(cluster, namespace, podCount);
  if (wrongNamespace !== undefined) return err(wrongNamespace);
  if (podCount > 0 || names.length > 0 || cluster.complete === true) {
    return err(
      `there is no ${word} ${namespace}/${name} in the manifests, and no pod of it${didYouMean(name, names, (other) => `${word}/${other}`)}`,
    );
  }
  return ok({
    kind: 'members',
    ref,
    members: [
      { party: { kind: 'pod', pod: imaginaryPod(namespace, name), addresses: [], unknown: nothingKnown }, ref },
    ],
  });
}

/** A pod nobody described: every condition about it that matters is undecidable. */
function imaginaryPod(namespace: string, name: string): Endpoint {
  return {
    kind: 'Pod',
    key: podKey(namespace, name),
    namespace: namespaceName(namespace),
    name,
    uid: '',
    labels: noLabels,
    hostNetwork: false,
    phase: 'Running',
    terminating: false,
    createdAtMs: 0,
    addresses: [],
    namedPorts: [],
    declaredPorts: [],
    source: { kind: 'cluster', resourceVersion: '' },
  };
}

function podNames({ snapshot }: Cluster, namespace: string): readonly string[] {
  return [...snapshot.pods.values()].filter((pod) => pod.namespace === namespace).map(({ name }) => name);
}

/** A namespace that is surely misspelt: others are known, it is not, and one has nearly its name. */
function missingNamespace({ snapshot }: Cluster, namespace: string, pods: number): string | undefined {
  if (pods > 0 || snapshot.namespaces.size === 0 || snapshot.namespaces.has(namespaceName(namespace))) return undefined;
  const hint = didYouMean(namespace, [...snapshot.namespaces.keys()], (other) => other);
  return hint === '' ? undefined : `there is no namespace ${namespace} in the manifests${hint}`;
}

function podHint(cluster: Cluster, namespace: string, name: string, names: readonly string[]): string {
  const near = didYouMean(name, names, (other) => `${namespace}/${other}`);
  if (near !== '') return near;
  const elsewhere = [...cluster.snapshot.pods.values()].find((pod) => pod.name === name);
  if (elsewhere !== undefined) return `; did you mean ${elsewhere.key}?`;
  const generated = names.find((other) => other.startsWith(`${name}-`));
  if (generated !== undefined) return `; did you mean ${namespace}/${generated}, or the workload: deploy/${name}?`;
  if (names.length === 0) return '; its namespace has no pods';
  return `; its namespace has ${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}`;
}

/** `; did you mean X?` for the nearest name, if it is near enough. */
export function didYouMean(name: string, known: readonly string[], show: (name: string) => string): string {
  const limit = Math.max(1, Math.floor(name.length / 3));
  let best: { readonly name: string; readonly edits: number } | undefined;
  for (const candidate of known) {
    const edits = lettersApart(name.toLowerCase(), candidate.toLowerCase());
    if (edits <= limit && edits < name.length && edits < (best?.edits ?? Infinity)) best = { name: candidate, edits };
  }
  return best === undefined ? '' : `; did you mean ${show(best.name)}?`;
}
