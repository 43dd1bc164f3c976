import { expect, test } from 'vitest';
import { elementKey, splitMember } from './element-key.ts';
import { concat, elem, meta, prefix, range } from './expr.ts';
import { accept } from './stmt.ts';

test.each([
  { element: '10.0.0.1', key: '10.0.0.1' },
  { element: 80, key: '80' },
  { element: prefix('fd00::', 64), key: 'fd00::/64' },
  { element: range(80, 90), key: '80-90' },
  { element: concat('vethA', prefix('10.0.0.0', 8), range(1, 2)), key: 'vethA . 10.0.0.0/8 . 1-2' },
  { element: elem('10.0.0.1', { timeout: 5, comment: 'x' }), key: '10.0.0.1' },
  { element: concat('vethA', meta('iifname')), key: undefined },
  { element: ['a', 'b'], key: undefined },
])('the key of $element is $key', ({ element, key }) => {
  expect(elementKey(element)).toBe(key);
});

test('a member is a key, or a key with its value', () => {
  expect(splitMember('10.0.0.1')).toEqual({ key: '10.0.0.1' });
  expect(splitMember(['10.0.0.1', accept()])).toEqual({ key: '10.0.0.1', value: { accept: null } });
});
