import { randomUUID } from 'node:crypto';

/** Collections the server knows. */
export type Plural =
  | 'pods'
  | 'namespaces'
  | 'networkpolicies'
  | 'nodes'
  | 'services'
  | 'endpointslices'
  | 'events'
  | 'deployments'
  | 'statefulsets'
  | 'replicasets'
  | 'jobs';

/** How a collection is named on the wire. */
export interface Collection {
  readonly kind: string;
  readonly apiVersion: string;
  readonly namespaced: boolean;
}

/** All collections. */
export const collections: ReadonlyMap<Plural, Collection> = new Map<Plural, Collection>([
  ['pods', { kind: 'Pod', apiVersion: 'v1', namespaced: true }],
  ['namespaces', { kind: 'Namespace', apiVersion: 'v1', namespaced: false }],
  ['nodes', { kind: 'Node', apiVersion: 'v1', namespaced: false }],
  ['services', { kind: 'Service', apiVersion: 'v1', namespaced: true }],
  ['events', { kind: 'Event', apiVersion: 'v1', namespaced: true }],
  ['networkpolicies', { kind: 'NetworkPolicy', apiVersion: 'networking.k8s.io/v1', namespaced: true }],
  ['endpointslices', { kind: 'EndpointSlice', apiVersion: 'discovery.k8s.io/v1', namespaced: true }],
  ['deployments', { kind: 'Deployment', apiVersion: 'apps/v1', namespaced: true }],
  ['statefulsets', { kind: 'StatefulSet', apiVersion: 'apps/v1', namespaced: true }],
  ['replicasets', { kind: 'ReplicaSet', apiVersion: 'apps/v1', namespaced: true }],
  ['jobs', { kind: 'Job', apiVersion: 'batch/v1', namespaced: true }],
]);

/** The collection that holds objects of a kind. */
export function pluralOf(kind: string): Plural {
  for (const [plural, type] of collections) if (type.kind === kind) return plural;
  throw new Error(`no collection of ${kind}`);
}

/** An object as the server keeps it: immutable, replaced by every write. */
export interface StoredObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly creationTimestamp: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly [key: string]: unknown;
  };
  readonly [key: string]: unknown;
}

/** Any JSON object. */
export type Json = Readonly<Record<string, unknown>>;

/** One write. `previous` is the state before it. */
export interface LogEntry {
  readonly revision: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly plural: Plural;
  readonly object: StoredObject;
  readonly previous?: StoredObject;
}

/** Why a write is refused, as the API says it. */
export class WriteError extends Error {
  readonly code: number;
  readonly reason: string;
  constructor(code: number, reason: string, message: string) {
    super(message);
    this.code = code;
    this.reason = reason;
  }
}

