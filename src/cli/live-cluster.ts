import { parseKind } from '../explain/kinds.ts';
import type { EndRef } from '../explain/explanation.ts';
import type { EndKind } from '../explain/kinds.ts';
import type { Unread } from '../explain/unread.ts';
import { parseCidr } from '../model/cidr.ts';
import { familyOf, parseIp } from '../model/ip.ts';
import type { IpAddress, IpFamily } from '../model/ip.ts';
import { AccessError } from '../source/kubernetes/access.ts';
import { defaultNamespace, openAccess, parseRequestTimeout } from '../source/kubernetes/open-access.ts';
import type { AccessOptions } from '../source/kubernetes/open-access.ts';
import { decodeDocuments } from '../source/manifests/decode-documents.ts';
import type { LoadedManifests } from '../source/manifests/files.ts';
import type { Context } from './context.ts';
import { LiveError, readCollection, readObject } from './live-api.ts';
import type { Collection, LiveApi } from './live-api.ts';
import { LiveDocument } from './live-document.ts';
import { withSources } from './live-sources.ts';

/** Which cluster is asked, and as whom: kubectl's flags. */
export interface LiveFlags {
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly cluster?: string;
  readonly user?: string;
  readonly as?: string;
  readonly asGroup?: readonly string[];
  readonly requestTimeout?: string;
  /** Where the manifests of live objects are. */
  readonly sourceDir?: string;
}

/** What the question needs of the cluster. */
export interface LiveQuestion {
  readonly from: string;
  readonly to: string;
  readonly port?: number | string;
  /** Of ends that name none. */
  readonly namespace: string;
  /** Of the Service that resolves names, if it will be judged. */
  readonly dnsNamespace?: string;
}

/** A cluster as far as a question needs it. */
export interface LiveObjects {
  readonly loaded: LoadedManifests;
  /** What the footer calls it. */
  readonly name: string;
  readonly unread: Unread;
  /** Open: whoever gets it closes it. */
  readonly api: LiveApi;
}

/** Which kinds of objects a question asks a cluster for. */
const kinds = {
  Namespace: { kind: 'Namespace', apiVersion: 'v1', plural: 'namespaces' },
  Node: { kind: 'Node', apiVersion: 'v1', plural: 'nodes' },
  Pod: { kind: 'Pod', apiVersion: 'v1', plural: 'pods' },
  Service: { kind: 'Service', apiVersion: 'v1', plural: 'services' },
  EndpointSlice: { kind: 'EndpointSlice', apiVersion: 'discovery.k8s.io/v1', plural: 'endpointslices' },
  NetworkPolicy: { kind: 'NetworkPolicy', apiVersion: 'networking.k8s.io/v1', plural: 'networkpolicies' },
  Deployment: { kind: 'Deployment', apiVersion: 'apps/v1', plural: 'deployments' },
  StatefulSet: { kind: 'StatefulSet', apiVersion: 'apps/v1', plural: 'statefulsets' },
  DaemonSet: { kind: 'DaemonSet', apiVersion: 'apps/v1', plural: 'daemonsets' },
  ReplicaSet: { kind: 'ReplicaSet', apiVersion: 'apps/v1', plural: 'replicasets' },
  Job: { kind: 'Job', apiVersion: 'batch/v1', plural: 'jobs' },
  CronJob: { kind: 'CronJob', apiVersion: 'batch/v1', plural: 'cronjobs' },
} as const satisfies Readonly<Record<string, Collection>>;

type Kind = keyof typeof kinds;

/** Whether the cluster, or the way to it, is at fault. */
export function isLiveFailure(error: unknown): error is AccessError | LiveError {
  return error instanceof AccessError || error instanceof LiveError;
}

/** The namespace of ends that name none: the context's, as kubectl takes it. */
export async function liveNamespace(context: Context, flags: LiveFlags): Promise<string> {
  return (await defaultNamespace(accessOptions(context, flags))) ?? 'default';
}

/**
 * Reads what the question needs: namespaces, nodes, the pods and policies of the namespaces of both ends, Services only
 * if one or an address is asked; all pods if an end is a block. Throws LiveError or AccessError.
 */
export async function readLive(context: Context, flags: LiveFlags, question: LiveQuestion): Promise<LiveObjects> {
  const { requestTimeoutMs: timeoutMs = 0, ...options } = accessOptions(context, flags);
  const access = await openAccess(options);
  try {
    return await new Reading({ access, timeoutMs, signal: context.signal }, context, flags).run(question);
  } catch (error) {
    access.close();
    throw error;
  }
}

