import { describe, expect, test } from 'vitest';

import { formatFieldPath } from '../source-ref.ts';
import { Findings } from './findings.ts';
import { decodeLabelSelector } from './label-selector.ts';

function decode(raw: unknown) {
  const findings = new Findings({ kind: 'cluster', resourceVersion: '1' }, 'NetworkPolicy x/p');
  const selector = decodeLabelSelector(raw, [], 'This peer matches nothing.', findings);
  const found = findings.list().map(({ code, path }) => `${code} ${formatFieldPath(path ?? [])}`);
  return { selector, found };
}

const expression = (entry: unknown) => decode({ matchExpressions: [entry] });

describe('matchLabels', () => {
  test.for([{}, { matchLabels: null }, { matchLabels: {} }, { matchExpressions: null }, { matchExpressions: [] }])(
    '%j has no condition',
    (raw) => {
      expect(decode(raw)).toEqual({ selector: { requirements: [], canonical: '' }, found: [] });
    },
  );

  test.each([
    ['web', 'web'],
    ['', ''],
    [null, ''],
  ])('value %j needs the key with value %j', (value, expected) => {
    const { selector, found } = decode({ matchLabels: { app: value } });
    expect(selector?.requirements).toEqual([
      { key: 'app', operator: 'In', values: [expected], origin: { kind: 'matchLabels', key: 'app' } },
    ]);
    expect(found).toEqual([]);
  });

  test.for([1, true, {}, [], 'b c', '-a', 'a-', 'ä', 'a'.repeat(64)])('value %j is refused', (value) => {
    expect(decode({ matchLabels: { ok: 'x', app: value } })).toEqual({
      selector: undefined,
      found: ['D114 matchLabels.app'],
    });
  });

  test.for(['', 'b c', '-a', 'a/', '/a', 'a/b/c', 'A.b/c', 'a_b/c', 'a'.repeat(64), `${'a'.repeat(254)}/b`])(
    'key %j is refused',
    (key) => {
      const { selector, found } = decode({ matchLabels: { [key]: 'x' } });
      expect(selector).toBeUndefined();
      expect(found[0]).toMatch(/^D113 /);
    },
  );

  test.for(['a', 'A', '1', 'a.b_c-d', 'a'.repeat(63), 'example.com/a', 'x/Y', `${'a'.repeat(253)}/b`])(
    'key %j is fine',
    (key) => {
      expect(decode({ matchLabels: { [key]: 'x' } }).found).toEqual([]);
    },
  );

  test('the key __proto__ is refused like any malformed key, and does not touch a prototype', () => {
    const { selector, found } = decode(JSON.parse('{"matchLabels": {"__proto__": "x"}}'));
    expect(selector).toBeUndefined();
    expect(found).toEqual(['D113 matchLabels["__proto__"]']);
  });
});

describe('matchExpressions', () => {
  const listing = ['In', 'NotIn'];
  const bare = ['Exists', 'DoesNotExist'];
  const origin = { kind: 'matchExpressions', index: 0 };

  test.for(listing)('%s lists its values sorted and once', (operator) => {
    expect(expression({ key: 'a', operator, values: ['y', 'x', 'y', ''] })).toMatchObject({
      selector: { requirements: [{ key: 'a', operator, values: ['', 'x', 'y'], origin }] },
      found: [],
    });
  });

  test.each(
    listing.flatMap((operator) => [
      [operator, {}] as const,
      [operator, { values: null }] as const,
      [operator, { values: [] }] as const,
    ]),
  )('%s with %j is refused: it needs a value', (operator, values) => {
    expect(expression({ key: 'a', operator, ...values })).toEqual({
      selector: undefined,
      found: ['D112 matchExpressions[0].values'],
    });
  });

  test.each(
    bare.flatMap((operator) => [
      [operator, {}] as const,
      [operator, { values: null }] as const,
      [operator, { values: [] }] as const,
    ]),
  )('%s with %j asks for presence only', (operator, values) => {
    expect(expression({ key: 'a', operator, ...values })).toMatchObject({
      selector: { requirements: [{ key: 'a', operator, values: [], origin }] },
      found: [],
    });
  });

  test.each(
    bare.flatMap((operator) => [[operator, ['x']] as const, [operator, ['']] as const, [operator, [null]] as const]),
  )('%s with values %j is refused', (operator, values) => {
    expect(expression({ key: 'a', operator, values })).toEqual({
      selector: undefined,
      found: ['D112 matchExpressions[0].values'],
    });
  });

  test.for([undefined, null, '', 'in', 'IN', 'Gt', 'Lt', 'Equals', 1])('operator %j is refused', (operator) => {
    expect(expression({ key: 'a', operator, values: ['x'] })).toEqual({
      selector: undefined,
      found: ['D112 matchExpressions[0].operator'],
    });
  });

  test.each([
    ['null', null, 'D102 matchExpressions[0]'],
    ['a text', 'a in (b)', 'D102 matchExpressions[0]'],
    ['no key', { operator: 'Exists' }, 'D113 matchExpressions[0].key'],
    ['a number as key', { key: 1, operator: 'Exists' }, 'D102 matchExpressions[0].key'],
    ['values that are no list', { key: 'a', operator: 'In', values: 'x' }, 'D102 matchExpressions[0].values'],
    ['a number as value', { key: 'a', operator: 'In', values: ['x', 1] }, 'D114 matchExpressions[0].values[1]'],
    ['a malformed value', { key: 'a', operator: 'NotIn', values: ['b c'] }, 'D114 matchExpressions[0].values[0]'],
    ['an unknown field', { key: 'a', operator: 'In', value: ['x'], values: ['x'] }, 'D101 matchExpressions[0].value'],
  ])('%s is refused', (_, entry, expected) => {
    expect(expression(entry)).toEqual({ selector: undefined, found: [expected] });
  });

  test('one invalid expression makes the selector invalid: dropping it would match more', () => {
    const valid = { key: 'a', operator: 'Exists' };
    expect(decode({ matchExpressions: [valid, { key: 'b', operator: 'In' }] }).selector).toBeUndefined();
    expect(decode({ matchExpressions: [valid, valid] }).selector?.requirements).toHaveLength(2);
  });
});

test.for(['web', 1, true, [], [{}]])('%j is no selector', (raw) => {
  expect(decode(raw)).toMatchObject({ selector: undefined, found: [expect.stringMatching(/^D102/)] });
});

test('a label and an In with one value have the same canonical text', () => {
  const label = decode({ matchLabels: { a: 'b' } }).selector;
  const listed = decode({ matchExpressions: [{ key: 'a', operator: 'In', values: ['b', 'b'] }] }).selector;
  expect(label?.canonical).toBe(listed?.canonical);
});
