/** Values seen lately by key: at least the last `limit` distinct ones, at most twice as many. */
export class Recent<T> {
  readonly #limit: number;
  #young = new Map<string, T>();
  #old = new Map<string, T>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  /** The value known by the key, or else this one, known from now on. */
  get(key: string, value: T): T {
    return this.find(key) ?? this.add(key, value);
  }

  /** The value known by the key. It counts as seen again. */
  find(key: string): T | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const old = this.#old.get(key);
    return old === undefined ? undefined : this.add(key, old);
  }

  /** Makes a value known. */
  add(key: string, value: T): T {
    if (this.#young.size >= this.#limit) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, value);
    return value;
  }
}
