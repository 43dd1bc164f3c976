import { Marks, setEntry } from './marks.ts';
import type { ParsedTree } from './marks.ts';
import { Cursor, longestKey, maxSimpleDepth, NotSimple } from './simple-cursor.ts';
import { parseFlow } from './simple-flow.ts';
import { endOfPlainLine, parseLiteral, parsePlain, parseQuoted, plainValue, startsPlain } from './simple-scalar.ts';

/** A document of the simple subset. */
export interface SimpleDocument extends ParsedTree {
  /** Where the items of the root's `items` begin; empty if there is no such block sequence. */
  readonly items: readonly SimpleItem[];
}

/** The place of one item of a block sequence, enough to parse it alone. */
export interface SimpleItem {
  readonly start: number;
  readonly lineStart: number;
  readonly parentIndent: number;
}

/**
 * Parses a YAML document made of what nearly all manifests are made of: block and flow collections, scalars on one
 * line, plain scalars over several, literal blocks. About fifty times as fast as the full parser. It accepts a text only
 * if the full parser reads the same from it, without any error or warning; for every other text, wrong or merely
 * unusual, it answers `undefined`. With `marks`, places are recorded.
 */
export function parseSimpleYaml(
  text: string,
  start: number,
  end: number,
  options: { readonly marks: boolean },
): SimpleDocument | undefined {
  return attempt(() => {
    const cursor = new Cursor(text, start, end, start, options.marks ? new Marks() : undefined);
    if (/[\t\r]/.test(text.slice(start, end))) cursor.bail();
    if (start > 0 && text.charCodeAt(start - 1) !== 0x0a) cursor.bail();
    cursor.skipSpaces();
    if (cursor.atLineEnd()) cursor.next();
    else cursor.column = cursor.at - start;
    const block = new BlockParser(cursor);
    const value = block.root();
    return { ...treeOf(cursor, value), items: block.items };
  });
}

/** Parses one item of a document that {@link parseSimpleYaml} accepted, with marks. */
export function parseSimpleItem(text: string, item: SimpleItem, end: number): ParsedTree | undefined {
  return attempt(() => {
    const cursor = new Cursor(text, item.start, end, item.lineStart, new Marks());
    cursor.column = item.start - item.lineStart;
    return treeOf(cursor, new BlockParser(cursor).node(item.parentIndent, 2));
  });
}

function treeOf(cursor: Cursor, value: unknown): ParsedTree {
  const { valueStart, valueEnd, marks } = cursor;
  return { value, start: valueStart, end: valueEnd, ...(marks === undefined ? {} : { marks }) };
}

function attempt<T>(parse: () => T): T | undefined {
  try {
    return parse();
  } catch (error) {
    if (error instanceof NotSimple) return undefined;
    throw error;
  }
}

/** Every method leaves the cursor at the next content, and notes where its own value was. */
class BlockParser {
  readonly items: SimpleItem[] = [];
  readonly #cursor: Cursor;

  constructor(cursor: Cursor) {
    this.#cursor = cursor;
  }

  root(): unknown {
    const cursor = this.#cursor;
    if (cursor.column === -1 || !this.#startsKey()) cursor.bail();
    const value = this.#map(cursor.column, 0);
    const { valueStart, valueEnd } = cursor;
    if (cursor.column !== -1) cursor.bail();
    cursor.found(valueStart, valueEnd);
    return value;
  }

  /** A node that begins at the cursor, deeper than `parentIndent`. */
  node(parentIndent: number, depth: number): unknown {
    const cursor = this.#cursor;
    if (depth > maxSimpleDepth) cursor.bail();
    const column = cursor.at - cursor.lineStart;
    if (this.#atDash()) return this.#list(column, depth);
    return this.#startsKey() ? this.#map(column, depth) : this.#leaf(parentIndent, depth);
  }

  #map(column: number, depth: number): Record<string, unknown> {
    const cursor = this.#cursor;
    const start = cursor.at;
    const map: Record<string, unknown> = {};
    let end = start;
    do {
      if (this.#atDash()) cursor.bail();
      const keyStart = cursor.at;
      const key = this.#key();
      const keyEnd = cursor.valueEnd;
      if (Object.hasOwn(map, key)) cursor.bail();
      const value = this.#entry(column, depth, depth === 0 && key === 'items');
      setEntry(map, key, value);
      end = Math.max(keyEnd, cursor.valueEnd);
      cursor.marks?.pair(map, key, keyStart, keyEnd, cursor.valueStart, cursor.valueEnd);
    } while (cursor.column === column);
    if (cursor.column > column) cursor.bail();
    cursor.found(start, end);
    return map;
  }

  /** The key at the cursor, which ends after its colon. */
  #key(): string {
    const cursor = this.#cursor;
    const start = cursor.at;
    const code = cursor.code(start);
    if (code === 0x22 || code === 0x27) {
      const key = parseQuoted(cursor);
      const { valueEnd } = cursor;
      cursor.skipSpaces();
      this.#colon(start);
      cursor.found(start, valueEnd);
      return key;
    }
    const mayBeMarker = start === cursor.lineStart && (code === 0x2d || code === 0x2e);
    if (mayBeMarker || !startsPlain(cursor, start)) cursor.bail();
    const end = endOfPlainLine(cursor, false);
    const key = plainValue(cursor, cursor.text.slice(start, end));
    if (typeof key !== 'string' || key === '<<') return cursor.bail();
    this.#colon(start);
    cursor.found(start, end);
    return key;
  }

  #colon(start: number): void {
    const cursor = this.#cursor;
    if (cursor.at - start > longestKey) cursor.bail();
    if (cursor.code(cursor.at) !== 0x3a || !cursor.isGap(cursor.at + 1)) cursor.bail();
    cursor.at += 1;
  }

