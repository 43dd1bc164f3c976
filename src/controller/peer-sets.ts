import { ElementSet } from '../compiler/element-set.ts';
import { partElements } from '../compiler/set-spec.ts';
import type { SetPart, SetSpec } from '../compiler/set-spec.ts';
import { invariant } from '../model/assert.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { familyOf } from '../model/ip.ts';
import type { IpAddress } from '../model/ip.ts';
import type { NamedPort } from '../model/port.ts';
import type { ClassIndex, Membership, MembershipChange } from '../selector/class-index.ts';
import type { ActiveSelector, PodClass } from '../selector/pod-class.ts';

/** A set that local pods use, with its present elements. */
class PeerSet {
  readonly spec: SetSpec;
  /** The selector of each part of the spec. */
  readonly selectors: readonly ActiveSelector[];
  references = 0;
  elements: ElementSet | undefined = undefined;

  constructor(spec: SetSpec, selectors: readonly ActiveSelector[]) {
    this.spec = spec;
    this.selectors = selectors;
  }
}

interface Delta {
  readonly added: Set<string>;
  readonly removed: Set<string>;
}

/**
 * The elements of every set that lowered local pods name, and of no other. They change by deltas: an address has one
 * owner, so every element of a set that depends on pods comes from exactly one of them, and what a pod brings is the
 * union over the parts of the set.
 */
export class PeerSets {
  readonly #index: ClassIndex;
  readonly #sets = new Map<string, PeerSet>();
  readonly #uses = new Map<ActiveSelector, Map<PeerSet, SetPart[]>>();
  readonly #unbuilt = new Set<PeerSet>();
  readonly #unused = new Set<PeerSet>();
  #elements = 0;

  constructor(index: ClassIndex) {
    this.#index = index;
  }

