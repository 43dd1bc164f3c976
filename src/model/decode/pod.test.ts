import { describe, expect, test } from 'vitest';

import type { Endpoint } from '../endpoint.ts';
import { formatFieldPath } from '../source-ref.ts';
import { decodeObject } from './object.ts';

function decode(parts: object): { pod: Endpoint | undefined; found: string[] } {
  const { object, diagnostics } = decodeObject(
    { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a', namespace: 'x' }, ...parts },
    { kind: 'cluster', resourceVersion: '7' },
  );
  expect(object === undefined || object.kind === 'Pod').toBe(true);
  return {
    pod: object?.kind === 'Pod' ? object : undefined,
    found: diagnostics.map(({ code, path }) => `${code} ${formatFieldPath(path ?? [])}`),
  };
}
const withMetadata = (metadata: object) => decode({ metadata: { name: 'a', namespace: 'x', ...metadata } });

test('a pod is read whole', () => {
  const { pod, found } = decode({
    metadata: {
      name: 'web-1',
      namespace: 'shop',
      uid: 'u-1',
      labels: { app: 'web' },
      creationTimestamp: '2026-01-02T03:04:05Z',
      ownerReferences: [
        { kind: 'Node', name: 'n', controller: false },
        { kind: 'ReplicaSet', name: 'web-5d4f', controller: true },
      ],
      annotations: { note: 'x' },
    },
    spec: { nodeName: 'n1', containers: [{ name: 'c', ports: [{ name: 'http', containerPort: 8080 }] }] },
    status: { phase: 'Running', podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }, { ip: 'FD00::1' }] },
  });
  expect(found).toEqual([]);
  expect(pod).toEqual({
    kind: 'Pod',
    key: 'shop/web-1',
    namespace: 'shop',
    name: 'web-1',
    uid: 'u-1',
    labels: new Map([['app', 'web']]),
    node: 'n1',
    hostNetwork: false,
    phase: 'Running',
    terminating: false,
    createdAtMs: Date.UTC(2026, 0, 2, 3, 4, 5),
    addresses: ['10.0.0.1', 'fd00::1'],
    namedPorts: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    declaredPorts: [{ name: 'http', protocol: 'TCP', port: 8080, path: ['spec', 'containers', 0, 'ports', 0] }],
    owner: { kind: 'ReplicaSet', name: 'web-5d4f' },
    source: { kind: 'cluster', resourceVersion: '7' },
  });
});

test('a pod with nothing but a name counts as running, on the pod network, without node and address', () => {
  for (const parts of [{}, { spec: null, status: null }, { spec: {}, status: {} }]) {
    const { pod, found } = decode(parts);
    expect(found).toEqual([]);
    expect(pod).toMatchObject({ phase: 'Running', hostNetwork: false, addresses: [], createdAtMs: 0 });
    expect(pod).not.toHaveProperty('node');
    expect(pod).not.toHaveProperty('owner');
  }
});

