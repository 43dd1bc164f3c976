import { readPlainScalar } from './plain-scalar.ts';
import type { ScalarValue } from './plain-scalar.ts';
import type { Cursor } from './simple-cursor.ts';

const jsonEscapes = /^(?:[^\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*$/;

/** A quoted text on one line; the cursor stands at the opening quote and ends after the closing one. */
export function parseQuoted(cursor: Cursor): string {
  const start = cursor.at;
  const value = cursor.code(start) === 0x22 ? parseDouble(cursor) : parseSingle(cursor);
  cursor.found(start, cursor.at);
  return value;
}

function parseDouble(cursor: Cursor): string {
  const { text, at: start } = cursor;
  let escaped = false;
  for (let at = start + 1; at < cursor.end; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x0a) break;
    if (code === 0x5c) {
      escaped = true;
      at += 1;
      if (text.charCodeAt(at) === 0x0a) break;
    } else if (code === 0x22) {
      cursor.at = at + 1;
      const raw = text.slice(start + 1, at);
      if (!escaped) return raw;
      if (!jsonEscapes.test(raw)) cursor.bail();
      return JSON.parse(`"${raw}"`) as string;
    }
  }
  return cursor.bail();
}

function parseSingle(cursor: Cursor): string {
  const { text, at: start } = cursor;
  let doubled = false;
  for (let at = start + 1; at < cursor.end; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x0a) break;
    if (code !== 0x27) continue;
    if (text.charCodeAt(at + 1) === 0x27 && at + 1 < cursor.end) {
      doubled = true;
      at += 1;
      continue;
    }
    cursor.at = at + 1;
    const raw = text.slice(start + 1, at);
    return doubled ? raw.replaceAll("''", "'") : raw;
  }
  return cursor.bail();
}

/** Whether a plain scalar may begin with the code unit at `at`. Narrower than YAML: the rest is left to the full parser. */
export function startsPlain(cursor: Cursor, at: number): boolean {
  const code = cursor.code(at);
  if ((code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || (code >= 0x30 && code <= 0x39)) return true;
  switch (code) {
    case 0x2d: // "-" of a number or a flag
      return !cursor.isGap(at + 1) && !isFlowIndicator(cursor.code(at + 1));
    case 0x24: // $
    case 0x28: // (
    case 0x2b: // +
    case 0x2e: // .
    case 0x2f: // /
    case 0x3c: // <
    case 0x3d: // =
    case 0x5e: // ^
    case 0x5f: // _
    case 0x7e: // ~
      return true;
    default:
      return code > 0xa0;
  }
}

/** One of `,[]{}`. */
export function isFlowIndicator(code: number): boolean {
  return code === 0x2c || code === 0x5b || code === 0x5d || code === 0x7b || code === 0x7d;
}

/** The end of a plain scalar's content on this line; `inFlow` also stops at `,[]{}`. Stops at the colon of a key. */
export function endOfPlainLine(cursor: Cursor, inFlow: boolean): number {
  const { text, end } = cursor;
  let at = cursor.at;
  let last = at;
  for (; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x20) continue;
    if (code === 0x0a) break;
    if (code === 0x23 && text.charCodeAt(at - 1) === 0x20) break;
    if (code === 0x3a && (cursor.isGap(at + 1) || (inFlow && isFlowIndicator(text.charCodeAt(at + 1))))) break;
    if (inFlow && isFlowIndicator(code)) break;
    last = at + 1;
  }
  cursor.at = at;
  return last;
}

/** What a plain text stands for; numbers that are none are not simple. */
export function plainValue(cursor: Cursor, text: string): ScalarValue {
  const value = readPlainScalar(text);
  if (typeof value === 'number' && !Number.isFinite(value)) cursor.bail();
  return value;
}

/** A plain scalar in block context, over as many lines as are indented deeper than `parentIndent`. */
export function parsePlain(cursor: Cursor, parentIndent: number): ScalarValue {
  const start = cursor.at;
  if (!startsPlain(cursor, start)) cursor.bail();
  let end = endOfPlainLine(cursor, false);
  let text = cursor.text.slice(start, end);
  while (cursor.code(cursor.at) === 0x0a) {
    const breaks = skipToContinuation(cursor, parentIndent);
    if (breaks === 0) break;
    if (!startsPlain(cursor, cursor.at) || cursor.code(cursor.at) === 0x2d) cursor.bail();
    const from = cursor.at;
    end = endOfPlainLine(cursor, false);
    text += (breaks === 1 ? ' ' : '\n'.repeat(breaks - 1)) + cursor.text.slice(from, end);
  }
  if (cursor.code(cursor.at) === 0x3a) cursor.bail();
  cursor.found(start, end);
  return plainValue(cursor, text);
}

/** Goes to the continuation of a plain scalar; answers how many line breaks lie before it, 0 if there is none. */
function skipToContinuation(cursor: Cursor, parentIndent: number): number {
  const { text, end } = cursor;
  let breaks = 0;
  let lineStart = cursor.lineStart;
  for (let at = cursor.at; text.charCodeAt(at) === 0x0a && at < end;) {
    breaks += 1;
    at += 1;
    lineStart = at;
    while (at < end && text.charCodeAt(at) === 0x20) at += 1;
    if (at >= end) return 0;
    const code = text.charCodeAt(at);
    if (code === 0x0a) continue;
    if (at - lineStart <= parentIndent || code === 0x23) return 0;
    cursor.at = at;
    cursor.lineStart = lineStart;
    return breaks;
  }
  return 0;
}

/** A literal block (`|`, `|-`, `|+`) without indentation indicator; ends after its last line. */
export function parseLiteral(cursor: Cursor, parentIndent: number): string {
  const { text, end } = cursor;
  const start = cursor.at;
  cursor.at += 1;
  const chomp = text.charCodeAt(cursor.at);
  if (chomp === 0x2d || chomp === 0x2b) cursor.at += 1;
  if (cursor.code(cursor.at) !== 0x0a) cursor.bail();
  let at = cursor.at + 1;
  let indent = -1;
  let body = '';
  let blank = 0;
  let last = start;
  for (;;) {
    const lineStart = at;
    while (at < end && text.charCodeAt(at) === 0x20) at += 1;
    if (at >= end) {
      if (at > lineStart) cursor.bail();
      cursor.at = lineStart;
      break;
    }
    const column = at - lineStart;
    if (text.charCodeAt(at) === 0x0a) {
      if (column > Math.max(indent, 0)) cursor.bail();
      blank += 1;
      at += 1;
      continue;
    }
    if (column <= parentIndent || (indent !== -1 && column < indent)) {
      cursor.at = lineStart;
      break;
    }
    if (indent === -1) indent = column;
    const newline = text.indexOf('\n', at);
    if (newline === -1 || newline >= end) cursor.bail();
    body += `${'\n'.repeat(blank)}${text.slice(lineStart + indent, newline)}\n`;
    blank = 0;
    last = newline;
    at = newline + 1;
  }
  if (indent === -1) cursor.bail();
  // Stands before a line break, so that the search for the next content begins on a new line.
  cursor.at -= 1;
  cursor.lineStart = text.lastIndexOf('\n', cursor.at - 1) + 1;
  while (text.charCodeAt(last - 1) === 0x20) last -= 1;
  cursor.found(start, last);
  if (chomp === 0x2d) return body.slice(0, -1);
  return chomp === 0x2b ? body + '\n'.repeat(blank) : body;
}