  /** The value after a colon. */
  #entry(column: number, depth: number, keepItems: boolean): unknown {
    const cursor = this.#cursor;
    const afterColon = cursor.at;
    cursor.skipSpaces();
    if (!cursor.atLineEnd()) {
      if (this.#atDash()) cursor.bail();
      return this.#leaf(column, depth + 1);
    }
    cursor.next();
    if (cursor.column > column) {
      if (keepItems && this.#atDash()) return this.#list(cursor.column, depth + 1, true);
      this.#refuseCommentedLeaf();
      return this.node(column, depth + 1);
    }
    if (cursor.column === column && this.#atDash()) return this.#list(column, depth + 1, keepItems);
    cursor.found(afterColon, afterColon);
    return null;
  }

  #list(column: number, depth: number, keepItems = false): unknown[] {
    const cursor = this.#cursor;
    if (depth > maxSimpleDepth) cursor.bail();
    const start = cursor.at;
    const list: unknown[] = [];
    let end = start + 1;
    do {
      cursor.at += 1;
      cursor.skipSpaces();
      list.push(this.#item(column, depth, keepItems));
      cursor.marks?.item(list, list.length - 1, cursor.valueStart, cursor.valueEnd);
      end = cursor.valueEnd;
    } while (cursor.column === column && this.#atDash());
    if (cursor.column > column) cursor.bail();
    cursor.found(start, end);
    return list;
  }

  #item(column: number, depth: number, keepItems: boolean): unknown {
    const cursor = this.#cursor;
    if (cursor.atLineEnd()) {
      cursor.next();
      if (cursor.column <= column) cursor.bail();
      this.#refuseCommentedLeaf();
    }
    if (keepItems) this.items.push({ start: cursor.at, lineStart: cursor.lineStart, parentIndent: column });
    return this.node(column, depth + 1);
  }

  /** A scalar below its key with a comment between: the full parser refuses some of these. */
  #refuseCommentedLeaf(): void {
    if (this.#cursor.passedComment && !this.#atDash() && !this.#startsKey()) this.#cursor.bail();
  }

  /** A scalar or a flow collection. */
  #leaf(parentIndent: number, depth: number): unknown {
    const cursor = this.#cursor;
    let value: unknown;
    switch (cursor.code(cursor.at)) {
      case 0x22:
      case 0x27:
        value = parseQuoted(cursor);
        break;
      case 0x5b:
      case 0x7b:
        value = parseFlow(cursor, parentIndent, depth);
        break;
      case 0x7c:
        value = parseLiteral(cursor, parentIndent);
        break;
      default:
        value = parsePlain(cursor, parentIndent);
    }
    cursor.next();
    return value;
  }

  #atDash(): boolean {
    return this.#cursor.code(this.#cursor.at) === 0x2d && this.#cursor.isGap(this.#cursor.at + 1);
  }

  /** Whether a key with its colon begins at the cursor. */
  #startsKey(): boolean {
    const cursor = this.#cursor;
    const { at, valueStart, valueEnd } = cursor;
    const code = cursor.code(at);
    if (code === 0x7b || code === 0x5b || code === 0x7c) return false;
    if (code === 0x22 || code === 0x27) {
      parseQuoted(cursor);
      cursor.skipSpaces();
    } else endOfPlainLine(cursor, false);
    const found = cursor.code(cursor.at) === 0x3a && cursor.isGap(cursor.at + 1);
    cursor.at = at;
    cursor.found(valueStart, valueEnd);
    return found;
  }
}
