import type { EndRef } from '../explain/explanation.ts';
import type { Unread } from '../explain/unread.ts';
import { familyOf } from '../model/ip.ts';
import type { IpAddress } from '../model/ip.ts';
import { AccessError } from '../source/kubernetes/access.ts';
import { defaultNamespace, openAccess, parseRequestTimeout } from '../source/kubernetes/open-access.ts';
import type { AccessOptions } from '../source/kubernetes/open-access.ts';
import { decodeDocuments } from '../source/manifests/decode-documents.ts';
import type { LoadedManifests } from '../source/manifests/files.ts';
import type { Context } from './context.ts';
import { LiveError, readCollection, readObject } from './live-api.ts';
import type { Collection, LiveApi } from './live-api.ts';
import { LiveDocument } from './live-document.ts';
import {
  hasAddress,
  isMeant,
  isPrimaryFamily,
  isSliceOf,
  namespaceOf,
  placeName,
  sliceAddresses,
  titleOf,
} from './live-raw.ts';
import type { RawObject } from './live-raw.ts';
import { refOf, scopeOf } from './live-scope.ts';
import type { EndScope } from './live-scope.ts';
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

function grantText({ apiVersion, plural, namespace }: Collection, verb: 'get' | 'list'): string {
  const group = apiVersion.includes('/') ? `.${apiVersion.slice(0, apiVersion.indexOf('/'))}` : '';
  const place = namespace === undefined ? 'in the cluster' : `in namespace ${namespace}`;
  const role = namespace === undefined ? 'ClusterRole' : 'Role';
  return `to read ${plural} ${place}: allow "${verb}" on ${plural}${group} (${role}), or ask as somebody who may (--as, --user)`;
}
