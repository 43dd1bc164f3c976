import { expect, test } from 'vitest';

import { compareVersions } from './resource-version.ts';

test.each([
  ['9', '10', -1],
  ['10', '9', 1],
  ['7', '7', 0],
  ['9007199254740993', '9007199254740992', 1],
  ['123456789012345678901234567890', '99', 1],
])('%s against %s', (a, b, sign) => {
  expect(Math.sign(compareVersions(a, b))).toBe(sign);
});

test('what is no number is neither older nor newer', () => {
  expect(compareVersions('abc', '5')).toBe(0);
  expect(compareVersions('', '5')).toBe(0);
});
