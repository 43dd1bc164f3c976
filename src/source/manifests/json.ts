import { Marks, setEntry } from './marks.ts';
import type { ParsedTree } from './marks.ts';

/**
 * Walks JSON text that `JSON.parse` has accepted, to find where things are. It checks nothing: give it only text
 * known to be valid.
 */
export class JsonWalker {
  readonly #text: string;
  #at: number;

  constructor(text: string, at: number) {
    this.#text = text;
    this.#at = at;
  }

  /** The value at the current place, with the places of all its parts. */
  tree(): ParsedTree {
    const marks = new Marks();
    const start = this.#blank();
    const value = this.#value(marks);
    return { value, start, end: this.#at, marks };
  }

  /** Ranges of the items of the root's member `name`; of the last one if it occurs twice. */
  itemRanges(name: string): readonly (readonly [number, number])[] {
    let ranges: (readonly [number, number])[] = [];
    this.#blank();
    this.#members((key) => {
      if (key !== name || this.#text[this.#at] !== '[') {
        this.#skip();
        return;
      }
      ranges = [];
      this.#items(() => {
        const start = this.#at;
        this.#skip();
        ranges.push([start, this.#at]);
      });
    });
    return ranges;
  }

  /** Calls back with the range of each member name that an object holds twice. */
  duplicates(report: (name: string, start: number, end: number) => void): void {
    this.#blank();
    this.#findDuplicates(report);
  }

  #findDuplicates(report: (name: string, start: number, end: number) => void): void {
    const code = this.#text[this.#at];
    if (code === '{') {
      const seen = new Set<string>();
      this.#members((key, start, end) => {
        if (seen.has(key)) report(key, start, end);
        seen.add(key);
        this.#findDuplicates(report);
      });
    } else if (code === '[') this.#items(() => this.#findDuplicates(report));
    else this.#skip();
  }

  #value(marks: Marks): unknown {
    const code = this.#text[this.#at];
    if (code === '{') {
      const value: Record<string, unknown> = {};
      this.#members((key, keyStart, keyEnd) => {
        const start = this.#at;
        setEntry(value, key, this.#value(marks));
        marks.pair(value, key, keyStart, keyEnd, start, this.#at);
      });
      return value;
    }
    if (code === '[') {
      const value: unknown[] = [];
      this.#items(() => {
        const start = this.#at;
        value.push(this.#value(marks));
        marks.item(value, value.length - 1, start, this.#at);
      });
      return value;
    }
    const start = this.#at;
    this.#skip();
    return JSON.parse(this.#text.slice(start, this.#at)) as unknown;
  }

  #members(each: (key: string, start: number, end: number) => void): void {
    this.#at += 1;
    while (this.#text[this.#blank()] !== '}') {
      if (this.#text[this.#at] === ',') this.#at += 1;
      const start = this.#blank();
      this.#string();
      const end = this.#at;
      const raw = this.#text.slice(start + 1, end - 1);
      this.#blank();
      this.#at += 1;
      this.#blank();
      each(raw.includes('\\') ? (JSON.parse(`"${raw}"`) as string) : raw, start, end);
    }
    this.#at += 1;
  }

  #items(each: () => void): void {
    this.#at += 1;
    while (this.#text[this.#blank()] !== ']') {
      if (this.#text[this.#at] === ',') this.#at += 1;
      this.#blank();
      each();
    }
    this.#at += 1;
  }

  #skip(): void {
    this.#at = endOfJsonValue(this.#text, this.#at) ?? this.#text.length;
  }

  #string(): void {
    this.#at = endOfString(this.#text, this.#at) ?? this.#text.length;
  }

  #blank(): number {
    while (isJsonBlank(this.#text.charCodeAt(this.#at))) this.#at += 1;
    return this.#at;
  }
}

/** The offset after the JSON value that starts at `start`, by brackets and quotes alone; undefined if it does not end. */
export function endOfJsonValue(text: string, start: number): number | undefined {
  let depth = 0;
  let at = start;
  while (at < text.length) {
    const code = text.charCodeAt(at);
    if (code === 0x22) {
      const end = endOfString(text, at);
      if (end === undefined) return undefined;
      at = end;
      if (depth === 0) return at;
    } else if (code === 0x7b || code === 0x5b) {
      depth += 1;
      at += 1;
    } else if (code === 0x7d || code === 0x5d) {
      if (depth === 0) return at;
      depth -= 1;
      at += 1;
      if (depth === 0) return at;
    } else if (depth === 0 && (code === 0x2c || isJsonBlank(code))) {
      return at;
    } else at += 1;
  }
  return depth === 0 ? at : undefined;
}

function endOfString(text: string, start: number): number | undefined {
  let at = text.indexOf('"', start + 1);
  while (at !== -1) {
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes += 1;
    if (slashes % 2 === 0) return at + 1;
    at = text.indexOf('"', at + 1);
  }
  return undefined;
}

/** Whether a UTF-16 code unit is white space between JSON tokens. */
export function isJsonBlank(code: number): boolean {
  return code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09;
}

/** Member names in a parsed value, and its depth; stops counting below `maxDepth`. */
export function measureJson(value: unknown, maxDepth: number): { readonly keys: number; readonly tooDeep: boolean } {
  let keys = 0;
  let tooDeep = false;
  const visit = (node: unknown, depth: number): void => {
    if (typeof node !== 'object' || node === null) return;
    if (depth > maxDepth) {
      tooDeep = true;
      return;
    }
    if (Array.isArray(node)) {
      for (const item of node) visit(item, depth + 1);
      return;
    }
    for (const key in node) {
      keys += 1;
      visit((node as Record<string, unknown>)[key], depth + 1);
    }
  };
  visit(value, 0);
  return { keys, tooDeep };
}

/**
 * At least as many as there are member names in a JSON text: places where a quote is followed by a colon. If a parsed
 * value has exactly as many keys, then no name was given twice.
 */
export function countMemberNames(text: string): number {
  let count = 0;
  for (let at = text.indexOf(':'); at !== -1; at = text.indexOf(':', at + 1)) {
    let before = at - 1;
    while (isJsonBlank(text.charCodeAt(before))) before -= 1;
    if (text.charCodeAt(before) === 0x22) count += 1;
  }
  return count;
}
