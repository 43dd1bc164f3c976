import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { objectTitle } from '../object-name.ts';
import { loadManifests, stdinName } from './files.ts';
import type { LoadedManifests } from './files.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), `nftpolicy-${process.pid}-`));
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

const write = (name: string, text: string): string => {
  const path = join(root, name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, text);
  return path;
};
const pod = (name: string, extra = ''): string => `apiVersion: v1\nkind: Pod\nmetadata:\n  name: ${name}\n${extra}`;
const titles = ({ objects }: LoadedManifests): readonly string[] => objects.map(({ object }) => objectTitle(object));

test('a directory gives its manifests sorted by name, not those below it', () => {
  write('b.yaml', pod('b'));
  write('a.yml', pod('a'));
  write('c.json', '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "c"}}');
  write('d.txt', pod('d'));
  write('sub/e.yaml', pod('e'));
  const flat = loadManifests({ paths: [root] });
  expect(titles(flat)).toEqual(['Pod default/a', 'Pod default/b', 'Pod default/c']);
  expect(flat.files.map(({ file }) => file)).toEqual(['a.yml', 'b.yaml', 'c.json'].map((name) => join(root, name)));
  expect(titles(loadManifests({ paths: [root], recursive: true }))).toContain('Pod default/e');
});

test('the expectations beside the objects of a folder are no object', () => {
  write('a.yaml', pod('a'));
  const flows = write('flows.yaml', 'flows: []\n');
  expect(loadManifests({ paths: [root] }).diagnostics).toEqual([]);
  expect(loadManifests({ paths: [flows] }).diagnostics).not.toEqual([]);
});

test('a file is read whatever its name, and once however often it is reached', () => {
  const path = write('manifest.txt', pod('a'));
  symlinkSync(path, join(root, 'link.yaml'));
  const loaded = loadManifests({ paths: [path, path, root] });
  expect(titles(loaded)).toEqual(['Pod default/a']);
  expect(loaded.diagnostics).toEqual([]);
});

test('"-" stands for standard input', () => {
  const loaded = loadManifests({ paths: ['-'], stdin: pod('a') });
  expect(titles(loaded)).toEqual(['Pod default/a']);
  expect(loaded.objects[0]!.document.source.file).toBe(stdinName);
  expect(loadManifests({ paths: ['-'] }).diagnostics).toMatchObject([{ code: 'I001', severity: 'error' }]);
});

test('what cannot be read is reported and hides nothing', () => {
  const path = write('a.yaml', pod('a'));
  const binary = join(root, 'b.yaml');
  writeFileSync(binary, Buffer.from([0x61, 0xff, 0xfe]));
  symlinkSync(join(root, 'nowhere'), join(root, 'c.yaml'));
  const loaded = loadManifests({ paths: [join(root, 'missing'), path, binary, root] });
  expect(titles(loaded)).toEqual(['Pod default/a']);
  expect(loaded.diagnostics.map(({ code }) => code)).toEqual(['I001', 'I001', 'I001']);
  expect(loaded.diagnostics.map(({ message }) => message).join('\n')).toMatch(
    /missing: there is no such file[^]*c\.yaml: there is no such file[^]*UTF-8/,
  );
});

test('of two objects with one name the later counts, and both places are named', () => {
  const first = write('a.yaml', `${pod('x')}---\n${pod('same')}`);
  const second = write('b.yaml', pod('same', '  labels: {a: b}\n'));
  const { objects, diagnostics } = loadManifests({ paths: [root] });
  expect(objects.map(({ object }) => object.source)).toMatchObject([{ file: first }, { file: second }]);
  expect(diagnostics).toMatchObject([
    { code: 'I005', severity: 'warning', span: { file: second, start: { line: 4, column: 9 } } },
  ]);
  expect(diagnostics[0]!.message).toContain(`${first}:6:1`);
  expect(diagnostics[0]!.message).toContain(`${second}:1:1`);
});

test('objects of other kinds are kept as written', () => {
  write(
    'a.yaml',
    `${pod('a')}---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {replicas: 2}\n`,
  );
  const { others } = loadManifests({ paths: [root] });
  expect(others.map(({ raw }) => raw)).toEqual([
    { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'web' }, spec: { replicas: 2 } },
  ]);
  expect(others[0]!.locate(['spec', 'replicas'])?.value).toMatchObject({ start: { line: 9, column: 18 } });
});

test('what the decoder finds carries the place of the field', () => {
  const path = write(
    'a.yaml',
    'apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p}\nspec:\n  podSelector: {}\n  ingress:\n    - from:\n        - ipBlock:\n            cidr: 10.0.0.0/99\n      form: []\n',
  );
  const { diagnostics, objects } = loadManifests({ paths: [path] });
  const places = diagnostics.map(({ span }) => [span?.file, span?.start.line, span?.start.column, span?.end.column]);
  expect(places).toContainEqual([path, 9, 19, 30]);
  expect(places).toContainEqual([path, 10, 13, 15]);
  expect(objects[0]!.clean).toBe(false);
});

test('a document that is no object is refused with its place', () => {
  const path = write('a.yaml', `${pod('a')}---\n- x\n---\nname: y\n`);
  const { diagnostics, others } = loadManifests({ paths: [path] });
  expect(diagnostics.map(({ severity, span }) => [severity, span?.start.line])).toEqual([
    ['error', 6],
    ['error', 8],
  ]);
  expect(others).toEqual([]);
});
