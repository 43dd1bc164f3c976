import { isPoliced } from '../model/endpoint.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { IpAddress } from '../model/ip.ts';
import type { Labels } from '../model/labels.ts';
import type { NamespaceName, PodKey } from '../model/names.ts';
import { AddressTable } from './address-table.ts';
import { AnchorIndex } from './anchor-index.ts';
import { matches } from './match.ts';
import { NamespaceTable } from './namespace-table.ts';
import type { ScopeChange } from './namespace-table.ts';
import type { PeerSelector } from './peer-selector.ts';
import { ActiveSelector, noAddresses, PodClass, PodEntry } from './pod-class.ts';
import type { NamespaceEntry, Scope } from './pod-class.ts';
import { Projection } from './projection.ts';

/** What a pod brings into sets: its addresses, into those of the selectors that match it. */
export interface Membership {
  readonly pod: Endpoint;
  readonly owned: readonly IpAddress[];
  /** Sorted by id. */
  readonly selectors: readonly ActiveSelector[];
}

/** What one pod brought and brings; one change for each pod, however often it changed. */
export interface MembershipChange {
  readonly before: Membership | undefined;
  readonly after: Membership | undefined;
}

/** How much an index holds. Everything is 0 when nothing is left to index. */
export interface ClassIndexStats {
  readonly pods: number;
  readonly addresses: number;
  readonly namespaces: number;
  readonly classes: number;
  readonly selectors: number;
  readonly scopes: number;
  readonly keys: number;
}

/**
 * Which pods are members of which active selectors, kept by class: pods of one namespace that agree on every label key
 * an active selector mentions. Setters only note the new state, in O(1); {@link ClassIndex.update} takes all of it in
 * and answers what changed. Finished, hostNetwork and address-less pods are in no class.
 */
export class ClassIndex {
  readonly #pods = new Map<PodKey, PodEntry>();
  readonly #addresses = new AddressTable();
  readonly #table = new NamespaceTable();
  readonly #selectors = new Map<string, ActiveSelector>();
  readonly #projection = new Projection();

  readonly #newPods = new Map<PodKey, Endpoint | undefined>();
  readonly #newNamespaces = new Map<NamespaceName, Labels | undefined>();
  readonly #newKeys = new Set<string>();
  readonly #newSelectors = new Set<ActiveSelector>();
  /** Released, and still in the lists of the classes they matched. */
  readonly #released = new Set<ActiveSelector>();
  #nextId = 0;

  /** The pod under this name is now another, or none. */
  setPod(key: PodKey, pod: Endpoint | undefined): void {
    this.#newPods.set(key, pod !== undefined && isPoliced(pod) ? pod : undefined);
  }

  /** The namespace has these labels, or is unknown. */
  setNamespace(name: NamespaceName, labels: Labels | undefined): void {
    this.#newNamespaces.set(name, labels);
  }

  /** The pod under this name as last set, if policy can select it. */
  pod(key: PodKey): Endpoint | undefined {
    return this.#newPods.has(key) ? this.#newPods.get(key) : this.#pods.get(key)?.pod;
  }

  /** The pod that owns an address, as of the last update. */
  owner(address: IpAddress): Endpoint | undefined {
    return this.#addresses.owner(address)?.pod;
  }

  /** Addresses the pod under this name owns, as of the last update. */
  owned(key: PodKey): readonly IpAddress[] {
    return this.#pods.get(key)?.owned ?? noAddresses;
  }

  /** Whether anything was set that {@link ClassIndex.update} has not taken in. */
  get isPending(): boolean {
    return (
      this.#newPods.size > 0 || this.#newNamespaces.size > 0 || this.#newSelectors.size > 0 || this.#released.size > 0
    );
  }