function accessOptions({ env }: Context, flags: LiveFlags): AccessOptions {
  const { kubeconfig, context, cluster, user, as, asGroup = [], requestTimeout } = flags;
  const requestTimeoutMs = requestTimeout === undefined ? undefined : parseRequestTimeout(requestTimeout);
  if (requestTimeout !== undefined && requestTimeoutMs === undefined)
    throw new AccessError('credentials', `--request-timeout ${requestTimeout} is no time: write 30s, 2m or seconds`);
  return {
    env,
    ...(kubeconfig === undefined ? {} : { kubeconfig }),
    ...(context === undefined ? {} : { context }),
    ...(cluster === undefined ? {} : { cluster }),
    ...(user === undefined ? {} : { user }),
    ...(as === undefined ? {} : { as }),
    ...(asGroup.length === 0 ? {} : { asGroups: asGroup }),
    requestTimeoutMs: requestTimeoutMs ?? defaultTimeoutMs,
  };
}

/** Of one request, in milliseconds: a question should not hang on a server that is gone. */
const defaultTimeoutMs = 30_000;

type RawObject = Readonly<Record<string, unknown>>;

class Reading {
  readonly #api: LiveApi;
  readonly #context: Context;
  readonly #flags: LiveFlags;
  readonly #objects: RawObject[] = [];
  readonly #help = new Set<string>();
  readonly #unreadPolicies = new Set<string>();
  #allPoliciesUnread = false;
  /** Lists that may not be read: `Pod`, `Pod shop`. */
  readonly #forbidden = new Set<string>();
  readonly #unreadWorkloads: EndRef[] = [];
  #nodes: Promise<readonly RawObject[] | undefined> | undefined;

  constructor(api: LiveApi, context: Context, flags: LiveFlags) {
    this.#api = api;
    this.#context = context;
    this.#flags = flags;
  }

  async run(question: LiveQuestion): Promise<LiveObjects> {
    const from = scopeOf(question.from, question.namespace);
    const to = scopeOf(question.to, question.namespace);
    const ends = [from, to];
    const spaces = new Set(ends.flatMap((end) => (end.kind === 'object' ? [end.namespace] : [])));
    const asksService = ends.some((end) => end.kind === 'object' && end.object === 'Service');
    const asksNodePort = to.kind === 'node' && typeof question.port === 'number';
    const addresses = ends.flatMap((end) => (end.kind === 'address' ? [end.address] : []));
    const hasBlock = ends.some(({ kind }) => kind === 'block');
    const dnsNamespace = asksService ? question.dnsNamespace : undefined;
    if (dnsNamespace !== undefined) spaces.add(dnsNamespace);
    const named = [...spaces];

    const anyService = addresses.length > 0 || hasBlock || asksNodePort;
    const [pods, services] = await Promise.all([
      hasBlock ? this.#everywhere('Pod', spaces) : this.#podsAt(addresses, spaces),
      anyService ? this.#everywhere('Service', spaces) : asksService ? this.#inEach('Service', spaces) : [],
      hasBlock ? [] : this.#inEach('Pod', named),
      this.#readNodes(),
      ...ends.map((end) => this.#readWorkload(end)),
    ]);
    for (const address of addresses) for (const pod of pods) if (hasAddress(pod, address)) spaces.add(namespaceOf(pod));
    const meant = services.filter((service) => ends.some((end) => isMeant(service, end, question.port)));
    for (const service of meant) spaces.add(namespaceOf(service));
    const slices = meant.length > 0 || dnsNamespace !== undefined ? await this.#inEach('EndpointSlice', spaces) : [];
    const leads = slices
      .filter((slice) => namespaceOf(slice) === dnsNamespace || meant.some((service) => isSliceOf(slice, service)))
      .flatMap(sliceAddresses);
    // A slice that people write may lead to a pod of any namespace.
    const led = hasBlock
      ? []
      : await this.#podsAt(
          leads.filter((address) => !this.#isKnown(address)),
          spaces,
        );
    for (const pod of led) if (leads.some((address) => hasAddress(pod, address))) spaces.add(namespaceOf(pod));
    await Promise.all([
      hasBlock
        ? []
        : this.#inEach(
            'Pod',
            [...spaces].filter((space) => !named.includes(space)),
          ),
      this.#readNamespaces(spaces),
      this.#readPolicies(spaces, hasBlock),
    ]);
    return this.#loaded(refOf(from), refOf(to));
  }

