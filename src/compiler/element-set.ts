import { invariant } from '../model/assert.ts';
import { LargeSet } from './large-set.ts';

/** How one set of elements became another: disjoint lists without duplicates. */
export interface ElementChanges {
  readonly added: ReadonlySet<string>;
  readonly removed: ReadonlySet<string>;
}

/**
 * An immutable set of elements whose next version costs as much as the change, not as the set. The newest version
 * holds the elements; each older one holds its difference to the next and stays readable, at the cost of the way to
 * the newest. Versions point forward only, so nobody keeps an old version alive by holding a new one.
 * Do not derive a version while iterating over another. The order of iteration is not defined.
 */
export class ElementSet implements ReadonlySet<string> {
  #size: number;
  #state: { readonly elements: Set<string> | LargeSet } | Step;

  /** A list must hold no element twice. */
  constructor(elements: ReadonlySet<string> | readonly string[]) {
    const list = Array.isArray(elements) ? (elements as readonly string[]) : [...elements];
    const kept = list.length > largeAbove ? new LargeSet(list) : new Set(list);
    this.#size = kept.size;
    this.#state = { elements: kept };
  }

  get size(): number {
    return this.#size;
  }

  /**
   * The next version. `added` must hold none of the present elements and `removed` only such; throws BugError if
   * the sizes contradict that. Of a large set not every contradiction shows.
   */
  with(changes: ElementChanges): ElementSet {
    const { added, removed } = changes;
    if (added.size === 0 && removed.size === 0) return this;
    const isNewest = 'elements' in this.#state;
    const elements = 'elements' in this.#state ? this.#state.elements : new Set(this);
    for (const element of removed) elements.delete(element);
    for (const element of added) elements.add(element);
    invariant(elements.size === this.size + added.size - removed.size, 'changes of an element set are exact');
    const next = new ElementSet(noElements);
    next.#state = { elements };
    next.#size = elements.size;
    if (isNewest) this.#state = { next, changes };
    return next;
  }

  /**
   * What turned this version into a later one, in the cost of the changes between them; `undefined` if `later` does
   * not descend from it, or is so different that comparing the sets is cheaper.
   */
  changesTo(later: ReadonlySet<string>): ElementChanges | undefined {
    const added = new Set<string>();
    const removed = new Set<string>();
    const limit = this.size + later.size;
    const changes = { added, removed };
    if (later === this) return changes;
    let steps = 0;
    for (const step of this.#way()) {
      for (const element of step.changes.removed) if (!added.delete(element)) removed.add(element);
      for (const element of step.changes.added) if (!removed.delete(element)) added.add(element);
      if (step.next === later) {
        // The versions in between are forgotten, unless somebody else holds them.
        this.#state = { next: step.next, changes };
        return changes;
      }
      steps += step.changes.removed.size + step.changes.added.size;
      if (steps > limit) return undefined;
    }
    return undefined;
  }

  has(element: string): boolean {
    if ('elements' in this.#state) return this.#state.elements.has(element);
    for (const { changes } of this.#way()) {
      if (changes.removed.has(element)) return true;
      if (changes.added.has(element)) return false;
    }
    return this.#newest().has(element);
  }

  [Symbol.iterator](): SetIterator<string> {
    return this.values();
  }

  keys(): SetIterator<string> {
    return this.values();
  }

  values(): SetIterator<string> {
    const elements = this.#plain();
    return elements instanceof LargeSet ? elements[Symbol.iterator]() : elements.values();
  }

  *entries(): Generator<[string, string], undefined> {
    for (const element of this.#plain()) yield [element, element];
  }

  forEach(visit: (value: string, key: string, set: ReadonlySet<string>) => void, self?: unknown): void {
    for (const element of this.#plain()) visit.call(self, element, element, this);
  }

  /** The elements of this version; those of an older one are put together. */
  #plain(): ReadonlySet<string> | LargeSet {
    const newest = this.#newest();
    const way = [...this.#way()];
    if (way.length === 0) return newest;
    const elements = new Set(newest);
    for (const { changes } of way.reverse()) {
      for (const element of changes.added) elements.delete(element);
      for (const element of changes.removed) elements.add(element);
    }
    return elements;
  }

  /** From this version to the newest; empty if it is the newest. */
  *#way(): Generator<Step, void> {
    let state = this.#state;
    while ('next' in state) {
      yield state;
      state = state.next.#state;
    }
  }

  #newest(): Set<string> | LargeSet {
    let state = this.#state;
    while ('next' in state) state = state.next.#state;
    return state.elements;
  }
}

/** More elements than this are kept as a list. */
const largeAbove = 4096;
const noElements: ReadonlySet<string> = new Set();

/** An older version: what it takes to become the next. */
interface Step {
  readonly next: ElementSet;
  readonly changes: ElementChanges;
}

/** What turned one set of elements into another, if that is known without comparing them; see {@link ElementSet.changesTo}. */
export function elementChanges(before: ReadonlySet<string>, after: ReadonlySet<string>): ElementChanges | undefined {
  return before instanceof ElementSet ? before.changesTo(after) : undefined;
}
