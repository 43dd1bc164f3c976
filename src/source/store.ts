import type { Diagnostic } from '../model/diagnostic.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { Namespace } from '../model/namespace.ts';
import type { NamespaceName, NodeName, PodKey, PolicyKey, ServiceKey } from '../model/names.ts';
import type { Node } from '../model/node.ts';
import type { NetworkPolicy } from '../model/policy.ts';
import type { Service } from '../model/service.ts';
import type { ClusterSnapshot, ModelObject } from '../model/snapshot.ts';
import { objectName, resourceKinds } from './object-name.ts';
import { sameContent } from './same-content.ts';
import type { ResourceKind, SourceSink } from './source.ts';

/** One change of one object: added (no `before`), replaced, or removed (no `after`). */
export interface Change {
  readonly kind: ResourceKind;
  readonly before?: ModelObject;
  readonly after?: ModelObject;
}

/** Who wants to hear of a store's state. Called synchronously, after the store holds the new state. */
export interface StoreListener {
  changed?(change: Change): void;
  /** The first complete list of `kind` has been taken. */
  synced?(kind: ResourceKind): void;
  /** What is reported under `scope` is another. */
  reported?(scope: string): void;
}

/** Options of a {@link Store}. */
export interface StoreOptions {
  /** Takes what a listener threw: a bug, which must reach neither the source nor the other listeners. */
  readonly onListenerError?: (error: unknown) => void;
}

/**
 * Objects by kind: known by uid, indexed by name. Takes what sources deliver, tells listeners what changed, and shows
 * the state as one live snapshot. An object that says the same as the stored one, `source` aside, is stored silently.
 */
export class Store implements SourceSink {
  readonly #shelves = new Map<ResourceKind, Shelf>(resourceKinds.map((kind) => [kind, new Shelf()]));
  readonly #listeners = new Set<StoreListener>();
  readonly #diagnostics = new Map<string, readonly Diagnostic[]>();
  readonly #onListenerError: (error: unknown) => void;
  readonly #snapshot: ClusterSnapshot;
  #generation = 0;

