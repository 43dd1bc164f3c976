/**
 * A set of many texts that costs one reference each: the list it was made of, and what has changed since. A plain `Set`
 * costs three times as much, and as long again to fill.
 *
 * That an element to be deleted is in the list, or one to be added is not, is believed, except where a change since
 * says otherwise.
 */
export class LargeSet {
  #base: readonly string[];
  readonly #gone = new Set<string>();
  readonly #come = new Set<string>();
  /** The list as a set, once somebody has asked. */
  #index: ReadonlySet<string> | undefined;

  /** Takes a list without duplicates over. */
  constructor(elements: readonly string[]) {
    this.#base = elements;
  }

  get size(): number {
    return this.#base.length - this.#gone.size + this.#come.size;
  }

  add(element: string): void {
    if (!this.#gone.delete(element)) this.#come.add(element);
    this.#settle();
  }

  delete(element: string): void {
    if (!this.#come.delete(element)) this.#gone.add(element);
    this.#settle();
  }

  /** Slow when asked for the first time after many changes. */
  has(element: string): boolean {
    if (this.#come.has(element)) return true;
    if (this.#gone.has(element)) return false;
    this.#index ??= new Set(this.#base);
    return this.#index.has(element);
  }

  *[Symbol.iterator](): Generator<string, undefined> {
    if (this.#gone.size === 0) yield* this.#base;
    else for (const element of this.#base) if (!this.#gone.has(element)) yield element;
    yield* this.#come;
  }

  /** Makes a new list once the changes are a quarter of it: each change then costs four steps of that, in the end. */
  #settle(): void {
    if (this.#gone.size + this.#come.size <= this.#base.length / 4) return;
    this.#base = [...this];
    this.#gone.clear();
    this.#come.clear();
    this.#index = undefined;
  }
}
