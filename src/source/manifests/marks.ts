/** Where a value lies in a text, as offsets; `keyStart` is -1 for list items and the root. */
export interface Mark {
  readonly keyStart: number;
  readonly keyEnd: number;
  readonly start: number;
  readonly end: number;
}

/** Places of the parts of one parsed tree, by the container that holds them. */
export class Marks {
  readonly #byContainer = new Map<object, Map<string | number, Mark>>();

  /** Records a pair; the last of duplicate keys wins, as it does for the value. */
  pair(container: object, key: string, keyStart: number, keyEnd: number, start: number, end: number): void {
    this.#of(container).set(key, { keyStart, keyEnd, start, end });
  }

  /** Records an item of a list. */
  item(container: object, index: number, start: number, end: number): void {
    this.#of(container).set(index, { keyStart: -1, keyEnd: -1, start, end });
  }

  /** Records a part by a mark that is already there: an entry that came through an alias. */
  copy(container: object, step: string | number, mark: Mark): void {
    this.#of(container).set(step, mark);
  }

  /** The place of one part. */
  get(container: object, step: string | number): Mark | undefined {
    return this.#byContainer.get(container)?.get(step);
  }

  #of(container: object): Map<string | number, Mark> {
    let marks = this.#byContainer.get(container);
    if (marks === undefined) {
      marks = new Map();
      this.#byContainer.set(container, marks);
    }
    return marks;
  }
}

/** A parsed value and where its parts are. Without `marks` only values were wanted. */
export interface ParsedTree {
  readonly value: unknown;
  readonly start: number;
  readonly end: number;
  readonly marks?: Marks;
}

/** Sets an entry as an own property, also if the key is `__proto__`. */
export function setEntry(target: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(target, key, { value, writable: true, enumerable: true, configurable: true });
  else target[key] = value;
}

/** Whether a value is a mapping. */
export function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
