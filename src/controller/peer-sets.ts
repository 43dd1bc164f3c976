import { ElementSet } from '../compiler/element-set.ts';
import { partElements } from '../compiler/set-spec.ts';
import type { SetPart, SetSpec } from '../compiler/set-spec.ts';
import { invariant } from '../model/assert.ts';
import { familyOf } from '../model/ip.ts';
import type { NamedPort } from '../model/port.ts';
import type { ClassIndex, Membership, MembershipChange } from '../selector/class-index.ts';
import type { ActiveSelector } from '../selector/pod-class.ts';

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
    const elements = new Set(fixed);
    for (const [position, active] of set.selectors.entries()) {
      const part = parts[position];
      invariant(part !== undefined, 'a set has one selector for each part');
      this.#register(active, set, part);
      for (const podClass of active.classes) {
        for (const { pod, owned } of podClass.pods) {
          for (const address of owned) {
            if (familyOf(address) !== family) continue;
            if (!withPorts) elements.add(address);
            else for (const element of partElements(part, withPorts, pod, address)) elements.add(element);
          }
        }
      }
    }
    set.elements = new ElementSet(elements);
    this.#elements += elements.size;
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
    for (const change of changes) {
      for (const set of this.#affected(change)) {
        const before = new Set(this.#contribution(set, change.before));
        const after = new Set(this.#contribution(set, change.after));
        let delta = deltas.get(set);
        if (delta === undefined) deltas.set(set, (delta = { added: new Set(), removed: new Set() }));
        for (const element of before) if (!after.has(element)) delta.removed.add(element);
        for (const element of after) if (!before.has(element)) delta.added.add(element);
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

  /** Sets to which the pod may bring something else than before. */
  #affected({ before, after }: MembershipChange): ReadonlySet<PeerSet> {
    const sets = new Set<PeerSet>();
    const add = (active: ActiveSelector): void => {
      for (const set of this.#uses.get(active)?.keys() ?? []) sets.add(set);
    };
    const from = before?.selectors ?? [];
    const to = after?.selectors ?? [];
    if (bringTheSame(before, after)) {
      if (from === to) return sets;
      for (const active of from) if (!to.includes(active)) add(active);
      for (const active of to) if (!from.includes(active)) add(active);
    } else {
      from.forEach(add);
      if (from !== to) to.forEach(add);
    }
    return sets;
  }

  /** May repeat elements: parts of a set can overlap. */
  #contribution(set: PeerSet, membership: Membership | undefined): readonly string[] {
    const elements: string[] = [];
    if (membership === undefined) return elements;
    const { pod, owned, selectors } = membership;
    const { family, withPorts } = set.spec;
    for (const active of selectors) {
      for (const part of this.#uses.get(active)?.get(set) ?? []) {
        for (const address of owned) {
          if (familyOf(address) !== family) continue;
          elements.push(...partElements(part, withPorts, pod, address));
        }
      }
    }
    return elements;
  }
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