  /** Whether a pod or node that was read has an address. */
  #isKnown(address: IpAddress): boolean {
    return this.#objects.some((raw) => raw['kind'] !== 'Service' && hasAddress(raw, address));
  }

  async #inEach(kind: Kind, spaces: Iterable<string>): Promise<readonly RawObject[]> {
    const lists = await Promise.all([...spaces].map((namespace) => this.#list(kind, namespace)));
    return lists.flat();
  }

  /** The whole cluster; without that right only the namespaces of the ends, and then an address may be anyone's. */
  async #everywhere(kind: Kind, spaces: ReadonlySet<string>): Promise<readonly RawObject[]> {
    const all = await this.#tryList(kind);
    if (all !== undefined) return all;
    return await this.#inEach(kind, spaces);
  }

  #readNodes(): Promise<readonly RawObject[] | undefined> {
    return (this.#nodes ??= this.#tryList('Node'));
  }

  /** The pods with these addresses, and the nodes. Without knowing that one selector finds them: all pods. */
  async #podsAt(addresses: readonly IpAddress[], spaces: ReadonlySet<string>): Promise<readonly RawObject[]> {
    if (addresses.length === 0) return [];
    const [nodes, ...found] = await Promise.all([
      this.#readNodes(),
      ...addresses.map((address) => this.#tryList('Pod', undefined, { fields: `status.podIP=${address}` })),
    ]);
    const primary = addresses.every((address) => nodes !== undefined && isPrimaryFamily(nodes, familyOf(address)));
    return primary && found.every((list) => list !== undefined) ? found.flat() : await this.#everywhere('Pod', spaces);
  }

  /** All of them; without that right only those that matter, one by one. */
  async #readNamespaces(spaces: ReadonlySet<string>): Promise<void> {
    const answer = await readCollection(this.#api, kinds.Namespace);
    if (answer.kind === 'read') this.#objects.push(...answer.objects);
    if (answer.kind !== 'forbidden') return;
    for (const name of spaces) {
      const one = await readObject(this.#api, kinds.Namespace, name);
      if (one.kind === 'read') this.#objects.push(...one.objects);
      if (one.kind === 'forbidden')
        this.#help.add(`to know the labels of namespace ${name}: allow "get" on namespaces (ClusterRole)`);
    }
  }

  async #readPolicies(spaces: ReadonlySet<string>, everywhere: boolean): Promise<void> {
    if (everywhere) {
      if ((await this.#tryList('NetworkPolicy')) === undefined) this.#allPoliciesUnread = true;
      return;
    }
    await Promise.all(
      [...spaces].map(async (namespace) => {
        if ((await this.#tryList('NetworkPolicy', namespace)) === undefined) this.#unreadPolicies.add(namespace);
      }),
    );
  }

  /** Workloads only help to find pods: their pods' owners are enough where they cannot be read. */
  async #readWorkload(end: EndScope): Promise<void> {
    if (end.kind !== 'object' || !(end.object in kinds)) return;
    if (end.object === 'Pod' || end.object === 'Service') return;
    const collection = { ...kinds[end.object], namespace: end.namespace };
    const answer = await readObject(this.#api, collection, end.name);
    if (answer.kind === 'read') this.#objects.push(...answer.objects);
    if (answer.kind === 'forbidden') {
      this.#help.add(grantText(collection, 'get'));
      this.#unreadWorkloads.push(refOf(end));
    }
  }

  async #list(kind: Kind, namespace?: string): Promise<readonly RawObject[]> {
    return (await this.#tryList(kind, namespace)) ?? [];
  }

  /** `undefined` if it may not be read, which is remembered with what would help. */
  async #tryList(
    kind: Kind,
    namespace?: string,
    selector?: Collection['selector'],
  ): Promise<readonly RawObject[] | undefined> {
    const collection: Collection = {
      ...kinds[kind],
      ...(namespace === undefined ? {} : { namespace }),
      ...(selector === undefined ? {} : { selector }),
    };
    const answer = await readCollection(this.#api, collection);
    if (answer.kind === 'forbidden') {
      this.#help.add(grantText(collection, 'list'));
      this.#forbidden.add(namespace === undefined ? kind : `${kind} ${namespace}`);
      return undefined;
    }
    if (answer.kind === 'not-found') {
      if (kind === 'EndpointSlice') return [];
      throw new LiveError('refused', `${this.#api.access.server} is no Kubernetes API: it has no ${collection.plural}`);
    }
    this.#objects.push(...answer.objects);
    return answer.objects;
  }

  #isHidden(end: EndRef): boolean {
    if (end.kind === 'Service') return this.#forbidden.has(`Service ${end.namespace}`);
    return end.kind === 'Node' && this.#forbidden.has('Node');
  }

  #loaded(from: EndRef, to: EndRef): LiveObjects {
    const unique = new Map(this.#objects.map((raw) => [titleOf(raw), raw]));
    const documents = [...unique.values()].map((raw) => new LiveDocument(raw, placeName(raw)));
    const decoded = decodeDocuments(documents);
    const sourced = withSources(decoded.objects, this.#context.cwd, this.#flags.sourceDir);
    return {
      api: this.#api,
      name: this.#api.access.server,
      loaded: {
        objects: sourced.objects,
        others: decoded.others,
        diagnostics: [...decoded.diagnostics, ...sourced.diagnostics],
        files: [],
      },
      unread: {
        policies: this.#allPoliciesUnread ? 'all' : this.#unreadPolicies,
        owners: [...this.#forbidden].some((list) => /^(?:Pod|Node)\b/.test(list)),
        services: this.#forbidden.has('Service'),
        from,
        to,
        ends: [...this.#unreadWorkloads, ...[from, to].filter((end) => this.#isHidden(end))],
        help: [...this.#help].sort(),
      },
    };
  }
}

/** What of a cluster the text of an end leads to. */
type EndScope =
  | {
      readonly kind: 'object';
      readonly object: Exclude<EndKind, 'Node'>;
      readonly namespace: string;
      readonly name: string;
    }
  | { readonly kind: 'address'; readonly address: IpAddress }
  | { readonly kind: 'block'; readonly cidr: string }
  | { readonly kind: 'node'; readonly name: string };

/** As `locate` reads it: in `a/b` a kind wins over a namespace. */
function scopeOf(text: string, namespace: string): EndScope {
  const address = parseIp(text);
  if (address !== undefined) return { kind: 'address', address };
  if (parseCidr(text) !== undefined) return { kind: 'block', cidr: text };
  const [first = '', second, third] = text.split('/');
  const kind = parseKind(third === undefined ? first : (second ?? ''));
  if (third !== undefined) return object(kind ?? 'Pod', first, third);
  if (second === undefined) return object('Pod', namespace, first);
  return kind === undefined ? object('Pod', first, second) : object(kind, namespace, second);
}

function object(kind: EndKind, namespace: string, name: string): EndScope {
  return kind === 'Node' ? { kind: 'node', name } : { kind: 'object', object: kind, namespace, name };
}

function refOf(end: EndScope): EndRef {
  switch (end.kind) {
    case 'object':
      return { kind: end.object, namespace: end.namespace, name: end.name };
    case 'address':
      return { kind: 'Address', address: end.address };
    case 'block':
      return { kind: 'Block', cidr: end.cidr };
    case 'node':
      return { kind: 'Node', name: end.name };
  }
}

function grantText({ apiVersion, plural, namespace }: Collection, verb: 'get' | 'list'): string {
  const group = apiVersion.includes('/') ? `.${apiVersion.slice(0, apiVersion.indexOf('/'))}` : '';
  const place = namespace === undefined ? 'in the cluster' : `in namespace ${namespace}`;
  const role = namespace === undefined ? 'ClusterRole' : 'Role';
  return `to read ${plural} ${place}: allow "${verb}" on ${plural}${group} (${role}), or ask as somebody who may (--as, --user)`;
}

function metadataOf(raw: RawObject): { readonly name: string; readonly namespace?: string } {
  return raw['metadata'] as { readonly name: string; readonly namespace?: string };
}

function namespaceOf(raw: RawObject): string {
  return metadataOf(raw).namespace ?? '';
}

function titleOf(raw: RawObject): string {
  return `${String(raw['kind'])} ${namespaceOf(raw)}/${metadataOf(raw).name}`;
}

function placeName(raw: RawObject): string {
  const { name, namespace } = metadataOf(raw);
  return namespace === undefined ? `${String(raw['kind']).toLowerCase()}/${name}` : `${namespace}/${name}`;
}

/**
 * Whether `status.podIP`, the only address that a field selector knows, is every pod's address of this family: a kubelet
 * puts the family of its node's first address first.
 */
function isPrimaryFamily(nodes: readonly RawObject[], family: IpFamily): boolean {
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
function sliceAddresses(raw: RawObject): readonly IpAddress[] {
  const endpoints = (raw['endpoints'] ?? []) as readonly { readonly addresses?: readonly string[] }[];
  return endpoints.flatMap(({ addresses = [] }) => addresses.flatMap((text) => parseIp(text) ?? []));
}

/** Whether an end leads to a Service: by its name, by its address, or by its port of a node. */
function isMeant(service: RawObject, end: EndScope, port: number | string | undefined): boolean {
  if (end.kind === 'object')
    return end.object === 'Service' && end.namespace === namespaceOf(service) && end.name === metadataOf(service).name;
  if (end.kind === 'block') return false;
  const { ports = [] } = (service['spec'] ?? {}) as { readonly ports?: readonly { readonly nodePort?: number }[] };
  const byPort = port !== undefined && ports.some(({ nodePort }) => nodePort === port);
  return byPort || (end.kind === 'address' && hasAddress(service, end.address));
}

function isSliceOf(slice: RawObject, service: RawObject): boolean {
  const { labels } = slice['metadata'] as { readonly labels?: Readonly<Record<string, string>> };
  return (
    namespaceOf(slice) === namespaceOf(service) && labels?.['kubernetes.io/service-name'] === metadataOf(service).name
  );
}

/** Whether a pod, a node, or a Service by any of its addresses, has this address. The text is canonical on our side only. */
function hasAddress(raw: RawObject, address: string): boolean {
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