/** The state of the cluster with its history: one revision counter for all collections, as etcd has. */
export class Truth {
  /** The newest revision. */
  revision = 100;
  /** Versions below are Expired. */
  compacted = 0;
  readonly #objects = new Map<Plural, Map<string, StoredObject>>(
    [...collections.keys()].map((plural) => [plural, new Map()]),
  );
  #log: LogEntry[] = [];
  readonly #listeners = new Set<(entry: LogEntry) => void>();

  /** All objects of a collection, sorted by key. */
  list(plural: Plural): StoredObject[] {
    return [...this.#shelf(plural)].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
  }

  get(plural: Plural, name: string, namespace?: string): StoredObject | undefined {
    return this.#shelf(plural).get(keyOf(name, namespace));
  }

  /** Writes after `revision`, oldest first. */
  since(revision: number): readonly LogEntry[] {
    const first = this.#log.findIndex((entry) => entry.revision > revision);
    return first === -1 ? [] : this.#log.slice(first);
  }

  /** Calls `listener` after every write; the result ends that. */
  subscribe(listener: (entry: LogEntry) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Throws {@link WriteError} 409 if the name is taken. A given uid is kept, so that tests can know it. */
  create(plural: Plural, object: Json): StoredObject {
    const type = this.#type(plural);
    const given = (object['metadata'] ?? {}) as Record<string, unknown>;
    let name = typeof given['name'] === 'string' ? given['name'] : '';
    if (name === '' && typeof given['generateName'] === 'string')
      name = given['generateName'] + randomUUID().slice(0, 5);
    if (name === '') throw new WriteError(422, 'Invalid', `${type.kind} "" is invalid: metadata.name: Required value`);
    const wanted = given['namespace'];
    const namespace = type.namespaced ? (typeof wanted === 'string' ? wanted : 'default') : undefined;
    if (this.get(plural, name, namespace) !== undefined) {
      throw new WriteError(409, 'AlreadyExists', `${plural} "${name}" already exists`);
    }
    const labels =
      plural === 'namespaces' ? { labels: { 'kubernetes.io/metadata.name': name, ...asJson(given['labels']) } } : {};
    const metadata = {
      ...given,
      ...labels,
      name,
      ...(namespace !== undefined && { namespace }),
      uid: given['uid'] ?? randomUUID(),
      creationTimestamp: given['creationTimestamp'] ?? new Date().toISOString().replace(/\.\d+Z$/, 'Z'),
    };
    return this.#write(plural, 'ADDED', { ...object, apiVersion: type.apiVersion, kind: type.kind, metadata });
  }

  /** Replaces everything but the identity. Throws {@link WriteError} 404, or 409 if a given resourceVersion is old. */
  update(plural: Plural, object: Json): StoredObject {
    const given = (object['metadata'] ?? {}) as Record<string, unknown>;
    const namespace = given['namespace'];
    const previous = this.#existing(
      plural,
      String(given['name']),
      typeof namespace === 'string' ? namespace : undefined,
    );
    const version = given['resourceVersion'];
    if (version !== undefined && version !== '' && version !== previous.metadata.resourceVersion) {
      throw new WriteError(
        409,
        'Conflict',
        'the object has been modified; please apply your changes to the latest version',
      );
    }
    const { name, uid, creationTimestamp } = previous.metadata;
    const metadata = { ...given, name, uid, creationTimestamp };
    return this.#write(
      plural,
      'MODIFIED',
      { ...object, kind: previous.kind, apiVersion: previous.apiVersion, metadata },
      previous,
    );
  }

  /** Merges (RFC 7386). */
  patch(plural: Plural, name: string, namespace: string | undefined, patch: Json): StoredObject {
    const previous = this.#existing(plural, name, namespace);
    const merged = mergePatch(previous, patch) as StoredObject;
    const metadata = { ...merged.metadata, resourceVersion: previous.metadata.resourceVersion };
    return this.update(plural, { ...merged, metadata });
  }

  delete(plural: Plural, name: string, namespace?: string): StoredObject {
    const previous = this.#existing(plural, name, namespace);
    return this.#write(plural, 'DELETED', previous, previous);
  }

  /** Forgets history: versions below the newest are Expired from now on. */
  compact(): void {
    this.compacted = this.revision;
    this.#log = [];
  }

  /**
   * Takes the state back to an earlier revision, as a restored backup does: later writes never happened, and versions
   * above lie in the future. Throws if that history was compacted.
   */
  restore(revision: number): void {
    if (revision < this.compacted) throw new Error('that history was compacted');
    for (const { plural, object, previous } of this.since(revision).toReversed()) {
      const key = keyOf(object.metadata.name, object.metadata.namespace);
      if (previous === undefined) this.#shelf(plural).delete(key);
      else this.#shelf(plural).set(key, previous);
    }
    this.#log = this.#log.filter((entry) => entry.revision <= revision);
    this.revision = revision;
  }

  #write(plural: Plural, type: LogEntry['type'], value: Json, previous?: StoredObject): StoredObject {
    this.revision += 1;
    const metadata = { ...(value['metadata'] as Json), resourceVersion: String(this.revision) };
    const object = { ...value, metadata } as unknown as StoredObject;
    const key = keyOf(object.metadata.name, object.metadata.namespace);
    if (type === 'DELETED') this.#shelf(plural).delete(key);
    else this.#shelf(plural).set(key, object);
    const entry: LogEntry = {
      revision: this.revision,
      type,
      plural,
      object,
      ...(previous !== undefined && { previous }),
    };
    this.#log.push(entry);
    for (const listener of this.#listeners) listener(entry);
    return object;
  }

  #existing(plural: Plural, name: string, namespace: string | undefined): StoredObject {
    const found = this.get(plural, name, namespace);
    if (found === undefined) throw new WriteError(404, 'NotFound', `${plural} "${name}" not found`);
    return found;
  }

  #shelf(plural: Plural): Map<string, StoredObject> {
    const shelf = this.#objects.get(plural);
    if (shelf === undefined) throw new Error(`no collection ${plural}`);
    return shelf;
  }

  #type(plural: Plural): Collection {
    const type = collections.get(plural);
    if (type === undefined) throw new Error(`no collection ${plural}`);
    return type;
  }
}

function keyOf(name: string, namespace: string | undefined): string {
  return namespace === undefined ? name : `${namespace}/${name}`;
}

function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const result: Record<string, unknown> = { ...asJson(target) };
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = mergePatch(result[key], value);
  }
  return result;
}

function asJson(value: unknown): Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}
