import * as fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import { anyOf, labelValues, namespaceNames, plainRecord, weighted } from './roster.ts';

type LabelTable = Readonly<Record<string, readonly string[]>>;

const namespaceLabelValues: LabelTable = {
  ...labelValues,
  'kubernetes.io/metadata.name': [...namespaceNames, 'ghost'],
};

/** Selectors that the API server refuses (semantics 81, 82, 88). */
const invalidSelectors: readonly unknown[] = [
  'app=web',
  [],
  { matchLabel: { app: 'web' } },
  { matchLabels: { app: 1 } },
  { matchLabels: { app: 'b c' } },
  { matchLabels: ['app'] },
  { matchLabels: { 'x.io/': 'a' } },
  { matchExpressions: [null] },
  { matchExpressions: { key: 'app', operator: 'Exists' } },
  { matchExpressions: [{ key: 'app', operator: 'In' }] },
  { matchExpressions: [{ key: 'app', operator: 'NotIn', values: [] }] },
  { matchExpressions: [{ key: 'app', operator: 'Exists', values: ['web'] }] },
  { matchExpressions: [{ key: 'app', operator: 'DoesNotExist', values: [null] }] },
  { matchExpressions: [{ key: 'app', operator: 'Gt', values: ['1'] }] },
  { matchExpressions: [{ key: 'app', operator: 'in', values: ['web'] }] },
  { matchExpressions: [{ key: 'app', operator: 'NotIn', values: ['x'.repeat(64)] }] },
  { matchExpressions: [{ operator: 'DoesNotExist' }] },
  { matchExpressions: [{ key: 'app', operator: 'DoesNotExist', value: 'web' }] },
  { matchLabels: {}, matchExpressions: [], podSelector: {} },
];

/** A selector that is refused, of pods or namespaces. */
export const arbInvalidSelector: Arbitrary<unknown> = anyOf(...invalidSelectors);

/** A valid selector of pods. */
export const arbPodSelector: Arbitrary<unknown> = arbSelector(labelValues);

/** A valid selector of namespaces, by label or by name. */
export const arbNamespaceSelector: Arbitrary<unknown> = arbSelector(namespaceLabelValues);

function arbSelector(table: LabelTable): Arbitrary<unknown> {
  const arbMatchLabels = fc.oneof(...Object.entries(table).map(([key, values]) => arbLabel(key, values)));
  const arbExpressions = fc.array(
    fc.oneof(...Object.entries(table).map(([key, values]) => arbExpression(key, values))),
    { minLength: 1, maxLength: 2 },
  );
  return weighted<unknown>(
    [6, fc.constant({})],
    [8, arbMatchLabels.map((matchLabels) => ({ matchLabels }))],
    [8, arbExpressions.map((matchExpressions) => ({ matchExpressions }))],
    [3, plainRecord({ matchLabels: arbMatchLabels, matchExpressions: arbExpressions })],
    [1, anyOf<unknown>({ matchLabels: {}, matchExpressions: [] }, { matchLabels: null, matchExpressions: null })],
    [1, plainRecord({ matchLabels: fc.constant({ app: null }), matchExpressions: anyOf<unknown>(null, []) })],
  );
}

function arbLabel(key: string, values: readonly string[]): Arbitrary<object> {
  return anyOf(...values).map((value) => ({ [key]: value }));
}

function arbExpression(key: string, values: readonly string[]): Arbitrary<object> {
  const arbValues = fc.subarray([...values, 'other'], { minLength: 1 });
  return weighted<object>(
    [3, arbValues.map((listed) => ({ key, operator: 'In', values: listed }))],
    [3, arbValues.map((listed) => ({ key, operator: 'NotIn', values: listed }))],
    [2, anyOf({ key, operator: 'Exists' }, { key, operator: 'DoesNotExist' })],
    [1, anyOf({ key, operator: 'Exists', values: null }, { key, operator: 'DoesNotExist', values: [] })],
  );
}
