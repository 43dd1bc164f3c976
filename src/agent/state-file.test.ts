import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { decodeObject } from '../model/decode/object.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { ModelObject } from '../model/snapshot.ts';
import { readState, writeState } from './state-file.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'nftpolicy-state-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function object(raw: object): ModelObject {
  const { object: decoded } = decodeObject(raw, { kind: 'cluster', resourceVersion: '1' });
  if (decoded === undefined) throw new Error('it does not decode');
  return decoded;
}

const objects: readonly ModelObject[] = [
  object({
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'a', labels: { ['__proto__']: 'x', team: 'ü' }, annotations: { 'nftpolicy.dev/mode': 'audit' } },
  }),
  object({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name: 'n1' },
    spec: { podCIDRs: ['10.0.0.0/24', 'fd00::/64'] },
    status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] },
  }),
  object({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'a', uid: 'u', labels: { app: 'web' } },
    spec: { nodeName: 'n1', containers: [{ ports: [{ name: 'http', containerPort: 80 }] }] },
    status: { phase: 'Running', podIPs: [{ ip: '10.0.0.5' }, { ip: 'fd00::5' }] },
  }),
  object({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'np', namespace: 'a' },
    spec: {
      podSelector: { matchExpressions: [{ key: 'app', operator: 'In', values: ['web', 'api'] }] },
      ingress: [
        {
          from: [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }, { namespaceSelector: {} }],
          ports: [{ port: 'http' }, { port: 1, endPort: 9, protocol: 'UDP' }],
        },
      ],
    },
  }),
];

describe('the file of the last good objects', () => {
  test('gives back exactly what was written', async () => {
    const path = join(directory, 'made/on/demand/objects');
    expect(await writeState(path, 'n1', objects)).toMatchObject({ kind: 'written' });
    const read = await readState(path, 'n1');
    expect(read).toMatchObject({ kind: 'read' });
    expect(read.kind === 'read' && read.objects).toEqual(objects);
    expect(readdirSync(join(directory, 'made/on/demand'))).toEqual(['objects']);
  });

  test('holds what pods have in common once, and they have it in common again', async () => {
    const path = join(directory, 'shared');
    const [pod] = objects.filter(({ kind }) => kind === 'Pod');
    if (pod?.kind !== 'Pod') throw new Error('no pod');
    const twins = [
      pod,
      { ...pod, name: 'q', uid: 'v' },
      { ...pod, name: 'r', uid: 'w', labels: new Map([['a', 'b']]) },
    ];
    await writeState(path, 'n1', twins);
    expect(readFileSync(path, 'utf8').split('"web"')).toHaveLength(2);
    const read = await readState(path, 'n1');
    if (read.kind !== 'read') throw new Error(read.kind);
    expect(read.objects).toEqual(twins);
    const [one, two] = read.objects as readonly Endpoint[];
    expect(one?.labels).toBe(two?.labels);
    expect(one?.declaredPorts).toBe(two?.declaredPorts);
  });

  test('leaves nothing behind where it cannot be written', async () => {
    const path = join(directory, 'taken/objects');
    // Nothing can be renamed onto a directory that is not empty.
    mkdirSync(join(path, 'inside'), { recursive: true });
    await expect(writeState(path, 'n1', objects)).rejects.toThrow();
    expect(readdirSync(join(directory, 'taken'))).toEqual(['objects']);
  });

  test('is not believed when a single byte differs, when it is cut, or when it is of another node or format', async () => {
    const path = join(directory, 'damaged');
    await writeState(path, 'n1', objects);
    const good = readFileSync(path);
    const why = async (content: Buffer | string, node = 'n1'): Promise<string> => {
      writeFileSync(path, content);
      const read = await readState(path, node);
      return read.kind === 'unusable' ? read.why : read.kind;
    };
    for (const at of [good.indexOf('\n') + 1, good.lastIndexOf('\n', -2) - 5, good.length - 5]) {
      const bad = Buffer.from(good);
      bad[at] = (bad[at] ?? 0) ^ 1;
      expect(await why(bad)).toContain('its hash differs');
    }
    expect(await why(good.subarray(0, good.length - 10))).toContain('its hash differs');
    expect(await why(good.subarray(0, 20))).toContain('does not begin');
    expect(await why('')).toContain('does not begin');
    expect(await why('null\n')).toContain('does not begin');
    expect(await why(good, 'n2')).toContain('written for node n1');
    expect(await why(good.toString().replace('"format":2', '"format":1'))).toContain('format 1');
    expect(await why(good)).toBe('read');
    expect((await readState(join(directory, 'nowhere'), 'n1')).kind).toBe('absent');
  });

  test('never grows beyond its limit, and keeps the last one that did not', async () => {
    const path = join(directory, 'bounded');
    await writeState(path, 'n1', objects.slice(0, 1));
    expect(await writeState(path, 'n1', objects, { limitBytes: 500 })).toEqual({ kind: 'too-large', limitBytes: 500 });
    const kept = await readState(path, 'n1');
    expect(kept.kind === 'read' && kept.objects).toHaveLength(1);
    expect(readdirSync(directory)).not.toContain('bounded.tmp');
    writeFileSync(path, Buffer.alloc(10_000));
    expect(await readState(path, 'n1', { limitBytes: 500 })).toMatchObject({ kind: 'unusable' });
  });
});