  /** The one node of selectors with this meaning; its classes are known after the next update. Counted. */
  acquire(selector: PeerSelector): ActiveSelector {
    let active = this.#selectors.get(selector.canonical);
    if (active === undefined) {
      const scope = this.#table.acquire(selector.namespaces);
      active = new ActiveSelector(this.#nextId++, selector, scope);
      this.#selectors.set(selector.canonical, active);
      this.#newSelectors.add(active);
      for (const { key } of selector.pods.requirements) if (this.#projection.retain(key)) this.#newKeys.add(key);
    }
    active.uses += 1;
    return active;
  }

  /** Gives back one {@link ClassIndex.acquire}; nobody hears of the pods that leave with the last one. */
  release(active: ActiveSelector): void {
    active.uses -= 1;
    if (active.uses > 0) return;
    this.#released.add(active);
    if (!this.#newSelectors.delete(active)) active.scope.selectors.delete(active.pods, active);
    this.#selectors.delete(active.selector.canonical);
    for (const { key } of active.pods.requirements) this.#projection.release(key);
    this.#table.release(active.scope);
  }

  /**
   * Takes in everything set since the last update. Answers one change for each pod that is or was a member of a
   * selector acquired before the last update; newer selectors show their members by their classes instead.
   */
  update(): readonly MembershipChange[] {
    const touched: Touched = new Map();
    this.#unlink();
    this.#reproject();
    this.#updateNamespaces(touched);
    const changes: MembershipChange[] = [];
    for (const entry of this.#updatePods(touched)) {
      const after = membership(entry);
      if (after !== undefined) changes.push({ before: undefined, after });
    }
    for (const [entry, before] of touched) {
      const after = membership(entry);
      if (before !== undefined || after !== undefined) changes.push({ before, after });
    }
    this.#link();
    return changes;
  }

  stats(): ClassIndexStats {
    let classes = 0;
    for (const namespace of this.#table.namespaces.values()) classes += namespace.classes.size;
    return {
      pods: this.#pods.size,
      addresses: this.#addresses.size,
      namespaces: this.#table.namespaces.size,
      classes,
      selectors: this.#selectors.size,
      scopes: this.#table.scopes.size,
      keys: this.#projection.size,
    };
  }

  /** The structure itself, to be looked at by checks. */
  inspect(): {
    readonly pods: ReadonlyMap<PodKey, PodEntry>;
    readonly namespaces: ReadonlyMap<NamespaceName, NamespaceEntry>;
    readonly selectors: ReadonlyMap<string, ActiveSelector>;
    readonly scopes: ReadonlyMap<string, Scope>;
    readonly hasLabelScopes: boolean;
  } {
    return {
      pods: this.#pods,
      namespaces: this.#table.namespaces,
      selectors: this.#selectors,
      scopes: this.#table.scopes,
      hasLabelScopes: !this.#table.hasNoLabelScopes,
    };
  }

  /** Namespaces that were relabelled, have arrived or are gone: their classes may match other selectors. */
  #updateNamespaces(touched: Touched): void {
    for (const [name, labels] of this.#newNamespaces) {
      const namespace = this.#table.namespaces.get(name);
      if (namespace === undefined) {
        if (labels !== undefined) this.#table.add(name, labels);
        continue;
      }
      const change = this.#table.relabel(namespace, labels);
      for (const podClass of namespace.classes.values()) rescope(podClass, change, touched);
      this.#table.dropIfUnused(namespace);
    }
    this.#newNamespaces.clear();
  }

  /** Answers the pods that are new. */
  #updatePods(touched: Touched): readonly PodEntry[] {
    const moved: Touched = new Map();
    const added: PodEntry[] = [];
    for (const [key, pod] of this.#newPods) {
      const entry = this.#pods.get(key);
      if (entry === undefined) {
        if (pod !== undefined) added.push(this.#addPod(key, pod, moved));
      } else {
        touch(moved, entry);
        if (pod === undefined) this.#removePod(key, entry, moved);
        else this.#replacePod(entry, pod, moved);
      }
    }
    this.#newPods.clear();
    for (const entry of added) {
      moved.delete(entry);
      this.#settle(entry);
    }
    for (const [entry, before] of moved) {
      this.#settle(entry);
      if (!touched.has(entry)) touched.set(entry, before);
    }
    return added;
  }

  #addPod(key: PodKey, pod: Endpoint, moved: Touched): PodEntry {
    const entry = new PodEntry(pod);
    this.#pods.set(key, entry);
    for (const address of pod.addresses) this.#claim(address, entry, moved);
    return entry;
  }

  #removePod(key: PodKey, entry: PodEntry, moved: Touched): void {
    this.#pods.delete(key);
    entry.gone = true;
    for (const address of entry.pod.addresses) this.#unclaim(address, entry, moved);
  }

  #replacePod(entry: PodEntry, pod: Endpoint, moved: Touched): void {
    const before = entry.pod;
    entry.pod = pod;
    if (sameList(before.addresses, pod.addresses)) {
      for (const address of pod.addresses) this.#touchRivals(address, moved);
      return;
    }
    for (const address of before.addresses) {
      if (!pod.addresses.includes(address)) this.#unclaim(address, entry, moved);
    }
    for (const address of pod.addresses) this.#claim(address, entry, moved);
  }