describe('addresses (semantics 48)', () => {
  test.each([
    [{ podIP: '10.0.0.1' }, ['10.0.0.1']],
    [{ podIP: '10.0.0.1', podIPs: null }, ['10.0.0.1']],
    [{ podIP: '10.0.0.1', podIPs: [] }, ['10.0.0.1']],
    [{ podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.2' }] }, ['10.0.0.2']],
    [{ podIPs: [{ ip: '10.0.0.2' }, { ip: '10.0.0.2' }] }, ['10.0.0.2']],
    [{ podIP: '' }, []],
    [{ podIP: null }, []],
  ])('status %j gives %j', (status, addresses) => {
    const { pod, found } = decode({ status });
    expect(pod?.addresses).toEqual(addresses);
    expect(found).toEqual([]);
  });

  test.each([
    [{ podIP: '010.0.0.1' }, [], 'D201 status.podIP'],
    [{ podIP: 5 }, [], 'D201 status.podIP'],
    [{ podIPs: [{ ip: '10.0.0.1/32' }, { ip: '10.0.0.2' }] }, ['10.0.0.2'], 'D201 status.podIPs[0].ip'],
    [{ podIPs: [{ ip: '::ffff:10.0.0.1' }] }, [], 'D201 status.podIPs[0].ip'],
    [{ podIPs: [{}] }, [], 'D201 status.podIPs[0].ip'],
    [{ podIPs: ['10.0.0.1'] }, [], 'D102 status.podIPs[0]'],
    [{ podIPs: '10.0.0.1' }, [], 'D102 status.podIPs'],
  ])('status %j: the unreadable address is reported and left out', (status, addresses, expected) => {
    const { pod, found } = decode({ status });
    expect(pod?.addresses).toEqual(addresses);
    expect(found).toEqual([expected]);
  });
});

describe('ports', () => {
  const http = { name: 'http', containerPort: 80 };

  test('sidecars declare ports, ordinary init containers do not (semantics 42)', () => {
    const { pod, found } = decode({
      spec: {
        initContainers: [
          { ports: [{ name: 'init', containerPort: 1 }] },
          { restartPolicy: 'Always', ports: [{ name: 'mesh', containerPort: 2, protocol: 'UDP' }] },
        ],
        containers: [{ ports: null }, { ports: [http, { containerPort: 81 }] }, {}],
      },
    });
    expect(found).toEqual([]);
    expect(pod?.namedPorts).toEqual([
      { name: 'http', protocol: 'TCP', port: 80 },
      { name: 'mesh', protocol: 'UDP', port: 2 },
    ]);
    expect(pod?.declaredPorts.map(({ path }) => formatFieldPath(path))).toEqual([
      'spec.containers[1].ports[0]',
      'spec.containers[1].ports[1]',
      'spec.initContainers[1].ports[0]',
    ]);
  });

  test('one name may stand for several numbers, but the same port counts once', () => {
    const { pod } = decode({
      spec: { containers: [{ ports: [http] }, { ports: [http, { name: 'http', containerPort: 81 }] }] },
    });
    expect(pod?.namedPorts.map(({ port }) => port)).toEqual([80, 81]);
  });

  test.each([
    [{ containerPort: 0 }, 'D202 spec.containers[0].ports[0].containerPort'],
    [{ name: 'a' }, 'D202 spec.containers[0].ports[0].containerPort'],
    [{ containerPort: '80' }, 'D202 spec.containers[0].ports[0].containerPort'],
    [{ containerPort: 80, protocol: 'tcp' }, 'D202 spec.containers[0].ports[0].protocol'],
    [{ containerPort: 80, name: 'HTTP' }, 'D202 spec.containers[0].ports[0].name'],
    [{ containerPort: 80, name: 5 }, 'D202 spec.containers[0].ports[0].name'],
    [null, 'D102 spec.containers[0].ports[0]'],
  ])('port %j is reported and left out, its neighbour stays', (port, expected) => {
    const { pod, found } = decode({ spec: { containers: [{ ports: [port, http] }] } });
    expect(pod?.namedPorts).toEqual([{ name: 'http', protocol: 'TCP', port: 80 }]);
    expect(found).toEqual([expected]);
  });

  test.each([
    [{ containers: {} }, 'D102 spec.containers'],
    [{ containers: ['c'] }, 'D102 spec.containers[0]'],
    [{ containers: [{ ports: 80 }] }, 'D102 spec.containers[0].ports'],
  ])('spec %j: the pod is kept without these ports', (spec, expected) => {
    expect(decode({ spec })).toMatchObject({ pod: { namedPorts: [], declaredPorts: [] }, found: [expected] });
  });
});

describe('a pod that cannot be told apart is unknown, and so closed', () => {
  test.each([
    ['a number as label value', { metadata: { name: 'a', labels: { app: 1 } } }, 'D114 metadata.labels.app'],
    ['a boolean as label value', { metadata: { name: 'a', labels: { app: true } } }, 'D114 metadata.labels.app'],
    ['a list of labels', { metadata: { name: 'a', labels: ['app'] } }, 'D102 metadata.labels'],
    ['hostNetwork as text', { spec: { hostNetwork: 'true' } }, 'D102 spec.hostNetwork'],
    ['nodeName as number', { spec: { nodeName: 1 } }, 'D102 spec.nodeName'],
    ['phase as number', { status: { phase: 1 } }, 'D102 status.phase'],
    ['spec as text', { spec: 'x' }, 'D102 spec'],
    ['status as list', { status: [] }, 'D102 status'],
  ])('%s', (_, parts, expected) => {
    expect(decode(parts)).toEqual({ pod: undefined, found: [expected] });
  });
});

describe('labels', () => {
  test('null values are empty ones, and any key is only a key', () => {
    const labels: unknown = JSON.parse('{"app": null, "constructor": "x", "__proto__": "y"}');
    const { pod, found } = withMetadata({ labels });
    expect(pod?.labels).toEqual(
      new Map([
        ['app', ''],
        ['constructor', 'x'],
        ['__proto__', 'y'],
      ]),
    );
    expect(found).toEqual(['D113 metadata.labels["__proto__"]']);
  });

  test('a malformed text is kept with a warning', () => {
    const { pod, found } = withMetadata({ labels: { app: 'b c' } });
    expect(pod?.labels.get('app')).toBe('b c');
    expect(found).toEqual(['D114 metadata.labels.app']);
  });
});

test.each(['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'])('phase %s is kept', (phase) => {
  expect(decode({ status: { phase } })).toMatchObject({ pod: { phase }, found: [] });
});

test('a phase nobody knows counts as unfinished', () => {
  expect(decode({ status: { phase: 'Evicted' } })).toMatchObject({
    pod: { phase: 'Unknown' },
    found: ['D203 status.phase'],
  });
});

test('a hostNetwork pod says so', () => {
  expect(decode({ spec: { hostNetwork: true } }).pod?.hostNetwork).toBe(true);
});

test.each([
  ['2026-01-02T03:04:05Z', Date.UTC(2026, 0, 2, 3, 4, 5), []],
  ['2026-01-02T03:04:05.5+01:00', Date.UTC(2026, 0, 2, 2, 4, 5, 500), []],
  [null, 0, []],
  ['yesterday', 0, ['D204 metadata.creationTimestamp']],
  ['2026', 0, ['D204 metadata.creationTimestamp']],
  ['2026-99-02T03:04:05Z', 0, ['D204 metadata.creationTimestamp']],
  [1e12, 0, ['D204 metadata.creationTimestamp']],
])('creationTimestamp %j is %d', (creationTimestamp, createdAtMs, expected) => {
  const { pod, found } = withMetadata({ creationTimestamp });
  expect(pod?.createdAtMs).toBe(createdAtMs);
  expect(found).toEqual(expected);
});

test('a deletionTimestamp means terminating', () => {
  expect(withMetadata({ deletionTimestamp: '2026-01-02T03:04:05Z' }).pod?.terminating).toBe(true);
  expect(withMetadata({ deletionTimestamp: null }).pod?.terminating).toBe(false);
});

test.for([null, 'x', [null], [{ kind: 'A', name: 'b' }], [{ kind: 'A', controller: true }]])(
  'ownerReferences %j name no controller',
  (ownerReferences) => {
    expect(withMetadata({ ownerReferences }).pod).not.toHaveProperty('owner');
  },
);
