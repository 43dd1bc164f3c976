import type { Labels } from '../model/labels.ts';
import { namespaceNameLabel } from '../model/namespace.ts';
import type { NamespaceName } from '../model/names.ts';
import { AnchorIndex } from './anchor-index.ts';
import { matchNamespace } from './match.ts';
import type { NamespaceScope } from './peer-selector.ts';
import { NamespaceEntry, Scope } from './pod-class.ts';

/** The scopes a namespace left and entered. */
export interface ScopeChange {
  readonly gone: ReadonlySet<Scope>;
  readonly come: readonly Scope[];
}

/** Namespaces and the scopes of active selectors that reach them, linked both ways. */
export class NamespaceTable {
  readonly #namespaces = new Map<NamespaceName, NamespaceEntry>();
  readonly #scopes = new Map<string, Scope>();
  /** Scopes whose namespaces nobody has looked for yet. */
  readonly #newScopes = new Set<Scope>();
  /** Released, and still in the lists of the namespaces they reached. */
  readonly #released = new Set<Scope>();
  /** Linked scopes that select namespaces by label. */
  readonly #labelScopes = new AnchorIndex<Scope>();

  get namespaces(): ReadonlyMap<NamespaceName, NamespaceEntry> {
    return this.#namespaces;
  }

  get scopes(): ReadonlyMap<string, Scope> {
    return this.#scopes;
  }

  /** No scope selects namespaces by label. */
  get hasNoLabelScopes(): boolean {
    return this.#labelScopes.isEmpty;
  }

  /** Adds a namespace that is not there; without labels it is unknown. */
  add(name: NamespaceName, labels: Labels | undefined): NamespaceEntry {
    const namespace = new NamespaceEntry(name, labels);
    this.#namespaces.set(name, namespace);
    namespace.scopes = this.#scopesOf(namespace);
    for (const scope of namespace.scopes) scope.namespaces.add(namespace);
    return namespace;
  }

  /** Forgets a namespace that is unknown and has no pods; answers whether it did. */
  dropIfUnused(namespace: NamespaceEntry): boolean {
    if (namespace.labels !== undefined || namespace.classes.size > 0) return false;
    for (const scope of namespace.scopes) scope.namespaces.delete(namespace);
    this.#namespaces.delete(namespace.name);
    return true;
  }

  /** Gives a namespace other labels, or none if it is gone. */
  relabel(namespace: NamespaceEntry, labels: Labels | undefined): ScopeChange {
    namespace.labels = labels;
    const before = new Set(namespace.scopes);
    const after = new Set(this.#scopesOf(namespace));
    const gone = new Set([...before].filter((scope) => !after.has(scope)));
    const come = [...after].filter((scope) => !before.has(scope));
    for (const scope of gone) scope.namespaces.delete(namespace);
    for (const scope of come) scope.namespaces.add(namespace);
    if (gone.size > 0 || come.length > 0) namespace.scopes = [...after];
    return { gone, come };
  }

  /** The one node of a scope; its namespaces are known after {@link NamespaceTable.link}. Counted. */
  acquire(reach: NamespaceScope): Scope {
    const key = reach.kind === 'name' ? nameScopeKey(reach.name) : `selector:${reach.selector.canonical}`;
    let scope = this.#scopes.get(key);
    if (scope === undefined) {
      scope = new Scope(key, reach);
      this.#scopes.set(key, scope);
      this.#newScopes.add(scope);
    }
    scope.uses += 1;
    return scope;
  }

  /** Gives back one {@link NamespaceTable.acquire}; namespaces forget it with {@link NamespaceTable.unlink}. */
  release(scope: Scope): void {
    scope.uses -= 1;
    if (scope.uses > 0) return;
    this.#released.add(scope);
    this.#scopes.delete(scope.key);
    if (!this.#newScopes.delete(scope) && scope.reach.kind === 'selector') {
      this.#labelScopes.delete(scope.reach.selector, scope);
    }
  }

  /** Takes released scopes out of the namespaces they reached, all of them in one pass. */
  unlink(): void {
    if (this.#released.size === 0) return;
    const namespaces = new Set<NamespaceEntry>();
    for (const scope of this.#released) for (const namespace of scope.namespaces) namespaces.add(namespace);
    for (const namespace of namespaces) {
      namespace.scopes = namespace.scopes.filter((scope) => !this.#released.has(scope));
    }
    this.#released.clear();
  }

  /** Finds the namespaces of new scopes, of all of them in one pass. */
  link(): void {
    const fresh = new AnchorIndex<Scope>();
    for (const scope of this.#newScopes) {
      if (scope.reach.kind === 'name') {
        const namespace = this.#namespaces.get(scope.reach.name);
        if (namespace !== undefined) attach(namespace, [scope]);
      } else {
        fresh.add(scope.reach.selector, scope);
        this.#labelScopes.add(scope.reach.selector, scope);
      }
    }
    this.#newScopes.clear();
    if (fresh.isEmpty) return;
    for (const namespace of this.#namespaces.values()) {
      const reaching = [...fresh.candidates(knownLabels(namespace))].filter((scope) => reaches(scope, namespace));
      if (reaching.length > 0) attach(namespace, reaching);
    }
  }

  #scopesOf(namespace: NamespaceEntry): Scope[] {
    const scopes: Scope[] = [];
    const byName = this.#scopes.get(nameScopeKey(namespace.name));
    if (byName !== undefined && !this.#newScopes.has(byName)) scopes.push(byName);
    for (const scope of this.#labelScopes.candidates(knownLabels(namespace))) {
      if (reaches(scope, namespace)) scopes.push(scope);
    }
    return scopes;
  }
}

function attach(namespace: NamespaceEntry, scopes: readonly Scope[]): void {
  for (const scope of scopes) scope.namespaces.add(namespace);
  namespace.scopes = [...namespace.scopes, ...scopes];
}

function nameScopeKey(name: NamespaceName): string {
  return `name:${name}`;
}

/** What is known of a namespace's labels: its name, at least (semantics 24). */
function knownLabels({ name, labels }: NamespaceEntry): Labels {
  return labels ?? new Map([[namespaceNameLabel, name]]);
}

/** An undecidable namespace is not reached: closed (semantics 25). */
function reaches({ reach }: Scope, { name, labels }: NamespaceEntry): boolean {
  return reach.kind === 'name' ? reach.name === name : matchNamespace(reach.selector, name, labels) === 'yes';
}
