import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { closedPodNames, codeNames, refusalNames } from '../src/cli/code-names.ts';
import { decodeDocuments } from '../src/source/manifests/decode-documents.ts';
import { parseManifests } from '../src/source/manifests/yaml.ts';
import { runPolicy } from './support/run-policy.ts';
import type { CommandResult } from './support/run-policy.ts';

const root = join(import.meta.dirname, '..');
const directory = join(root, 'docs/codes');
const pageOf = (code: string): string => readFileSync(join(directory, `${code}.md`), 'utf8');

let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'nftpolicy-codes-'));
});
afterAll(() => rmSync(scratch, { recursive: true }));

/** Every word of the source that looks like a code. */
function codesInSource(): readonly (readonly [code: string, file: string])[] {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.ts') && !name.endsWith('.test.ts'),
  );
  return files.flatMap((file) =>
    [...readFileSync(join(root, 'src', file), 'utf8').matchAll(/(?<![\w-])([A-Z]{1,2}\d{3})(?![\w-])/g)].map(
      ([, code = '']) => [code, file] as const,
    ),
  );
}

describe('docs/codes', () => {
  test('has a page for every code, and for nothing else', () => {
    const pages = readdirSync(directory).map((name) => name.slice(0, -'.md'.length));
    expect(pages.sort()).toEqual([...codeNames.keys()].sort());
  });

  test('every code that the source mentions is one of them', () => {
    const found = codesInSource();
    expect(found.length).toBeGreaterThan(100);
    expect(found.filter(([code]) => !codeNames.has(code))).toEqual([]);
  });

  test.each([...codeNames])('%s: title, example, effect or answer, and what to do', (code, name) => {
    const page = pageOf(code);
    expect(page.split('\n')[0]).toBe(`# ${code}: ${name}`);
    expect(page).toContain('\n## Example\n');
    expect(page).toMatch(/\n## (?:Fix|What to do)\n/);
    expect(page).not.toMatch(/\n## [^\n]+\n\n(?:## |$)/);
  });

  test.each([...codeNames.keys()])('policy explain --code %s prints the page', async (code) => {
    const printed = { code: 0, stdout: pageOf(code), stderr: '' };
    expect(await runPolicy(['explain', '--code', code], { cwd: scratch })).toEqual(printed);
    expect(await runPolicy(['explain', '--code', code.toLowerCase()], { cwd: scratch })).toEqual(printed);
  });

  test.each(Object.keys({ ...refusalNames, ...closedPodNames }))('%s says what it does to enforcement', (code) => {
    expect(pageOf(code)).toContain('\n## What it does to enforcement\n');
  });
});

describe('examples of policies', () => {
  const lintCodes = [...codeNames.keys()].filter((code) => code.startsWith('NP'));
  const policies = (code: string): readonly string[] =>
    [...pageOf(code).matchAll(/```yaml\n([^]*?)```/g)].map(([, text = '']) => text);
  const problems = (text: string): readonly string[] => {
    const { documents, diagnostics } = parseManifests(text, 'page.yaml');
    return [...diagnostics, ...decodeDocuments(documents).diagnostics].map(({ code }) => code);
  };

  test.each(lintCodes)('%s shows a policy that the API takes, and what to write instead', (code) => {
    const [bad = '', good = '', ...rest] = policies(code);
    expect(rest).toEqual([]);
    expect(good).not.toBe(bad);
    expect(problems(good)).toEqual([]);
    // The one that the API refuses, and the one whose rules are known to have no effect.
    if (!['NP105', 'NP207'].includes(code)) expect(problems(bad)).toEqual([]);
  });
});

const block = /```console\n\$ policy (.*)\n([^]*?)```/;

describe('examples about configuration and input', () => {
  const executed = [...codeNames.keys()].filter((code) => /^(?:C\d+|I00[1-57])$/.test(code));
  const yamlOf = (code: string, at: number): string =>
    [...pageOf(code).matchAll(/```yaml\n([^]*?)```/g)][at]?.[1] ?? '';
  const answer = async (code: string, yaml: string): Promise<CommandResult> => {
    writeFileSync(join(scratch, 'example.yaml'), yaml);
    const [, command = ''] = block.exec(pageOf(code)) ?? [];
    return await runPolicy(command.split(' '), { cwd: scratch });
  };

  let before: string;
  beforeAll(() => {
    before = process.cwd();
    process.chdir(scratch);
  });
  afterAll(() => process.chdir(before));

  test.each(executed)('%s is what the command prints', async (code) => {
    const { stderr } = await answer(code, yamlOf(code, 0));
    if (process.env['UPDATE_GOLDENS'] !== undefined) {
      const page = pageOf(code).replace(
        block,
        (_, command: string) => `\`\`\`console\n$ policy ${command}\n${stderr}\`\`\``,
      );
      writeFileSync(join(directory, `${code}.md`), page);
    }
    expect(stderr).toContain(`[${code}]: `);
    expect(block.exec(pageOf(code))?.[2]).toBe(stderr);
  });

  // A configuration that is right would start the agent; these need a file that is missing.
  const corrected = executed.filter((code) => /^I00[2-5]$/.test(code));

  test.each(corrected)('%s is gone once it is corrected', async (code) => {
    const { stderr } = await answer(code, yamlOf(code, 1));
    expect(yamlOf(code, 1)).not.toBe('');
    expect(stderr).not.toMatch(/\[[A-Z]\d{3}\]: /);
  });
});
