import { distance } from 'fastest-levenshtein';
import type { Requirement } from '../model/label-selector.ts';
import type { Labels } from '../model/labels.ts';
import type { FieldPath } from '../model/source-ref.ts';
import type { Span } from '../model/diagnostic.ts';
import type { WrittenObject } from './cluster.ts';

/** What a requirement asks for: `app=db`, `app in (a, b)`, `!app`. */
export function requirementText({ key, operator, values }: Requirement): string {
  switch (operator) {
    case 'In':
      return values.length === 1 ? `${key}=${values[0]}` : `${key} in (${values.join(', ')})`;
    case 'NotIn':
      return values.length === 1 ? `${key}!=${values[0]}` : `${key} notin (${values.join(', ')})`;
    case 'Exists':
      return key;
    case 'DoesNotExist':
      return `!${key}`;
  }
}

/** What an object has under a key: `app=db`, or nothing. */
export function actualLabel(key: string, labels: Labels | undefined): string | null {
  const value = labels?.get(key);
  return value === undefined ? null : `${key}=${value}`;
}

/** `api-1 has app=api`, `api-1 has no label "app"`. */
export function labelFact(subject: string, key: string, labels: Labels | undefined): string {
  const actual = actualLabel(key, labels);
  return actual === null ? `${subject} has no label "${key}"` : `${subject} has ${actual}`;
}

/** How far a requirement is from labels that fail it: letters to change; more if the key itself is missing. */
export function requirementDistance({ key, operator, values }: Requirement, labels: Labels | undefined): number {
  if (operator !== 'In') return 8;
  const value = labels?.get(key);
  if (value !== undefined) return Math.min(...values.map((wanted) => distance(wanted, value)), 16);
  const near = [...(labels ?? [])].map(([other, has]) => (values.includes(has) ? distance(key, other) : 16));
  return Math.min(16, 8 + Math.min(8, ...near));
}

/** Where a requirement is written below its selector. */
export function requirementPath(selector: FieldPath, { origin }: Requirement): FieldPath {
  return origin.kind === 'matchLabels'
    ? [...selector, 'matchLabels', origin.key]
    : [...selector, 'matchExpressions', origin.index];
}

/** The smallest place on one line that shows a requirement: the pair, the expression, or its values. */
export function requirementSpan(written: WrittenObject | undefined, path: FieldPath): Span | undefined {
  const spans = written?.locate(path);
  if (spans === undefined) return undefined;
  if (isOneLine(spans.pair)) return spans.pair;
  for (const part of ['values', 'operator', 'key']) {
    const inner = written?.locate([...path, part]);
    if (inner !== undefined && isOneLine(inner.pair)) return inner.pair;
  }
  return written === undefined ? undefined : firstLine(written, spans.key ?? spans.value);
}

/** Whether a span lies on one line and is not empty. */
export function isOneLine(span: Span): boolean {
  return span.start.line === span.end.line && span.start.column < span.end.column;
}

/** The part of a span on its first line, without blanks at the end. */
export function firstLine(written: WrittenObject, span: Span): Span {
  if (isOneLine(span)) return span;
  const { line, column } = span.start;
  const end = written.text.line(line).trimEnd().length + 1;
  return { ...span, end: { line, column: Math.max(end, column + 1) } };
}

/** Edit distance; two letters in the wrong order count as one mistake. */
export function lettersApart(a: string, b: string): number {
  const edits = distance(a, b);
  return edits === 2 && a.length === b.length && sorted(a) === sorted(b) ? 1 : edits;
}

function sorted(text: string): string {
  return text.split('').sort().join('');
}
