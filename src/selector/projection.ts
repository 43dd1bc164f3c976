import type { Labels } from '../model/labels.ts';

interface RelevantKey {
  /** Grows; a key that comes back gets a new one. */
  readonly id: number;
  uses: number;
}

/** The label keys some active selector mentions, counted, and labels reduced to them. */
export class Projection {
  readonly #keys = new Map<string, RelevantKey>();
  #nextId = 0;

  /** Answers whether the key was not relevant before: texts projected so far may then be too coarse. */
  retain(key: string): boolean {
    const known = this.#keys.get(key);
    if (known !== undefined) {
      known.uses += 1;
      return false;
    }
    this.#keys.set(key, { id: this.#nextId++, uses: 1 });
    return true;
  }

  /** Texts projected so far stay valid: they distinguish more than they need. */
  release(key: string): void {
    const known = this.#keys.get(key);
    if (known === undefined) return;
    known.uses -= 1;
    if (known.uses === 0) this.#keys.delete(key);
  }

  /** Equal texts mean that every relevant key has the same value, or is absent, in both. */
  project(labels: Labels): string {
    let text = '';
    if (this.#keys.size <= labels.size) {
      // Insertion order is the order of ids.
      for (const [key, { id }] of this.#keys) {
        const value = labels.get(key);
        if (value !== undefined) text += pair(id, value);
      }
      return text;
    }
    const found: { readonly id: number; readonly value: string }[] = [];
    for (const [key, value] of labels) {
      const known = this.#keys.get(key);
      if (known !== undefined) found.push({ id: known.id, value });
    }
    found.sort((a, b) => a.id - b.id);
    for (const { id, value } of found) text += pair(id, value);
    return text;
  }

  get size(): number {
    return this.#keys.size;
  }
}

/** The length keeps values of any text apart. */
function pair(id: number, value: string): string {
  return `${id}:${value.length}:${value};`;
}
