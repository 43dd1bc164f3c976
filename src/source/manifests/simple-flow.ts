import { setEntry } from './marks.ts';
import { longestKey, maxSimpleDepth } from './simple-cursor.ts';
import type { Cursor } from './simple-cursor.ts';
import { endOfPlainLine, parseQuoted, plainValue, startsPlain } from './simple-scalar.ts';

/** A flow collection; lines after the first must be indented deeper than `parentIndent`. Ends after the closing bracket. */
export function parseFlow(cursor: Cursor, parentIndent: number, depth: number): unknown {
  if (depth > maxSimpleDepth) cursor.bail();
  return cursor.code(cursor.at) === 0x7b
    ? parseMap(cursor, parentIndent, depth)
    : parseList(cursor, parentIndent, depth);
}

function parseMap(cursor: Cursor, parentIndent: number, depth: number): Record<string, unknown> {
  const start = cursor.at;
  const map: Record<string, unknown> = {};
  cursor.at += 1;
  skipGaps(cursor, parentIndent);
  while (cursor.code(cursor.at) !== 0x7d) {
    const keyStart = cursor.at;
    const quoted = isQuote(cursor.code(keyStart));
    const key = quoted ? parseQuoted(cursor) : parsePlainInFlow(cursor);
    const keyEnd = cursor.valueEnd;
    if (typeof key !== 'string' || (key === '<<' && !quoted) || Object.hasOwn(map, key)) cursor.bail();
    cursor.skipSpaces();
    if (cursor.code(cursor.at) !== 0x3a || cursor.at - keyStart > longestKey) cursor.bail();
    cursor.at += 1;
    if (!quoted && !cursor.isGap(cursor.at)) cursor.bail();
    skipGaps(cursor, parentIndent);
    const value = parseValue(cursor, parentIndent, depth);
    setEntry(map, key, value);
    cursor.marks?.pair(map, key, keyStart, keyEnd, cursor.valueStart, cursor.valueEnd);
    endEntry(cursor, parentIndent, 0x7d);
  }
  cursor.at += 1;
  cursor.found(start, cursor.at);
  return map;
}

function parseList(cursor: Cursor, parentIndent: number, depth: number): unknown[] {
  const start = cursor.at;
  const list: unknown[] = [];
  cursor.at += 1;
  skipGaps(cursor, parentIndent);
  while (cursor.code(cursor.at) !== 0x5d) {
    list.push(parseValue(cursor, parentIndent, depth));
    cursor.marks?.item(list, list.length - 1, cursor.valueStart, cursor.valueEnd);
    endEntry(cursor, parentIndent, 0x5d);
  }
  cursor.at += 1;
  cursor.found(start, cursor.at);
  return list;
}

function parseValue(cursor: Cursor, parentIndent: number, depth: number): unknown {
  const code = cursor.code(cursor.at);
  if (code === 0x7b || code === 0x5b) return parseFlow(cursor, parentIndent, depth + 1);
  return isQuote(code) ? parseQuoted(cursor) : parsePlainInFlow(cursor);
}

function parsePlainInFlow(cursor: Cursor): unknown {
  const start = cursor.at;
  if (!startsPlain(cursor, start)) cursor.bail();
  const end = endOfPlainLine(cursor, true);
  cursor.found(start, end);
  return plainValue(cursor, cursor.text.slice(start, end));
}

/** A comma, after which another entry or the closing bracket may come, or the closing bracket itself. */
function endEntry(cursor: Cursor, parentIndent: number, close: number): void {
  skipGaps(cursor, parentIndent);
  const code = cursor.code(cursor.at);
  if (code === 0x2c) {
    cursor.at += 1;
    skipGaps(cursor, parentIndent);
  } else if (code !== close) cursor.bail();
}

/** Spaces, line breaks and comments between tokens. */
function skipGaps(cursor: Cursor, parentIndent: number): void {
  for (;;) {
    cursor.skipSpaces();
    const code = cursor.code(cursor.at);
    if (code === 0x23) {
      if (!cursor.commentMayStart()) cursor.bail();
      const newline = cursor.text.indexOf('\n', cursor.at);
      cursor.at = newline === -1 || newline > cursor.end ? cursor.end : newline;
    } else if (code === 0x0a) {
      cursor.at += 1;
      cursor.lineStart = cursor.at;
    } else {
      if (cursor.at >= cursor.end) cursor.bail();
      if (cursor.at - cursor.lineStart <= parentIndent) cursor.bail();
      return;
    }
  }
}

function isQuote(code: number): boolean {
  return code === 0x22 || code === 0x27;
}
