import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { runPolicy } from './support/run-policy.ts';

interface GoldenCase {
  readonly id: string;
  readonly args: readonly string[];
  readonly exit: number;
  readonly verdict: string;
  readonly codes: readonly string[];
  readonly stdout: string;
  readonly json?: string;
}

const root = join(import.meta.dirname, 'fixtures/explain');
const { cases, cwd } = JSON.parse(readFileSync(join(root, 'cases.json'), 'utf8')) as {
  readonly cwd: string;
  readonly cases: readonly GoldenCase[];
};
const shop = join(root, cwd);

describe('the golden questions', () => {
  test('there are some', () => expect(cases.length).toBeGreaterThanOrEqual(8));

  test.each(cases)('$id is answered byte for byte', async ({ args, exit, stdout }) => {
    const result = await runPolicy(args, { cwd: shop });
    expect(result).toEqual({ code: exit, stdout: readFileSync(join(root, stdout), 'utf8'), stderr: '' });
  });

  test.each(cases)('$id has the verdict and codes of the list in JSON', async ({ args, exit, verdict, codes }) => {
    const result = await runPolicy([...args, '-o', 'json'], { cwd: shop });
    expect(result.code).toBe(exit);
    expect(JSON.parse(result.stdout)).toMatchObject({ verdict, codes });
  });

  test.each(cases.filter(({ json }) => json !== undefined))(
    '$id prints its JSON byte for byte',
    async ({ args, json }) => {
      const result = await runPolicy([...args, '-o', 'json'], { cwd: shop });
      expect(result.stdout).toBe(readFileSync(join(root, json ?? ''), 'utf8'));
      expect(result.stderr).toBe('');
    },
  );
});
