import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from './main.ts';

const root = join(import.meta.dirname, '../..');
const example = join(root, 'examples/02-diff');
const [cluster, old, now] = ['cluster.yaml', 'old', 'new'].map((name) => join(example, name)) as [
  string,
  string,
  string,
];

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'flows-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

const policy = async (...argv: string[]): Promise<Answer> => await policyIn(root, argv);

interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

async function policyIn(cwd: string, argv: readonly string[]): Promise<Answer> {
  let [out, err] = ['', ''];
  const code = await run(argv, {
    stdout: { write: (text) => void (out += text), isTerminal: false },
    stderr: { write: (text) => void (err += text), isTerminal: false },
    env: {},
    cwd,
    readStdin: () => '',
    signal: new AbortController().signal,
  });
  return { code, out, err };
}

function file(name: string, text: string): string {
  const path = join(directory, name);
  writeFileSync(path, text);
  return path;
}

function validate(schema: string, text: string): unknown {
  const check = new Ajv2020({ strict: false }).compile(
    JSON.parse(readFileSync(join(root, 'schemas', schema), 'utf8')) as object,
  );
  check(JSON.parse(text));
  return check.errors;
}

describe('policy diff', () => {
  test.each([
    ['any', 1],
    ['opened', 1],
    ['closed', 1],
    ['never', 0],
  ])('exits by --fail-on %s with %i', async (failOn, code) => {
    expect((await policy('diff', '-f', cluster, old, now, '--fail-on', failOn)).code).toBe(code);
  });

  test('exits with 0 and says so if nothing changes', async () => {
    expect(await policy('diff', '-f', cluster, old, old)).toEqual({ code: 0, out: 'no flow changes\n', err: '' });
  });

  test('does not fail on opened if flows only close', async () => {
    const cache = file('cache.yaml', isolate('cache'));
    const none = file('none.yaml', isolate('nobody'));
    expect((await policy('diff', '-f', cluster, none, cache, '--fail-on', 'opened')).code).toBe(0);
    expect((await policy('diff', '-f', cluster, none, cache, '--fail-on', 'closed')).code).toBe(1);
  });

  test('tells that pods lose their isolation, even where no verdict changes', async () => {
    const open = file(
      'open.yaml',
      `${isolate('cache')}  egress: [{}]\n  ingress: [{}]\n  policyTypes: [Ingress, Egress]\n`,
    );
    const { code, out } = await policy('diff', '-f', cluster, open, file('gone.yaml', isolate('nobody')));
    expect(out).toContain('! shop/cache-0  egress is unprotected now; before, shop/p isolated it');
    expect(out).toContain('0 opened, 0 closed, 2 isolation changes');
    expect(code).toBe(1);
  });

  test('is trouble if an input cannot be read, and says nothing about the rest', async () => {
    const broken = file('broken.yaml', 'kind: [\n');
    const { code, out, err } = await policy('diff', '-f', cluster, old, broken);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain('some input cannot be read');
    expect((await policy('diff', '-f', cluster, old, join(directory, 'missing'))).code).toBe(2);
  });

  test('uses the pods of one state for both if the other holds none', async () => {
    const both = file(
      'both.yaml',
      `${readFileSync(cluster, 'utf8')}---\n${readFileSync(join(now, 'policies.yaml'), 'utf8')}`,
    );
    const given = await policy('diff', '-f', cluster, old, now);
    const lent = await policy('diff', join(old, 'policies.yaml'), both);
    expect(lent.out).toBe(given.out);
    expect(lent.err).toContain("note: OLD holds no Namespace, Node, Pod: the other's are used for both");
  });

  test('lists pods that are in one state only, and whether they are protected', async () => {
    const more = file(
      'more.yaml',
      `${isolate('nobody')}---\napiVersion: v1\nkind: Pod\nmetadata: {name: job, namespace: shop}\nspec: {containers: []}\nstatus: {phase: Running, podIP: 10.244.1.99}\n`,
    );
    const { out } = await policy('diff', '-f', cluster, file('less.yaml', isolate('nobody')), more);
    expect(out).toBe(
      'only in new: pods shop/job, unprotected ingress and egress\n\n0 opened, 0 closed, 0 isolation changes, 1 pod added\n',
    );
  });

  test('judges workloads by their templates, and says that addresses are unknown', async () => {
    const workload = file('workload.yaml', deployment);
    const wide = file('wide.yaml', isolate('web', '  ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}]\n'));
    const { out, err } = await policy('diff', '-f', workload, file('shut.yaml', isolate('web')), wide);
    expect(err).toContain('note: two pods each stand for the templates of shop/web; their addresses are unknown');
    expect(out).toMatch(/^\+ 10\.0\.0\.0\/8 -> shop\/web +all +newly allowed$/m);
    expect(out).toMatch(/^\+ shop\/web -> shop\/web +all +may pass now \(facts are missing\)$/m);
  });

  test('names some of many workloads, once for both states', async () => {
    const text = Array.from({ length: 9 }, (_, index) => deployment.replaceAll('web', `web-${index}`)).join('---\n');
    const many = file('many.yaml', text);
    const { err } = await policy(
      'diff',
      '-f',
      many,
      file('shut-0.yaml', isolate('web-0')),
      file('none.yaml', isolate('x')),
    );
    const names = Array.from({ length: 6 }, (_, index) => `shop/web-${index}`).join(', ');
    const note = `note: two pods each stand for the templates of ${names}, 3 more; their addresses are unknown\n`;
    expect(err.split('note: ')).toHaveLength(2);
    expect(err).toContain(note);
  });

  test('finds files from where it was started', async () => {
    const same = await policyIn(example, ['diff', '-f', 'cluster.yaml', 'old', 'old']);
    expect(same).toEqual({ code: 0, out: 'no flow changes\n', err: '' });
  });

  test('prints JSON by its schema', async () => {
    const { out } = await policy('diff', '-f', cluster, old, now, '-o', 'json');
    expect(validate('diff.json', out)).toBeNull();
    const { classes, flows } = JSON.parse(out) as {
      classes: { id: number; name: string }[];
      flows: { to: number[] }[];
    };
    expect(flows[0]!.to.map((id) => classes.find((one) => one.id === id)!.name)).toEqual(['shop/db-0']);
  });

  test('prints Markdown in which names cannot end a cell', async () => {
    const { out } = await policy('diff', '-f', cluster, old, now, '-o', 'markdown');
    expect(out).toContain('| monitoring/prometheus-0 | shop/db-0 | TCP 9187 | ingress before:');
    expect(out).toContain('<summary>No longer allowed: 2</summary>');
  });

  test('needs pods', async () => {
    expect((await policy('diff', join(old, 'policies.yaml'), join(now, 'policies.yaml'))).code).toBe(2);
  });
});

