import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';

import { reasonCodes, reasonNames } from '../src/explain/codes.ts';
import type { ReasonCode } from '../src/explain/codes.ts';
import { runPolicy } from './support/run-policy.ts';

const directory = join(import.meta.dirname, '../docs/codes');
const scratch = mkdtempSync(join(tmpdir(), 'nftpolicy-codes-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

/** Reasons that only installed rules or a node's agent can give: manifests alone never do. */
const fromNodes: readonly ReasonCode[] = ['E070', 'E071'];
const fromManifests = reasonCodes.filter((code) => !fromNodes.includes(code));

const pageOf = (code: string): string => readFileSync(join(directory, `${code}.md`), 'utf8');

interface Example {
  readonly objects: string;
  readonly args: readonly string[];
  readonly output: string;
}

const block = /```console\n\$ policy (.*)\n([^]*?)```/;

function exampleOf(code: string): Example {
  const page = pageOf(code);
  const [, command = '', output = ''] = block.exec(page) ?? [];
  return { objects: /```yaml\n([^]*?)```/.exec(page)?.[1] ?? '', args: command.split(' '), output };
}

async function answer(code: string, extra: readonly string[] = []): Promise<{ code: number; stdout: string }> {
  const { objects, args } = exampleOf(code);
  writeFileSync(join(scratch, 'example.yaml'), objects);
  return runPolicy([...args, ...extra], { cwd: scratch });
}

describe('reasons', () => {
  test('each has a page, and there is no page without a reason', () => {
    const pages = readdirSync(directory).filter((name) => /^E\d+\.md$/.test(name));
    expect(pages.map((name) => name.slice(0, -'.md'.length)).sort()).toEqual([...reasonCodes].sort());
  });

  test.each(reasonCodes)('%s says what it means and what to do', (code) => {
    const page = pageOf(code);
    expect(page.split('\n')[0]).toBe(`# ${code}: ${reasonNames[code]}`);
    expect(page).toContain('\n## Example\n');
    expect(page).toContain('\n## What to do\n');
  });

  test.each(fromManifests)('the example of %s is what policy explain prints', async (code) => {
    const { stdout } = await answer(code);
    if (process.env['UPDATE_GOLDENS'] !== undefined) {
      const page = pageOf(code).replace(
        block,
        (_, command: string) => `\`\`\`console\n$ policy ${command}\n${stdout}\`\`\``,
      );
      writeFileSync(join(directory, `${code}.md`), page);
    }
    expect(stdout).not.toBe('');
    expect(exampleOf(code).output).toBe(stdout);
  });

  test.each(fromManifests)('the example of %s has that reason', async (code) => {
    const { stdout } = await answer(code, ['-o', 'json']);
    const text = (await answer(code)).stdout;
    const given =
      JSON.stringify(JSON.parse(stdout)).includes(`"code":"${code}"`) ||
      text.includes(`[${code}`) ||
      text.includes(`,${code}`);
    expect(given).toBe(true);
  });

  test.each(['E031', 'e031'])('--code %s prints the page', async (code) => {
    expect(await runPolicy(['explain', '--code', code], { cwd: scratch })).toEqual({
      code: 0,
      stdout: pageOf('E031'),
      stderr: '',
    });
  });

  test('--code refuses what is no code, and lists them', async () => {
    const result = await runPolicy(['explain', '--code', 'E999'], { cwd: scratch });
    expect(result.code).toBe(2);
    expect(result.stderr).toContain('E031');
  });
});