  /** Counts one more user of a set. Its elements are there after the next update. */
  retain(spec: SetSpec): void {
    let set = this.#sets.get(spec.name);
    if (set === undefined) {
      set = new PeerSet(
        spec,
        spec.parts.map(({ selector }) => this.#index.acquire(selector)),
      );
      this.#sets.set(spec.name, set);
      this.#unbuilt.add(set);
    }
    set.references += 1;
    this.#unused.delete(set);
  }

  /** Counts one user less; a set without users is dropped by the next sweep. */
  release(spec: SetSpec): void {
    const set = this.#sets.get(spec.name);
    invariant(set !== undefined && set.references > 0, `set ${spec.name} is released more often than retained`);
    set.references -= 1;
    if (set.references === 0) this.#unused.add(set);
  }

  /** Drops the sets without users. */
  sweep(): void {
    for (const set of this.#unused) this.#drop(set);
    this.#unused.clear();
  }

  /** Brings the index and all sets up to date; answers the specs of the sets whose elements changed, new ones apart. */
  update(): readonly SetSpec[] {
    if (!this.#index.isPending && this.#unbuilt.size === 0) return [];
    const changed = this.#apply(this.#index.update());
    for (const set of this.#unbuilt) this.#build(set);
    this.#unbuilt.clear();
    return changed;
  }

  /** The elements of a retained set as of the last update. A set that did not change keeps its value. */
  elements(spec: SetSpec): ReadonlySet<string> {
    const elements = this.#sets.get(spec.name)?.elements;
    invariant(elements !== undefined, `set ${spec.name} has no elements yet`);
    return elements;
  }

  stats(): { readonly sets: number; readonly elements: number } {
    return { sets: this.#sets.size, elements: this.#elements };
  }

  #drop(set: PeerSet): void {
    this.#sets.delete(set.spec.name);
    this.#unbuilt.delete(set);
    this.#elements -= set.elements?.size ?? 0;
    for (const active of set.selectors) {
      const users = this.#uses.get(active);
      if (users?.delete(set) === true && users.size === 0) this.#uses.delete(active);
      this.#index.release(active);
    }
  }

  #build(set: PeerSet): void {
    const { parts, family, withPorts, fixed } = set.spec;
    const partsOf = new Map<PodClass, SetPart[]>();
    for (const [position, active] of set.selectors.entries()) {
      const part = parts[position];
      invariant(part !== undefined, 'a set has one selector for each part');
      this.#register(active, set, part);
      for (const podClass of active.classes) getOrInsert(partsOf, podClass, () => []).push(part);
    }
    // An address has one owner and a pod one class, so none is met twice.
    const elements = [...fixed];
    for (const [podClass, classParts] of partsOf) {
      for (const { pod, owned } of podClass.pods) {
        for (const address of owned) {
          if (familyOf(address) !== family) continue;
          if (withPorts) elements.push(...portElements(classParts, pod, address));
          else elements.push(address);
        }
      }
    }
    set.elements = new ElementSet(elements);
    this.#elements += elements.length;
  }

  #register(active: ActiveSelector, set: PeerSet, part: SetPart): void {
    const users = this.#uses.get(active) ?? new Map<PeerSet, SetPart[]>();
    this.#uses.set(active, users);
    const known = users.get(set);
    if (known === undefined) users.set(set, [part]);
    else known.push(part);
  }

  #apply(changes: readonly MembershipChange[]): readonly SetSpec[] {
    const deltas = new Map<PeerSet, Delta>();
    const effects = new EffectCache((before, after, all) => this.#effects(before, after, all));
    for (const change of changes) {
      const [from, to] = [change.before?.selectors ?? noSelectors, change.after?.selectors ?? noSelectors];
      for (const { set, lost, won } of effects.get(from, to, !bringTheSame(change.before, change.after))) {
        const before = contribution(set.spec, change.before, lost);
        const after = contribution(set.spec, change.after, won);
        if (before.length === 0 && after.length === 0) continue;
        let delta = deltas.get(set);
        if (delta === undefined) deltas.set(set, (delta = { added: new Set(), removed: new Set() }));
        for (const element of difference(before, after)) delta.removed.add(element);
        for (const element of difference(after, before)) delta.added.add(element);
      }
    }
    const changed: SetSpec[] = [];
    for (const [set, delta] of deltas) if (this.#commit(set, delta)) changed.push(set.spec);
    return changed;
  }

  /** An address that went from one pod to another is in both lists, and stays. Fixed elements always stay. */
  #commit(set: PeerSet, { added, removed }: Delta): boolean {
    for (const element of added) if (removed.delete(element)) added.delete(element);
    for (const element of set.spec.fixed) {
      added.delete(element);
      removed.delete(element);
    }
    if (added.size === 0 && removed.size === 0) return false;
    invariant(set.elements !== undefined, `set ${set.spec.name} changes before it is built`);
    set.elements = set.elements.with({ added, removed });
    this.#elements += added.size - removed.size;
    return true;
  }

  /**
   * Sets to which a pod may bring something else than before, when the selectors that match it turn from one list into
   * another; `all`: also those of selectors in both lists.
   */
  #effects(from: readonly ActiveSelector[], to: readonly ActiveSelector[], all: boolean): readonly Effect[] {
    const effects = new Map<PeerSet, Effect>();
    const add = (active: ActiveSelector): void => {
      for (const set of this.#uses.get(active)?.keys() ?? []) {
        if (!effects.has(set)) effects.set(set, { set, lost: [], won: [] });
      }
    };
    eachOf(from, to, (active, both) => {
      if (all || !both) add(active);
    });
    if (effects.size === 0) return noEffects;
    for (const active of from) {
      for (const [set, parts] of this.#uses.get(active) ?? []) effects.get(set)?.lost.push(...parts);
    }
    for (const active of to) {
      for (const [set, parts] of this.#uses.get(active) ?? []) effects.get(set)?.won.push(...parts);
    }
    return [...effects.values()];
  }
}

/** What a pod brought to one set, and what it brings. */
interface Effect {
  readonly set: PeerSet;
  readonly lost: SetPart[];
  readonly won: SetPart[];
}

const noSelectors: readonly ActiveSelector[] = [];
const noEffects: readonly Effect[] = [];

type SelectorList = readonly ActiveSelector[];

/** Effects are the same for all pods that change from one class to another: pods of a class share their list. */
class EffectCache {
  readonly #known = new Map<SelectorList, Map<SelectorList, Map<boolean, readonly Effect[]>>>();
  readonly #find: (from: SelectorList, to: SelectorList, all: boolean) => readonly Effect[];

  constructor(find: (from: SelectorList, to: SelectorList, all: boolean) => readonly Effect[]) {
    this.#find = find;
  }

  get(from: SelectorList, to: SelectorList, all: boolean): readonly Effect[] {
    if (from === to && !all) return noEffects;
    const byFrom = getOrInsert(this.#known, from, () => new Map<SelectorList, Map<boolean, readonly Effect[]>>());
    const byTo = getOrInsert(byFrom, to, () => new Map<boolean, readonly Effect[]>());
    return getOrInsert(byTo, all, () => this.#find(from, to, all));
  }
}

function getOrInsert<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}

/** Visits every selector of two lists that are sorted by id, and says whether both have it. */
function eachOf(a: SelectorList, b: SelectorList, visit: (active: ActiveSelector, both: boolean) => void): void {
  let [i, j] = [0, 0];
  for (;;) {
    const [x, y] = [a[i], b[j]];
    const first = x === undefined || (y !== undefined && y.id < x.id) ? y : x;
    if (first === undefined) return;
    if (x === first) i += 1;
    if (y === first) j += 1;
    visit(first, x === y);
  }
}

/** What a pod brings to the parts of a set, each element once. */
function contribution(
  { family, withPorts }: SetSpec,
  membership: Membership | undefined,
  parts: readonly SetPart[],
): readonly string[] {
  if (membership === undefined || parts.length === 0) return [];
  const { pod, owned } = membership;
  const addresses = owned.filter((address) => familyOf(address) === family);
  return withPorts ? addresses.flatMap((address) => portElements(parts, pod, address)) : addresses;
}

function difference(a: readonly string[], b: readonly string[]): readonly string[] {
  if (a.length === 0 || b.length === 0) return a;
  const other = new Set(b);
  return a.filter((element) => !other.has(element));
}

/** Each element once: parts can overlap, and a number can be a name's, too. */
function portElements(parts: readonly SetPart[], pod: Endpoint, address: IpAddress): readonly string[] {
  const elements = parts.flatMap((part) => partElements(part, true, pod, address));
  return elements.length < 2 ? elements : [...new Set(elements)];
}

/** Whether the same addresses and ports are brought to every selector that matches before and after. */
function bringTheSame(before: Membership | undefined, after: Membership | undefined): boolean {
  if (before === undefined || after === undefined) return true;
  const { owned } = after;
  return (
    before.owned.length === owned.length &&
    before.owned.every((address, position) => address === owned[position]) &&
    samePorts(before.pod.namedPorts, after.pod.namedPorts)
  );
}

function samePorts(a: readonly NamedPort[], b: readonly NamedPort[]): boolean {
  if (a === b) return true;
  return (
    a.length === b.length &&
    a.every((port, position) => {
      const other = b[position];
      return port.name === other?.name && port.protocol === other.protocol && port.port === other.port;
    })
  );
}
