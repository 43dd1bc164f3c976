import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { runPolicy } from './support/run-policy.ts';
import { applyEdits } from './support/apply-edits.ts';
import type { Edit } from './support/apply-edits.ts';

const root = join(import.meta.dirname, 'fixtures/broken');
const scratch = mkdtempSync(join(tmpdir(), 'nftpolicy-broken-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

interface Setup {
  readonly name: string;
  readonly folder: string;
  readonly args: readonly string[];
  readonly want: 'allow' | 'deny';
  /** What a reader must find in the output. */
  readonly fix: string;
}

const setups = readdirSync(root).map((name): Setup => {
  const folder = join(root, name);
  const [question = '', want = ''] = readFileSync(join(folder, 'question.txt'), 'utf8').split('\n');
  const readme = readFileSync(join(folder, 'README.md'), 'utf8');
  const fix = /^fix: (.+)$/m.exec(readme)?.[1] ?? '';
  return { name, folder, args: question.split(' '), want: want === 'want: deny' ? 'deny' : 'allow', fix };
});

const files = ['-f', 'policies.yaml', '-f', 'cluster.yaml'];

describe('broken setups', () => {
  test('there are at least twenty, and each says its fix', () => {
    expect(setups.length).toBeGreaterThanOrEqual(20);
    expect(setups.filter(({ fix }) => fix === '')).toEqual([]);
  });

  test.each(setups)(
    '$name is not as wanted, and the output says how to fix it',
    async ({ folder, args, want, fix }) => {
      const result = await runPolicy(['explain', ...files, ...args], { cwd: folder });
      const golden = join(folder, 'expected.txt');
      if (process.env['UPDATE_GOLDENS'] !== undefined) writeFileSync(golden, result.stdout);
      expect(result.stdout).toBe(readFileSync(golden, 'utf8'));
      expect(result.stdout).toContain(fix);
      const asked = await runPolicy(['explain', ...files, ...args, '-q', '--expect', want], { cwd: folder });
      expect(asked.code).not.toBe(0);
      expect(asked.stdout).toBe('');
    },
  );

  test.each(setups)('$name is as wanted once the fix is made', async ({ name, folder, args, want }) => {
    if (existsSync(join(folder, 'fixed.yaml'))) {
      const fixed = await runPolicy(['explain', ...files, '--what-if', 'fixed.yaml', ...args, '--expect', want], {
        cwd: folder,
      });
      expect(fixed.code).toBe(0);
      return;
    }
    const json = await runPolicy(['explain', ...files, ...args, '-o', 'json'], { cwd: folder });
    const { suggestions } = JSON.parse(json.stdout) as { suggestions: readonly { readonly edits: readonly Edit[] }[] };
    const edits = suggestions.flatMap((suggestion) => suggestion.edits);
    expect(edits.length).toBeGreaterThan(0);
    const path = join(scratch, `${name}.yaml`);
    writeFileSync(path, applyEdits(readFileSync(join(folder, 'policies.yaml'), 'utf8'), edits));
    const fixed = await runPolicy(['explain', '-f', path, '-f', 'cluster.yaml', ...args, '--expect', want], {
      cwd: folder,
    });
    expect(fixed).toMatchObject({ code: 0, stderr: '' });
  });
});
