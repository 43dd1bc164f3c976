import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { runPolicy } from './support/run-policy.ts';

// The example that must always work, as a user would ask about it.

const world = { cwd: join(import.meta.dirname, '..') };
const explain = (from: string): Promise<{ code: number; stdout: string; stderr: string }> =>
  runPolicy(['explain', '-f', 'examples/01-database-api', from, 'default/database:5432'], world);

describe('examples/01-database-api', () => {
  test('denies web, and names policy, rule, file and line', async () => {
    const { code, stdout, stderr } = await explain('default/web');
    expect(code).toBe(1);
    expect(stdout).toMatch(/^DENIED\[E012\] {2}default\/web -> default\/database {2}TCP 5432/);
    expect(stdout).toContain('closest: default/database, rule 1');
    expect(stdout).toContain('examples/01-database-api/policy.yaml:17:15');
    expect(stdout).toContain('web has no label "app-component"');
    expect(stderr).toBe('');
  });

  test('allows api, by the same rule', async () => {
    const { code, stdout } = await explain('default/api');
    expect(code).toBe(0);
    expect(stdout).toContain('admitted by default/database, rule 1');
    expect(stdout).toContain('examples/01-database-api/policy.yaml:17:15');
  });

  test('meets its own expectations', async () => {
    const { code, stdout } = await runPolicy(['test', 'examples/01-database-api'], world);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '5 passed, 0 failed in 1 case\n' });
  });
});