  constructor(options: StoreOptions = {}) {
    this.#onListenerError = options.onListenerError ?? rethrowLater;
    this.#snapshot = liveView(
      () => this.#generation,
      (kind) => this.#shelf(kind).byName,
    );
  }

  upsert(object: ModelObject): void {
    const shelf = this.#shelf(object.kind);
    shelf.marked?.add(object.uid);
    const name = objectName(object);
    const before = shelf.byUid.get(object.uid);
    if (before !== undefined && objectName(before) !== name) {
      this.#take(shelf, before);
    } else if (before !== undefined) {
      shelf.put(name, object);
      if (!sameContent(before, object)) this.#changed({ kind: object.kind, before, after: object });
      return;
    }
    const namesake = shelf.byName.get(name);
    if (namesake !== undefined) this.#take(shelf, namesake);
    shelf.put(name, object);
    this.#changed({ kind: object.kind, after: object });
  }

  remove(kind: ResourceKind, uid: string): void {
    const shelf = this.#shelf(kind);
    shelf.marked?.delete(uid);
    const before = shelf.byUid.get(uid);
    if (before !== undefined) this.#take(shelf, before);
  }

  beginList(kind: ResourceKind): void {
    this.#shelf(kind).marked = new Set();
  }

  endList(kind: ResourceKind): void {
    const shelf = this.#shelf(kind);
    const { marked } = shelf;
    if (marked === undefined) return;
    delete shelf.marked;
    for (const object of shelf.byUid.values()) if (!marked.has(object.uid)) this.#take(shelf, object);
    if (shelf.synced) return;
    shelf.synced = true;
    this.#tell((listener) => listener.synced?.(kind));
  }

  report(scope: string, diagnostics: readonly Diagnostic[]): void {
    if (sameReport(this.#diagnostics.get(scope) ?? [], diagnostics)) return;
    if (diagnostics.length === 0) this.#diagnostics.delete(scope);
    else this.#diagnostics.set(scope, diagnostics);
    this.#tell((listener) => listener.reported?.(scope));
  }

  /** Whether a complete list of each kind has been taken. */
  inSync(kinds: Iterable<ResourceKind> = resourceKinds): boolean {
    for (const kind of kinds) if (!this.#shelf(kind).synced) return false;
    return true;
  }

  /** The object with this uid. */
  get(kind: ResourceKind, uid: string): ModelObject | undefined {
    return this.#shelf(kind).byUid.get(uid);
  }

  /**
   * The state, as a view that stays current: its maps and its generation change with the store. The generation grows
   * with every change that listeners hear of.
   */
  snapshot(): ClusterSnapshot {
    return this.#snapshot;
  }

  /** What is wrong, by scope. Live, like the snapshot. */
  diagnostics(): ReadonlyMap<string, readonly Diagnostic[]> {
    return this.#diagnostics;
  }

  /** Adds a listener; the returned function removes it. */
  listen(listener: StoreListener): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  #shelf(kind: ResourceKind): Shelf {
    let shelf = this.#shelves.get(kind);
    if (shelf === undefined) {
      shelf = new Shelf();
      this.#shelves.set(kind, shelf);
    }
    return shelf;
  }

  #take(shelf: Shelf, object: ModelObject): void {
    shelf.byUid.delete(object.uid);
    shelf.byName.delete(objectName(object));
    this.#changed({ kind: object.kind, before: object });
  }

  #changed(change: Change): void {
    this.#generation += 1;
    this.#tell((listener) => listener.changed?.(change));
  }

  #tell(call: (listener: StoreListener) => void): void {
    for (const listener of this.#listeners) {
      try {
        call(listener);
      } catch (error) {
        this.#onListenerError(error);
      }
    }
  }
}

/** A snapshot of given objects; of two with one name the later counts. */
export function snapshotOf(objects: Iterable<ModelObject>): ClusterSnapshot {
  const byKind = new Map<ResourceKind, Map<string, ModelObject>>(resourceKinds.map((kind) => [kind, new Map()]));
  for (const object of objects) byKind.get(object.kind)?.set(objectName(object), object);
  return liveView(
    () => 1,
    (kind) => byKind.get(kind) ?? new Map<string, ModelObject>(),
  );
}

class Shelf {
  readonly byUid = new Map<string, ModelObject>();
  readonly byName = new Map<string, ModelObject>();
  /** Uids of the list being taken. */
  marked?: Set<string>;
  synced = false;

  put(name: string, object: ModelObject): void {
    this.byUid.set(object.uid, object);
    this.byName.set(name, object);
  }
}

function liveView(generation: () => number, byName: (kind: ResourceKind) => Map<string, ModelObject>): ClusterSnapshot {
  // Each shelf holds one kind under the names of that kind, which is what the casts state.
  return {
    get generation() {
      return generation();
    },
    namespaces: byName('Namespace') as ReadonlyMap<string, ModelObject> as ReadonlyMap<NamespaceName, Namespace>,
    nodes: byName('Node') as ReadonlyMap<string, ModelObject> as ReadonlyMap<NodeName, Node>,
    pods: byName('Pod') as ReadonlyMap<string, ModelObject> as ReadonlyMap<PodKey, Endpoint>,
    services: byName('Service') as ReadonlyMap<string, ModelObject> as ReadonlyMap<ServiceKey, Service>,
    policies: byName('NetworkPolicy') as ReadonlyMap<string, ModelObject> as ReadonlyMap<PolicyKey, NetworkPolicy>,
  };
}

function sameReport(a: readonly Diagnostic[], b: readonly Diagnostic[]): boolean {
  return a.length === b.length && JSON.stringify(a) === JSON.stringify(b);
}

function rethrowLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
