import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { caseTopics, loadCases } from './support/cases.ts';

const root = join(import.meta.dirname, '..');
const page = readFileSync(join(root, 'docs/semantics.md'), 'utf8');
const [text = '', facts = ''] = page.split('\n## The facts\n');
const numbers = [...facts.matchAll(/^(\d+)\. /gm)].map(([, number]) => Number(number));

/** All numbers of a list like `39, 40` or `84-90`. */
function expand(list: string): readonly number[] {
  return list.split(',').flatMap((part) => {
    const [first = 0, last = first] = part.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, i) => first + i);
  });
}

describe('docs/semantics.md', () => {
  test('numbers its facts from 1 to 90', () => {
    expect(numbers).toEqual(Array.from({ length: 90 }, (_, i) => i + 1));
  });

  test('holds every fact that the code cites', () => {
    const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', 'src', 'test'], {
      cwd: root,
      encoding: 'utf8',
    });
    const sources = files.split('\n').filter((name) => name.endsWith('.ts') && existsSync(join(root, name)));
    const cited = sources.flatMap((name) =>
      [...readFileSync(join(root, name), 'utf8').matchAll(/semantics (\d+(?:(?:-|, ?)\d+)*)/g)].flatMap(
        ([, list = '']) => expand(list),
      ),
    );
    expect(cited.length).toBeGreaterThan(100);
    expect(cited.filter((number) => !numbers.includes(number))).toEqual([]);
  });

  test('cites its own facts', () => {
    const cited = [...text.matchAll(/\[(\d[\d,\s-]*)\]/g)].flatMap(([, list = '']) => expand(list));
    expect(cited.length).toBeGreaterThan(40);
    expect(cited.filter((number) => !numbers.includes(number))).toEqual([]);
  });

  test('names cases, topics and files that exist', () => {
    const cases = new Set(loadCases().map((one) => one.case));
    const named = [...text.matchAll(/`((?:hand|e2e)\/[^`]+)`/g)].map(([, name = '']) => name);
    expect(named.length).toBeGreaterThan(50);
    expect(named.filter((name) => !cases.has(name))).toEqual([]);
    const topics = [...text.matchAll(/topics? `([^`]+)`(?: and `([^`]+)`)?/g)].flatMap(([, ...names]) => names);
    expect(topics.filter((name) => name !== undefined && !caseTopics().includes(name))).toEqual([]);
    const files = [...text.matchAll(/`((?:src|test)\/[^`]+)`/g)].map(([, name = '']) => name);
    expect(files.filter((name) => !existsSync(join(root, name)))).toEqual([]);
  });

  test('explains every name that a case disputes', () => {
    const disputed = new Set(
      loadCases().flatMap(({ flows = [], steps = [] }) =>
        [...flows, ...steps.flatMap((step) => step.flows)].flatMap((flow) => flow.disputed ?? []),
      ),
    );
    expect(disputed.size).toBeGreaterThan(3);
    expect([...disputed].filter((name) => !text.includes(`| \`${name}\` |`))).toEqual([]);
  });
});
