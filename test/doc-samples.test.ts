import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { docBlocks, docCommands, docPages, isAsShown, rewrite, root } from './support/doc-samples.ts';
import type { DocBlock } from './support/doc-samples.ts';
import { runPolicy } from './support/run-policy.ts';

const blocks = docPages().flatMap(docBlocks);
const titleOf = ({ page, line }: DocBlock): string => `${page}:${line}`;

/** What no test needs to produce, because it is no output of ours. */
const languages = ['sh', 'yaml', 'ts', 'json', 'text'];
/** How what we print looks, wherever it stands. */
const printed =
  /^(?:ALLOWED|DENIED|UNKNOWN|UNPROTECTED)\b|^installed[ :]|^missing facts:|^trace of|^ *closest: |^policies say |^ *differs on |^judged \d|^\d+ passed|^[!+-] .*(?:allowed|isolated)/;

/** Pages of codes, which need objects or facts that bring the code about, and the tests that have them. */
const ownTests: readonly (readonly [pages: RegExp, by: string])[] = [
  [/^docs\/codes\/E\d+\.md$/, 'test/explain-codes.test.ts'],
  [/^docs\/codes\/(?:C\d+|I00[1-57])\.md$/, 'test/codes.test.ts'],
  [/^docs\/codes\/(?:K\d+|I006|[a-z-]+)\.md$/, 'test/status-samples.test.ts'],
];
const hasOwnTest = ({ page }: DocBlock): boolean => ownTests.some(([pages]) => pages.test(page));

/** Commands that read manifests and touch nothing: no other is run because a page shows it. */
const harmless: readonly (string | undefined)[] = ['explain', 'test', 'diff', 'map'];

describe('what pages show', () => {
  test('is a sample, or nothing that we print', () => {
    const strays = blocks.filter(
      ({ language, body }) =>
        language !== 'console' && (!languages.includes(language) || body.some((line) => printed.test(line))),
    );
    expect(strays.map(titleOf)).toEqual([]);
  });

  const samples = blocks.filter(({ language }) => language === 'console');
  const here = samples.filter((block) => block.sample === undefined && !hasOwnTest(block));
  const elsewhere = samples.flatMap(({ page, sample }) => (sample === undefined ? [] : [{ page, ...sample }]));

  test('has samples of every kind', () => {
    expect(here.length).toBeGreaterThan(3);
    expect(elsewhere.length).toBeGreaterThan(3);
    expect(new Set(elsewhere.map(({ name }) => name)).size).toBe(elsewhere.length);
  });

  test.each(here.map((block) => ({ title: titleOf(block), block })))(
    '$title is what its commands print',
    async ({ block }) => {
      const lines: string[] = [];
      for (const { text: command, args, output } of docCommands(block)) {
        expect(harmless).toContain(args[0]);
        const { stdout, stderr } = await runPolicy(args, { cwd: root });
        expect(stderr).toBe('');
        const same = output.length === 0 || isAsShown(output, stdout);
        const text = stdout.replace(/\n$/, '').split('\n');
        lines.push(command, ...(same ? output : text));
        if (process.env['UPDATE_GOLDENS'] === undefined && !same) expect(text).toEqual(output);
      }
      if (process.env['UPDATE_GOLDENS'] !== undefined && !isAsShown(block.body, lines.join('\n')))
        rewrite(block, lines);
    },
  );

  test.each(ownTests)('pages %s have their test', (_pages, by) => {
    expect(existsSync(join(root, by))).toBe(true);
  });

  test.each(elsewhere)('sample $name of $page is produced by $by', ({ name, by }) => {
    expect(readFileSync(join(root, by), 'utf8')).toContain(`compareSample('${name}'`);
  });
});

describe('a line of dots', () => {
  const text = 'a\nb\nc\nd\n';
  test.each([
    [['a', 'b', 'c', 'd'], true],
    [['a', '...'], true],
    [['...', 'd'], true],
    [['a', '...', 'c', 'd'], true],
    [['a', '...', 'b', '...', 'd'], true],
    [['...'], true],
    [['a', 'b', 'c'], false],
    [['b', '...'], false],
    [['...', 'c'], false],
    [['a', '...', 'c', '...', 'b', '...'], false],
    [['a', 'b', '...', 'b', 'c', 'd'], false],
  ])('%j: %s', (shown, same) => expect(isAsShown(shown, text)).toBe(same));
});
