import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, test } from 'vitest';

/** What each folder may import besides itself. Imports point down only; ARCHITECTURE.md says why. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  'packages/nftables-json': [],
  'src/model': [],
  'src/selector': ['src/model'],
  'src/source': ['src/model'],
  'src/host': ['src/model', 'packages/nftables-json'],
  'src/compiler': ['src/model', 'src/selector', 'packages/nftables-json'],
  'src/enforcer': ['src/model', 'src/compiler', 'src/host', 'packages/nftables-json'],
  'src/explain': ['src/model', 'src/selector', 'src/compiler'],
  'src/lint': ['src/model', 'src/selector', 'src/compiler'],
  'src/controller': ['src/model', 'src/source', 'src/selector', 'src/compiler', 'src/enforcer', 'src/host'],
  'src/report': ['src/model', 'src/compiler', 'src/explain', 'src/lint', 'src/controller', 'src/source'],
  'src/agent': [
    'src/model',
    'src/source',
    'src/selector',
    'src/compiler',
    'src/enforcer',
    'src/host',
    'src/explain',
    'src/controller',
    'packages/nftables-json',
  ],
  'src/cli': [
    'src/model',
    'src/source',
    'src/selector',
    'src/compiler',
    'src/enforcer',
    'src/host',
    'src/explain',
    'src/lint',
    'src/controller',
    'src/report',
    'src/agent',
    'packages/nftables-json',
  ],
};

/** Packages that exactly one folder, or one file, may import. */
const wrapped: Readonly<Record<string, string>> = {
  'ipaddr.js': 'src/model/ip.ts',
  '@kubernetes/client-node': 'src/source/kubernetes/',
  commander: 'src/cli/',
  yaml: 'src/source/manifests/',
  pino: 'src/agent/',
  'prom-client': 'src/agent/',
};

const root = join(import.meta.dirname, '..');
const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', 'src', 'packages'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => file.endsWith('.ts'));

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

const imports = files.flatMap(readImports);

function readImports(file: string): Import[] {
  const text = readFileSync(join(root, file), 'utf8');
  const pattern =
    /^\s*(?:import|export)\s+(type\s)?[^'"]*?from\s+'([^']+)'|\bimport\('([^']+)'\)|^\s*import\s+'([^']+)'/gm;
  return [...text.matchAll(pattern)].map((match) => {
    const target = match[2] ?? match[3] ?? match[4] ?? '';
    const to = target.startsWith('.') ? normalize(join(dirname(file), target)) : target;
    return { from: file, to, typeOnly: match[1] !== undefined };
  });
}

function folderOf(file: string): string {
  return file.split('/').slice(0, 2).join('/');
}

const isTest = (file: string): boolean =>
  /\.(?:test|contract)\.ts$/.test(file) || /sample-facts|\/testing\//.test(file);

describe('the layers', () => {
  test('this check saw the files that git lists', () => {
    expect(files.length).toBeGreaterThan(50);
    expect(imports.length).toBeGreaterThan(files.length);
  });

  test('every folder has a place in the table', () => {
    const folders = [...new Set(files.map(folderOf))];
    expect(folders.filter((folder) => allowed[folder] === undefined)).toEqual([]);
  });

  test('imports point down only', () => {
    const forbidden = imports
      .filter(
        ({ from, to }) =>
          !isTest(from) && (to.startsWith('src/') || to.startsWith('packages/') || to === 'nftables-json'),
      )
      .filter(({ from, to }) => {
        const target = to === 'nftables-json' ? 'packages/nftables-json' : folderOf(to);
        return target !== folderOf(from) && allowed[folderOf(from)]?.includes(target) !== true;
      });
    expect(forbidden).toEqual([]);
  });

  test('a relative import stays inside src or its own package', () => {
    const escaping = imports.filter(
      ({ from, to }) => !isTest(from) && to.includes('/') && to.startsWith('..') && relative('.', to).startsWith('..'),
    );
    expect(escaping).toEqual([]);
  });

  test('wrapped packages have one importer', () => {
    const leaks = imports.filter(({ from, to, typeOnly }) => {
      const place = Object.entries(wrapped).find(([name]) => to === name || to.startsWith(`${name}/`))?.[1];
      return place !== undefined && !typeOnly && !isTest(from) && !from.startsWith(place);
    });
    expect(leaks).toEqual([]);
  });

  test('there is no cycle between files', () => {
    const edges = new Map<string, string[]>();
    for (const { from, to, typeOnly } of imports) {
      if (!typeOnly && files.includes(to)) edges.set(from, [...(edges.get(from) ?? []), to]);
    }
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (file: string, trail: readonly string[]): void => {
      if (trail.includes(file)) {
        cycles.push([...trail.slice(trail.indexOf(file)), file].join(' -> '));
        return;
      }
      if (done.has(file)) return;
      for (const next of edges.get(file) ?? []) visit(next, [...trail, file]);
      done.add(file);
    };
    for (const file of edges.keys()) visit(file, []);
    expect(cycles).toEqual([]);
  });
});

describe('habits that keep the rooms small', () => {
  test('no source file passes 400 lines', () => {
    const large = files
      .filter((file) => !isTest(file))
      .map((file) => ({ file, lines: readFileSync(join(root, file), 'utf8').split('\n').length }))
      .filter(({ lines }) => lines > 400);
    expect(large).toEqual([]);
  });

  test('there are no grab-bag folders', () => {
    expect(files.filter((file) => /\/(?:utils?|helpers?|common|types|lib)\//.test(file))).toEqual([]);
  });
});
