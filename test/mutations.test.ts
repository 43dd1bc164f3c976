import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { evaluationMutations } from '../scripts/mutations/evaluation.ts';
import { loweringMutations } from '../scripts/mutations/lowering.ts';
import { rulesetMutations } from '../scripts/mutations/ruleset.ts';

const root = join(import.meta.dirname, '..');
const mutations = [...evaluationMutations, ...loweringMutations, ...rulesetMutations];

describe('planted mistakes', () => {
  test('have names of their own, and a row each in docs/mutations.md that says who noticed', () => {
    expect(new Set(mutations.map(({ name }) => name)).size).toBe(mutations.length);
    const rows = readFileSync(join(root, 'docs/mutations.md'), 'utf8').split('\n');
    const noticed = mutations.filter(({ name }) =>
      rows.some((row) => row.startsWith(`| ${name} | `) && / \| (generated flows|cases|unit tests) \|$/.test(row)),
    );
    expect(noticed.map(({ name }) => name)).toEqual(mutations.map(({ name }) => name));
  });

  // `npm run test:mutations` plants them; here only that they still fit the code.
  test.each(mutations)('fits $file: $name', ({ file, from, to }) => {
    expect(readFileSync(join(root, file), 'utf8').split(from)).toHaveLength(2);
    expect(to).not.toBe(from);
  });
});
