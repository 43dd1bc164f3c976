import { mkdtempSync } from 'node:fs';
import { mkdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { policyKey } from '../model/names.ts';
import { DirectorySource } from './directory.ts';
import { describeSource } from './source.contract.ts';
import type { RawManifest } from './source.contract.ts';
import { Store } from './store.ts';
import type { Change } from './store.ts';

const fast = { settleMs: 20, rescanMs: 200, retryMs: 20 };

function fileOf(directory: string, { kind, metadata }: RawManifest): string {
  return join(directory, `${kind}-${metadata.namespace ?? ''}-${metadata.name}.json`);
}

describeSource('DirectorySource', async (initial) => {
  const root = mkdtempSync(join(tmpdir(), `nftpolicy-${process.pid}-`));
  const directory = join(root, 'manifests');
  await mkdir(directory);
  const apply = async (objects: readonly RawManifest[]): Promise<void> => {
    for (const object of objects) await writeFile(fileOf(directory, object), JSON.stringify(object));
  };
  await apply(initial);
  return {
    source: new DirectorySource(directory, fast),
    apply,
    delete: async (objects) => {
      for (const object of objects) await rm(fileOf(directory, object));
    },
    corrupt: (object) => writeFile(fileOf(directory, object), '{"kind": "NetworkPolicy", "metadata":'),
    fail: () => rename(directory, `${directory}.away`),
    recover: () => rename(`${directory}.away`, directory),
    close: () => rm(root, { recursive: true, force: true }),
  };
});

describe('a watched directory', () => {
  let root: string;
  let directory: string;
  let store: Store;
  let abort: AbortController;
  let running: Promise<void>;
  let changes: string[];
  let source: DirectorySource;

  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), `nftpolicy-${process.pid}-`));
    directory = join(root, 'd');
    await mkdir(directory);
    store = new Store();
    changes = [];
    abort = new AbortController();
  });

  afterEach(async () => {
    abort.abort();
    await running;
    await rm(root, { recursive: true, force: true });
  });

  const start = async (): Promise<void> => {
    source = new DirectorySource(directory, fast);
    running = source.run(store, abort.signal);
    await eventually(() => expect(store.inSync()).toBe(true));
    store.listen({ changed: (change) => changes.push(describeChange(change)) });
  };
  const write = (name: string, text: string): Promise<void> => writeFile(join(directory, name), text);
  const policies = (): readonly string[] => [...store.snapshot().policies.keys()].sort();
  const codes = (name: string): readonly string[] =>
    (store.diagnostics().get(join(directory, name)) ?? []).map(({ code }) => code);

  test('what cannot be read of a file may be policies: with rules in the kernel the start waits for it', async () => {
    await write('a.yaml', `${policy('a')}\n  podSelector: {\n`);
    await write('b.yaml', policy('b'));
    source = new DirectorySource(directory, { ...fast, awaitsAll: () => Promise.resolve(true) });
    running = source.run(store, abort.signal);
    await eventually(() => expect(source.health()[0]?.problem).toContain('a.yaml'));
    expect(codes('a.yaml')).toContain('I002');
    expect(codes('')).toEqual(['I001']);
    expect(store.inSync()).toBe(false);
    expect(policies()).toEqual([]);
    await write('a.yaml', policy('a'));
    await eventually(() => expect(store.inSync()).toBe(true));
    expect(policies()).toEqual(['default/a', 'default/b']);
    expect(codes('')).toEqual([]);
  });

  test('without rules in the kernel the start takes what can be read', async () => {
    await write('a.yaml', `${policy('a')}\n  podSelector: {\n`);
    await write('b.yaml', policy('b'));
    source = new DirectorySource(directory, { ...fast, awaitsAll: () => Promise.resolve(false) });
    running = source.run(store, abort.signal);
    await eventually(() => expect(store.inSync()).toBe(true));
    expect(policies()).toContain('default/b');
  });

  test('the start does not wait for pods that cannot be read: they are closed', async () => {
    await write('pod.yaml', 'apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {hostNetwork: 7}\n');
    source = new DirectorySource(directory, { ...fast, awaitsAll: () => Promise.resolve(true) });
    running = source.run(store, abort.signal);
    await eventually(() => expect(store.inSync()).toBe(true));
  });

  test('a file that no longer parses leaves its objects in force and is reported with its place', async () => {
    await write('a.yaml', policy('a'));
    await start();
    await write('a.yaml', `${policy('a')}\n  podSelector: {\n`);
    await eventually(() => expect(codes('a.yaml')).toContain('I002'));
    expect(policies()).toEqual(['default/a']);
    expect(changes).toEqual([]);
    const report = store.diagnostics().get(join(directory, 'a.yaml'))!;
    expect(report.map(({ code }) => code)).toEqual(['I002', 'I006']);
    expect(report[0]!.span?.file).toBe(join(directory, 'a.yaml'));
    expect(report[0]!.span?.start.line).toBeGreaterThanOrEqual(7);
    await write('a.yaml', policy('b'));
    await eventually(() => expect(policies()).toEqual(['default/b']));
    expect(codes('a.yaml')).toEqual([]);
  });

  test('one unusable object in a file keeps every object of that file as it was', async () => {
    await write('a.yaml', `${policy('a')}---\n${policy('b')}`);
    await start();
    await write('a.yaml', `${policy('b', 'Egress')}---\napiVersion: v1\nkind: Pod\nmetadata: {}\n`);
    await eventually(() => expect(codes('a.yaml')).toContain('I006'));
    expect(policies()).toEqual(['default/a', 'default/b']);
    expect(store.snapshot().policies.get(policyKey('default', 'b'))?.egress.isolates).toBe(false);
    expect(changes).toEqual([]);
  });

  test('a policy that is invalid from the start is enforced as far as it fails closed', async () => {
    await start();
    await write('a.yaml', policy('a', 'Sideways'));
    await eventually(() => expect(policies()).toEqual(['default/a']));
    expect(store.snapshot().policies.get(policyKey('default', 'a'))?.invalid).toBe(true);
    expect(codes('a.yaml').length).toBeGreaterThan(0);
    expect(codes('a.yaml')).not.toContain('I006');
  });

  test('an edit that makes a good policy invalid keeps the good one', async () => {
    await write('a.yaml', policy('a'));
    await start();
    await write('a.yaml', policy('a', 'Sideways'));
    await eventually(() => expect(codes('a.yaml')).toContain('I006'));
    expect(store.snapshot().policies.get(policyKey('default', 'a'))?.invalid).toBe(false);
    expect(changes).toEqual([]);
    await write('a.yaml', policy('a', 'Egress'));
    await eventually(() => expect(changes).toEqual(['~ NetworkPolicy/default/a']));
    expect(store.diagnostics().size).toBe(0);
  });

  test('a broken file that is new changes nothing while the source runs', async () => {
    await write('a.yaml', policy('a'));
    await start();
    await write('b.yaml', `${policy('b')}---\n: [\n`);
    await eventually(() => expect(codes('b.yaml')).toContain('I006'));
    expect(policies()).toEqual(['default/a']);
  });

  test('what can be read of a file that is broken at the start is in force', async () => {
    await write('a.yaml', `${policy('a')}---\nfoo: [\n---\n${policy('b')}`);
    await start();
    expect(policies()).toEqual(['default/a', 'default/b']);
    expect(codes('a.yaml')).toEqual(['I002']);
  });

  test('deleting a file removes its objects and its report', async () => {
    await write('a.yaml', policy('a', 'Sideways'));
    await write('b.yaml', policy('b'));
    await start();
    await rm(join(directory, 'a.yaml'));
    await eventually(() => expect(policies()).toEqual(['default/b']));
    expect(changes).toEqual(['- NetworkPolicy/default/a']);
    expect(store.diagnostics().size).toBe(0);
  });

  test('an object that moves between files is never gone', async () => {
    await write('a.yaml', `${policy('a')}---\n${policy('b')}`);
    await write('z.yaml', policy('z'));
    await start();
    await Promise.all([
      write('a.yaml', policy('a')),
      write('z.yaml', `${policy('z')}---\n${policy('b')}---\n${policy('c')}`),
    ]);
    await eventually(() => expect(changes).toContain('+ NetworkPolicy/default/c'));
    expect(changes).toEqual(['+ NetworkPolicy/default/c']);
  });

  test('of two files with one object the first by path counts, and the other is reported', async () => {
    await write('b.yaml', policy('a', 'Egress'));
    await start();
    await write('a.yaml', policy('a', 'Ingress'));
    await eventually(() => expect(codes('b.yaml')).toEqual(['I005']));
    expect(store.snapshot().policies.get(policyKey('default', 'a'))?.ingress.isolates).toBe(true);
    await rm(join(directory, 'a.yaml'));
    await eventually(() => expect(store.diagnostics().size).toBe(0));
    expect(store.snapshot().policies.get(policyKey('default', 'a'))?.egress.isolates).toBe(true);
    expect(changes).toEqual(['~ NetworkPolicy/default/a', '~ NetworkPolicy/default/a']);
  });

  test('copied manifests that share a uid stay two objects', async () => {
    const withUid = (name: string): string => policy(name).replace('metadata:\n', 'metadata:\n  uid: same\n');
    await write('a.yaml', withUid('a'));
    await write('b.yaml', withUid('b'));
    await start();
    expect(policies()).toEqual(['default/a', 'default/b']);
  });

  test('an object that is renamed under its uid does not vanish', async () => {
    const withUid = (name: string): string => policy(name).replace('metadata:\n', 'metadata:\n  uid: same\n');
    await write('a.yaml', withUid('a'));
    await start();
    await write('a.yaml', withUid('b'));
    await eventually(() => expect(policies()).toEqual(['default/b']));
  });

  test('a mounted ConfigMap that swaps its folder is one change', async () => {
    const fill = async (version: string, text: string): Promise<void> => {
      await mkdir(join(directory, `..${version}`));
      await writeFile(join(directory, `..${version}`, 'a.yaml'), text);
      await symlink(`..${version}`, join(directory, '..data_tmp'));
      await rename(join(directory, '..data_tmp'), join(directory, '..data'));
    };
    await fill('v1', policy('a'));
    await symlink('..data/a.yaml', join(directory, 'a.yaml'));
    await start();
    expect(policies()).toEqual(['default/a']);
    await fill('v2', policy('a', 'Egress'));
    await rm(join(directory, '..v1'), { recursive: true });
    await eventually(() => expect(changes).toEqual(['~ NetworkPolicy/default/a']));
    expect(store.diagnostics().size).toBe(0);
  });

  test('a link that leads nowhere keeps what it showed before', async () => {
    await writeFile(join(root, 'target.yaml'), policy('a'));
    await symlink(join(root, 'target.yaml'), join(directory, 'a.yaml'));
    await start();
    await rm(join(root, 'target.yaml'));
    await eventually(() => expect(codes('a.yaml')).toEqual(['I001', 'I006']));
    expect(policies()).toEqual(['default/a']);
  });

  test('names that begin with a dot and other endings are not read', async () => {
    await write('.hidden.yaml', policy('hidden'));
    await write('a.yaml.swp', policy('swap'));
    await write('a.yml', policy('a'));
    await start();
    expect(policies()).toEqual(['default/a']);
  });

  test('a directory that does not exist yet is waited for and reported', async () => {
    await rm(directory, { recursive: true });
    source = new DirectorySource(directory, fast);
    running = source.run(store, abort.signal);
    await eventually(() => expect(store.diagnostics().get(directory)?.[0]?.code).toBe('I001'));
    expect(store.inSync()).toBe(false);
    expect(source.health()[0]).toMatchObject({ state: 'backoff', synced: false });
    await mkdir(directory);
    await write('a.yaml', policy('a'));
    await eventually(() => expect(policies()).toEqual(['default/a']));
    expect(store.diagnostics().size).toBe(0);
    expect(source.health()[0]).toMatchObject({ state: 'watching', synced: true });
  });

  test('a directory that was replaced by another is followed', async () => {
    await write('a.yaml', policy('a'));
    await start();
    await rename(directory, `${directory}.old`);
    await mkdir(directory);
    await write('a.yaml', policy('a'));
    await write('b.yaml', policy('b'));
    await eventually(() => expect(policies()).toEqual(['default/a', 'default/b']));
    await write('c.yaml', policy('c'));
    await eventually(() => expect(policies()).toEqual(['default/a', 'default/b', 'default/c']));
  });

  test('a file that is not UTF-8 is reported and changes nothing', async () => {
    await write('a.yaml', policy('a'));
    await start();
    await writeFile(join(directory, 'a.yaml'), Buffer.from([0xff, 0xfe, 0x61, 0]));
    await eventually(() => expect(codes('a.yaml')).toEqual(['I001', 'I006']));
    expect(policies()).toEqual(['default/a']);
  });
});

function policy(name: string, direction = 'Ingress'): string {
  return [
    'apiVersion: networking.k8s.io/v1',
    'kind: NetworkPolicy',
    'metadata:',
    `  name: ${name}`,
    'spec:',
    '  podSelector: {}',
    `  policyTypes: [${direction}]`,
    '',
  ].join('\n');
}

function describeChange({ before, after }: Change): string {
  const object = after ?? before;
  const sign = before === undefined ? '+' : after === undefined ? '-' : '~';
  return `${sign} ${object?.kind}/${object?.kind === 'NetworkPolicy' ? object.key : object?.uid}`;
}

async function eventually(check: () => void): Promise<void> {
  await vi.waitFor(check, { timeout: 10_000, interval: 10 });
}