  #claim(address: IpAddress, entry: PodEntry, moved: Touched): void {
    this.#addresses.claim(address, entry);
    this.#touchRivals(address, moved);
  }

  #unclaim(address: IpAddress, entry: PodEntry, moved: Touched): void {
    this.#touchRivals(address, moved);
    this.#addresses.unclaim(address, entry);
  }

  /** The owner of a disputed address may become another. */
  #touchRivals(address: IpAddress, moved: Touched): void {
    for (const rival of this.#addresses.rivals(address)) touch(moved, rival);
  }

  /** Brings the addresses a pod owns, and its class, up to date. */
  #settle(entry: PodEntry): void {
    const { pod } = entry;
    entry.owned = entry.gone ? noAddresses : this.#addresses.owned(entry);
    const target = entry.owned.length === 0 ? undefined : this.#classFor(pod);
    if (entry.class !== target) this.#move(entry, target);
  }

  #move(entry: PodEntry, target: PodClass | undefined): void {
    const source = entry.class;
    if (source !== undefined) {
      const last = source.pods.pop();
      if (last !== undefined && last !== entry) {
        source.pods[entry.slot] = last;
        last.slot = entry.slot;
      }
      if (source.pods.length === 0) this.#dropClass(source);
    }
    entry.class = target;
    if (target !== undefined) entry.slot = target.pods.push(entry) - 1;
  }

  #classFor(pod: Endpoint): PodClass {
    const namespace = this.#table.namespaces.get(pod.namespace) ?? this.#table.add(pod.namespace, undefined);
    const key = this.#projection.project(pod.labels);
    const known = namespace.classes.get(key);
    if (known !== undefined) return known;
    const created = new PodClass(namespace, key);
    namespace.classes.set(key, created);
    const selectors = namespace.scopes.flatMap((scope) => matching(scope.selectors, pod.labels));
    created.selectors = uniteById([], selectors);
    for (const active of selectors) active.classes.add(created);
    return created;
  }

  #dropClass(podClass: PodClass): void {
    for (const active of podClass.selectors) active.classes.delete(podClass);
    podClass.namespace.classes.delete(podClass.key);
    this.#table.dropIfUnused(podClass.namespace);
  }

  /** Splits classes by keys that have become relevant; pods without such a key stay where they are. */
  #reproject(): void {
    if (this.#newKeys.size === 0) return;
    for (const entry of this.#pods.values()) {
      if (entry.class === undefined || !hasAny(entry.pod.labels, this.#newKeys)) continue;
      const target = this.#classFor(entry.pod);
      if (target !== entry.class) this.#move(entry, target);
    }
    this.#newKeys.clear();
  }

  /** Takes released selectors out of the classes they matched, of all of them in one pass. */
  #unlink(): void {
    this.#table.unlink();
    if (this.#released.size === 0) return;
    const classes = new Set<PodClass>();
    for (const active of this.#released) for (const podClass of active.classes) classes.add(podClass);
    for (const podClass of classes) {
      podClass.selectors = podClass.selectors.filter((active) => !this.#released.has(active));
    }
    this.#released.clear();
  }

  /** Finds the namespaces of new scopes and the classes of new selectors, all of them in one pass. */
  #link(): void {
    this.#table.link();
    const byScope = new Map<Scope, AnchorIndex<ActiveSelector>>();
    for (const active of this.#newSelectors) {
      let fresh = byScope.get(active.scope);
      if (fresh === undefined) byScope.set(active.scope, (fresh = new AnchorIndex()));
      fresh.add(active.pods, active);
      active.scope.selectors.add(active.pods, active);
    }
    this.#newSelectors.clear();
    for (const [scope, fresh] of byScope) {
      for (const namespace of scope.namespaces) {
        for (const podClass of namespace.classes.values()) {
          const won = matching(fresh, podClass.labels);
          if (won.length === 0) continue;
          for (const active of won) active.classes.add(podClass);
          podClass.selectors = uniteById(podClass.selectors, won);
        }
      }
    }
  }
}

/** Pods whose membership may change, with what they brought before. */
type Touched = Map<PodEntry, Membership | undefined>;

function touch(touched: Touched, entry: PodEntry): void {
  if (!touched.has(entry)) touched.set(entry, membership(entry));
}

function membership({ pod, owned, class: podClass }: PodEntry): Membership | undefined {
  if (podClass === undefined || podClass.selectors.length === 0) return undefined;
  return { pod, owned, selectors: podClass.selectors };
}

/** Puts the selectors of a class right after its namespace left and entered scopes. */
function rescope(podClass: PodClass, { gone, come }: ScopeChange, touched: Touched): void {
  const lost = gone.size === 0 ? [] : podClass.selectors.filter(({ scope }) => gone.has(scope));
  const won = come.flatMap((scope) => matching(scope.selectors, podClass.labels));
  if (lost.length === 0 && won.length === 0) return;
  for (const entry of podClass.pods) touch(touched, entry);
  for (const active of lost) active.classes.delete(podClass);
  for (const active of won) active.classes.add(podClass);
  const kept = podClass.selectors.filter(({ scope }) => !gone.has(scope));
  podClass.selectors = uniteById(kept, won);
}

function matching(selectors: AnchorIndex<ActiveSelector>, labels: Labels | undefined): ActiveSelector[] {
  const found: ActiveSelector[] = [];
  if (labels === undefined) return found;
  for (const active of selectors.candidates(labels)) if (matches(active.pods, labels)) found.push(active);
  return found;
}

function uniteById(a: readonly ActiveSelector[], b: readonly ActiveSelector[]): readonly ActiveSelector[] {
  return [...a, ...b].sort((x, y) => x.id - y.id);
}

function hasAny(labels: Labels, keys: ReadonlySet<string>): boolean {
  for (const key of keys) if (labels.has(key)) return true;
  return false;
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
