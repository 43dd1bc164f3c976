import { expect, test } from 'vitest';

import { hasColour } from './has-colour.ts';

test.each([
  { env: {}, is: true },
  { env: { NO_COLOR: '' }, is: true },
  { env: { NO_COLOR: '1' }, is: false },
  { env: { TERM: 'dumb' }, is: false },
])('a terminal has colour with $env: $is', ({ env, is }) => {
  expect(hasColour({ stdout: { write: () => undefined, isTerminal: true }, env })).toBe(is);
  expect(hasColour({ stdout: { write: () => undefined, isTerminal: false }, env })).toBe(false);
});
