import { expect, test } from 'vitest';

import { suggest } from './suggest.ts';

const rule = ['from', 'ports'];

test.each([
  ['form', rule, 'from'],
  ['From', rule, 'from'],
  ['port', rule, 'ports'],
  ['matchLabel', ['matchLabels', 'matchExpressions'], 'matchLabels'],
  ['matchlabels', ['matchLabels', 'matchExpressions'], 'matchLabels'],
  ['in', ['In', 'NotIn'], 'In'],
  ['x', ['to', 'ports'], undefined],
  ['namespaceSelector', rule, undefined],
  ['f'.repeat(1 << 20), rule, undefined],
])('%.20s: did you mean ...', (text, known, word) => {
  expect(suggest(text, known)).toBe(word);
});
