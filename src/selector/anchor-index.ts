import type { LabelSelector } from '../model/label-selector.ts';
import type { Labels } from '../model/labels.ts';

/**
 * Items by label selector, found by labels. An item hangs on one `In` requirement of its selector, the one with the
 * fewest values, so labels meet few items that cannot match; items without `In` are always met.
 */
export class AnchorIndex<T> {
  readonly #anchored = new Map<string, Map<string, Set<T>>>();
  readonly #always = new Set<T>();

  add(selector: LabelSelector, item: T): void {
    const anchor = anchorOf(selector);
    if (anchor === undefined) {
      this.#always.add(item);
      return;
    }
    const byValue = this.#anchored.get(anchor.key) ?? new Map<string, Set<T>>();
    this.#anchored.set(anchor.key, byValue);
    for (const value of anchor.values) {
      const bucket = byValue.get(value);
      if (bucket === undefined) byValue.set(value, new Set([item]));
      else bucket.add(item);
    }
  }

  /** Undoes {@link AnchorIndex.add} with the same selector. */
  delete(selector: LabelSelector, item: T): void {
    const anchor = anchorOf(selector);
    if (anchor === undefined) {
      this.#always.delete(item);
      return;
    }
    const byValue = this.#anchored.get(anchor.key);
    if (byValue === undefined) return;
    for (const value of anchor.values) {
      const bucket = byValue.get(value);
      if (bucket?.delete(item) === true && bucket.size === 0) byValue.delete(value);
    }
    if (byValue.size === 0) this.#anchored.delete(anchor.key);
  }

  /** Every item whose selector can match the labels, each once; the caller verifies. */
  *candidates(labels: Labels): Generator<T, void> {
    yield* this.#always;
    if (this.#anchored.size < labels.size) {
      for (const [key, byValue] of this.#anchored) {
        const value = labels.get(key);
        const bucket = value === undefined ? undefined : byValue.get(value);
        if (bucket !== undefined) yield* bucket;
      }
      return;
    }
    for (const [key, value] of labels) {
      const bucket = this.#anchored.get(key)?.get(value);
      if (bucket !== undefined) yield* bucket;
    }
  }

  get isEmpty(): boolean {
    return this.#always.size === 0 && this.#anchored.size === 0;
  }
}

function anchorOf(selector: LabelSelector): { readonly key: string; readonly values: readonly string[] } | undefined {
  let anchor: LabelSelector['requirements'][number] | undefined;
  for (const requirement of selector.requirements) {
    if (requirement.operator !== 'In') continue;
    if (anchor === undefined || requirement.values.length < anchor.values.length) anchor = requirement;
  }
  return anchor;
}
