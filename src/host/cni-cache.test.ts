import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { parseCniCacheFile, readCniCache } from './cni-cache.ts';

function captured(mode: 'routed' | 'bridged'): string {
  const all = JSON.parse(readFileSync(new URL(`captured/${mode}.json`, import.meta.url), 'utf8')) as {
    result: unknown;
  };
  return JSON.stringify(all.result);
}

describe('one file', () => {
  test('names the pod, its veth, MAC address and addresses', () => {
    const parsed = parseCniCacheFile('f', captured('bridged'));
    expect(parsed?.sandboxPath).toBe('/run/netns/default-api');
    expect(parsed?.entry).toMatchObject({
      namespace: 'default',
      pod: 'api',
      uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
      podInterface: 'eth0',
      hostInterfaces: ['cni0', expect.stringMatching(/^veth/)],
      mac: expect.stringMatching(/^(?:[0-9a-f]{2}:){5}[0-9a-f]{2}$/),
      addresses: ['10.244.1.2', 'fd00:10:244:1::2'],
    });
  });

  test('a plugin that reports only its veth still names it', () => {
    const text = JSON.stringify({
      kind: 'cniCacheV1',
      ifName: 'eth0',
      cniArgs: [
        ['K8S_POD_NAMESPACE', 'default'],
        ['K8S_POD_NAME', 'api'],
      ],
      result: { interfaces: [{ name: 'cali0123456789a' }], ips: [{ address: '10.1.1.2/32' }] },
    });
    expect(parseCniCacheFile('f', text)?.entry).toEqual({
      file: 'f',
      namespace: 'default',
      pod: 'api',
      podInterface: 'eth0',
      hostInterfaces: ['cali0123456789a'],
      addresses: ['10.1.1.2'],
    });
  });

  test.each([
    { name: 'half written', text: captured('routed').slice(0, 200) },
    { name: 'of another kind', text: '{"kind":"other"}' },
    { name: 'without a pod', text: JSON.stringify({ ...(JSON.parse(captured('routed')) as object), cniArgs: [] }) },
  ])('a file $name is skipped', ({ text }) => {
    expect(parseCniCacheFile('f', text)).toBeUndefined();
  });
});

describe('directories', () => {
  let root: string;
  beforeEach(() => {
    root = mkdtempSync(join(tmpdir(), 'cni-cache-'));
    mkdirSync(join(root, 'results'));
    mkdirSync(join(root, 'netns'));
    writeFileSync(join(root, 'results', 'lab-1-eth0'), captured('routed'));
    writeFileSync(join(root, 'results', 'rubbish'), '{');
  });
  afterEach(() => rmSync(root, { recursive: true }));
  const read = async () => await readCniCache([join(root, 'results'), join(root, 'none')], join(root, 'netns'));

  test('the identity of the namespace is its inode', async () => {
    writeFileSync(join(root, 'netns', 'default-api'), '');
    const inode = String(statSync(join(root, 'netns', 'default-api')).ino);
    expect((await read()).map(({ sandbox }) => sandbox)).toEqual([{ kind: 'inode', inode }]);
  });

  test('a namespace that is gone is told', async () => {
    writeFileSync(join(root, 'netns', 'another'), '');
    expect((await read()).map(({ sandbox }) => sandbox)).toEqual([{ kind: 'missing' }]);
  });

  test('a directory of namespaces that cannot be seen into proves nothing', async () => {
    expect((await read()).map(({ sandbox }) => sandbox)).toEqual([undefined]);
  });
});
