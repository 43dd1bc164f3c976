import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { objectTitle } from '../object-name.ts';
import { findCaseFolders, loadCase } from './fixture.ts';

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), `nftpolicy-${process.pid}-`));
});

afterEach(() => {
  rmSync(root, { recursive: true, force: true });
});

const cluster =
  'kind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: Pod, metadata: {name: a, namespace: x}}\n';

function makeCase(name: string, flows: string, file = 'flows.yaml'): string {
  const folder = join(root, name);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'cluster.yaml'), cluster);
  writeFileSync(join(folder, file), flows);
  return folder;
}

const flow = '{from: x/a, to: 10.0.0.1, port: 80, protocol: TCP, expect: deny, egress: allow, disputed: [loopback]}';

test('a case gives its objects and its questions', () => {
  const { objects, expectation, diagnostics } = loadCase(makeCase('a', `flows:\n- ${flow}\n`));
  expect(objects.map(({ object }) => objectTitle(object))).toEqual(['Pod x/a']);
  expect(expectation).toEqual({
    kind: 'flows',
    flows: [
      {
        from: 'x/a',
        to: '10.0.0.1',
        port: 80,
        protocol: 'TCP',
        expect: 'deny',
        egress: 'allow',
        disputed: ['loopback'],
      },
    ],
  });
  expect(diagnostics).toEqual([]);
});

test('steps give decoded objects with their place in the flows file', () => {
  const text =
    '{"steps": [{"flows": []},\n {"delete": [{"kind": "Pod", "namespace": "x", "name": "a"}],\n  "apply": [\n   {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "b"}, "spec": {"policyTypes": ["x"]}}],\n  "flows": []}]}';
  const folder = makeCase('a', text, 'flows.json');
  const { expectation, diagnostics } = loadCase(folder);
  if (expectation.kind !== 'steps') throw new Error('steps are expected');
  expect(expectation.steps).toHaveLength(2);
  expect(expectation.steps[1]!.delete).toEqual([{ kind: 'Pod', namespace: 'x', name: 'a' }]);
  expect(expectation.steps[1]!.apply.map(({ object }) => [objectTitle(object), object.source])).toEqual([
    [
      'NetworkPolicy default/b',
      { kind: 'file', file: join(folder, 'flows.json'), document: 0, item: 0, line: 4, column: 4 },
    ],
  ]);
  expect(diagnostics.map(({ span }) => [span?.start.line, span?.start.column])).toEqual([[4, 120]]);
});

test.each([
  ['an unknown key', `flows:\n- ${flow.replace('egress', 'outgress')}\n`, [2, 78]],
  ['a wrong verdict', 'flows:\n- {from: a/b, to: c/d, port: 1, protocol: TCP,\n   expect: maybe}\n', [3, 12]],
  ['a port that is text', 'flows:\n- {from: a/b, to: c/d, port: "1", protocol: TCP, expect: deny}\n', [2, 30]],
  ['a missing end', 'flows:\n- from: a/b\n  port: 1\n  protocol: TCP\n  expect: deny\n', [2, 3]],
  ['flows and steps together', 'flows: []\nsteps: []\n', [1, 8]],
  ['text that is no YAML', 'flows: [\n', [2, 1]],
])('%s is refused with its place', (_, text, place) => {
  const { expectation, diagnostics } = loadCase(makeCase('a', text));
  expect(expectation).toEqual({ kind: 'unusable' });
  expect(diagnostics[0]!.severity).toBe('error');
  expect([diagnostics[0]!.span?.start.line, diagnostics[0]!.span?.start.column]).toEqual(place);
});

test('a folder without its files says which are missing', () => {
  const { diagnostics, expectation } = loadCase(root);
  expect(expectation).toEqual({ kind: 'unusable' });
  expect(diagnostics.map(({ message }) => message).join()).toMatch(/no cluster\.yaml.*no flows\.yaml/);
});

test('case folders are found as given, or below', () => {
  const [b, a] = [makeCase('t/b', 'flows: []'), makeCase('t/a', '{"flows": []}', 'flows.json')];
  mkdirSync(join(root, 'empty'));
  const { folders, diagnostics } = findCaseFolders([b, join(root, 't'), join(root, 'empty'), join(root, 'none')]);
  expect(folders).toEqual([b, a, b]);
  expect(diagnostics.map(({ code }) => code)).toEqual(['I007', 'I001']);
});
