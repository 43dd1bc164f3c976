import type { RawObject } from './question.ts';

/** Whether `value` is a JSON object: no list, no null. */
export function isRecord(value: unknown): value is RawObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An own field of an object. A field that is missing or null is `undefined`: the API knows no difference. */
export function field(value: unknown, name: string): unknown {
  if (!isRecord(value) || !Object.hasOwn(value, name)) return undefined;
  return value[name] ?? undefined;
}

/** The items of a list; none if `value` is no list. */
export function items(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? (value as readonly unknown[]) : [];
}

/** A string, or `undefined`. */
export function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

/** Whether `value` is an object with no other fields than these. */
export function isRecordOf(value: unknown, fields: readonly string[]): value is RawObject {
  return isRecord(value) && Object.keys(value).every((name) => fields.includes(name));
}

/** Labels as the API stores them: a null value is an empty one (semantics 72). */
export function labelsOf(object: unknown): Map<string, string> {
  const labels = field(field(object, 'metadata'), 'labels');
  if (!isRecord(labels)) return new Map();
  return new Map(Object.entries(labels).map(([key, value]) => [key, text(value) ?? '']));
}