describe('policy map', () => {
  test('prints JSON by its schema', async () => {
    const { out } = await policy('map', '-f', cluster, '-f', now, '-o', 'json');
    expect(validate('map.json', out)).toBeNull();
  });

  test('becomes a list where a matrix is too wide', async () => {
    const pods = Array.from(
      { length: 21 },
      (_, i) =>
        `apiVersion: v1\nkind: Namespace\nmetadata: {name: n${i}}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: n${i}}\nspec: {containers: []}\nstatus: {phase: Running, podIP: 10.0.0.${i}}\n`,
    );
    const { out } = await policy('map', '-f', file('wide-map.yaml', pods.join('---\n')));
    expect(out).toContain('\nanyone -> every pod: all\nevery pod -> outside: all\n');
    expect(out).not.toContain('from \\ to');
  });

  test('shows only what was asked for', async () => {
    const { out } = await policy(
      'map',
      '-f',
      cluster,
      '-f',
      now,
      '--layout',
      'list',
      '--from',
      '198.51.100.7',
      '--to',
      'shop/web',
    );
    expect(out).toContain('198.51.100.0/23 and 198.51.102.0/24 -> shop/web: TCP 8080');
    expect(out.split('\n').filter((line) => line.includes('->'))).toHaveLength(1);
  });

  test('with a namespace shows flows from and to its pods', async () => {
    const { out } = await policy('map', '-f', cluster, '-f', now, '--layout', 'list', '-n', 'monitoring');
    expect(out.split('\n').filter((line) => line.includes('->'))).toEqual([
      'anyone -> monitoring/prometheus-0: all',
      'monitoring/prometheus-0 -> shop/db-0: TCP 9187',
      'monitoring/prometheus-0 -> nodes, anyone outside: all',
    ]);
  });

  test.each([
    ['--from', 'shop/nobody'],
    ['--to', 'node/none'],
    ['-n', 'void'],
  ])('refuses %s %s', async (flag, value) => {
    expect((await policy('map', '-f', cluster, flag, value)).code).toBe(2);
  });
});

/** A policy that isolates ingress of one app. */
function isolate(app: string, more = ''): string {
  return `apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: p, namespace: shop}\nspec:\n  podSelector: {matchLabels: {app: ${app}}}\n${more}`;
}

const deployment = `apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}]}
`;
