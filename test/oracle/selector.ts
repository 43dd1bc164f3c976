import { field, isRecord, isRecordOf, items, text } from './raw.ts';

/** The labels of one object. `complete` is false for a namespace of which only the name is known. */
export interface LabelView {
  readonly known: ReadonlyMap<string, string>;
  readonly complete: boolean;
}

/** Whether the API server would accept this label selector (semantics 81, 82, 88). */
export function isValidSelector(selector: unknown): boolean {
  if (!isRecordOf(selector, ['matchLabels', 'matchExpressions'])) return false;
  const matchLabels = field(selector, 'matchLabels') ?? {};
  if (!isRecord(matchLabels)) return false;
  for (const [key, value] of Object.entries(matchLabels)) {
    if (!isLabelKey(key) || !isLabelValue(value ?? '')) return false;
  }
  const expressions = field(selector, 'matchExpressions') ?? [];
  return Array.isArray(expressions) && expressions.every(isValidExpression);
}

/** Whether the labels fulfil every condition of a valid selector (semantics 26-28). What cannot be known is not fulfilled. */
export function selectorMatches(selector: unknown, labels: LabelView): boolean {
  const matchLabels = Object.entries(field(selector, 'matchLabels') ?? {}) as [string, unknown][];
  return (
    matchLabels.every(([key, value]) => labels.known.get(key) === (value ?? '')) &&
    items(field(selector, 'matchExpressions')).every((expression) => expressionMatches(expression, labels))
  );
}

function expressionMatches(expression: unknown, labels: LabelView): boolean {
  const key = String(field(expression, 'key'));
  const actual = labels.known.get(key);
  if (actual === undefined && !labels.complete) return false;
  const listed = items(field(expression, 'values')).some((value) => (value ?? '') === actual);
  switch (field(expression, 'operator')) {
    case 'In':
      return actual !== undefined && listed;
    case 'NotIn':
      return actual === undefined || !listed;
    case 'Exists':
      return actual !== undefined;
    case 'DoesNotExist':
      return actual === undefined;
    default:
      throw new Error('an invalid expression is never matched');
  }
}

function isValidExpression(expression: unknown): boolean {
  if (!isRecordOf(expression, ['key', 'operator', 'values'])) return false;
  if (!isLabelKey(field(expression, 'key'))) return false;
  const values = field(expression, 'values') ?? [];
  if (!Array.isArray(values) || !values.every((value) => isLabelValue(value ?? ''))) return false;
  switch (field(expression, 'operator')) {
    case 'In':
    case 'NotIn':
      return values.length > 0;
    case 'Exists':
    case 'DoesNotExist':
      return values.length === 0;
    default:
      return false;
  }
}

function isLabelValue(value: unknown): boolean {
  return typeof value === 'string' && (value === '' || isLabelName(value));
}

/** `name` or `dns.prefix/name`. */
function isLabelKey(key: unknown): boolean {
  const parts = (text(key) ?? '').split('/');
  if (parts.length > 2 || !isLabelName(parts.at(-1) ?? '')) return false;
  const prefix = parts.length === 2 ? (parts[0] ?? '') : 'none';
  return prefix.length <= 253 && prefix.split('.').every((part) => /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(part));
}

function isLabelName(name: string): boolean {
  return name.length <= 63 && /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/.test(name);
}
