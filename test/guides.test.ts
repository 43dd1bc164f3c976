import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { agentOptionNames, agentOptions, variableOf } from '../src/agent/option-table.ts';
import { codeNames } from '../src/cli/code-names.ts';

const root = join(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const pages = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
];

describe('the guide of the agent', () => {
  const guide = read('docs/guides/agent.md');
  const rows = new Map(
    [...guide.matchAll(/^\| ((?:`\w+`(?:, )?)+) \| ([^|]*) \|/gm)].flatMap(([, names = '', initial = '']) =>
      [...names.matchAll(/`(\w+)`/g)].map(([, name = ''], at) => {
        const values = initial.split(', ');
        return [name, (values[at] ?? values[0] ?? '').replaceAll('`', '').trim()] as const;
      }),
    ),
  );
  // Where objects come from, and who this is, is told by the commands above the table.
  const told = ['node', 'manifests', 'kubeconfig', 'context'];

  test.each(agentOptionNames)('tells of %s, and of its default', (name) => {
    if (told.includes(name)) {
      expect(guide).toContain(`--${name} `);
      return;
    }
    const initial = agentOptions[name].default;
    expect(rows.has(name)).toBe(true);
    if (initial !== undefined) expect(rows.get(name)).toBe(initial);
  });

  test('names no variable that there is not', () => {
    const known = new Set([...agentOptionNames.map(variableOf), 'NFTPOLICY_CONFIG', 'NFTPOLICY_DEBUG']);
    const named = pages.flatMap((page) => [...read(page).matchAll(/\bNFTPOLICY_[A-Z_]+\b/g)].map(([name]) => name));
    expect(named.length).toBeGreaterThan(1);
    expect(named.filter((name) => !known.has(name))).toEqual([]);
  });
});

describe('every page', () => {
  test('links to files that there are', () => {
    const dead = pages.flatMap((page) =>
      [...read(page).matchAll(/\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)/g)].flatMap(([, target = '']) =>
        existsSync(join(root, dirname(page), target)) ? [] : [`${page}: ${target}`],
      ),
    );
    expect(dead).toEqual([]);
  });

  test('mentions no code that there is not', () => {
    const mentioned = pages.flatMap((page) =>
      [...read(page).matchAll(/\b([CDEIK]\d{3})\b/g)].map(([code]) => `${page}: ${code}`),
    );
    expect(mentioned.length).toBeGreaterThan(50);
    expect(mentioned.filter((text) => !codeNames.has(text.split(': ')[1] ?? ''))).toEqual([]);
  });
});
