import { describe, expect, test } from 'vitest';

import { formatFieldPath } from '../source-ref.ts';
import { decodeObject } from './object.ts';

function decode(kind: string, parts: object) {
  const { object, diagnostics } = decodeObject(
    { apiVersion: 'v1', kind, metadata: { name: 'a', namespace: 'x' }, ...parts },
    { kind: 'cluster', resourceVersion: '7' },
  );
  return { object, found: diagnostics.map(({ code, path }) => `${code} ${formatFieldPath(path ?? [])}`) };
}

describe('Namespace', () => {
  test.each([
    [undefined, {}],
    [null, {}],
    [{}, {}],
    [{ team: 'a' }, { team: 'a' }],
    [{ 'kubernetes.io/metadata.name': 'other' }, {}],
  ])('labels %j: the name label always says the name (semantics 24)', (labels, others) => {
    expect(decode('Namespace', { metadata: { name: 'a', labels } })).toMatchObject({
      object: {
        kind: 'Namespace',
        name: 'a',
        uid: 'Namespace/a',
        labels: new Map(Object.entries({ ...others, 'kubernetes.io/metadata.name': 'a' })),
      },
      found: [],
    });
  });

  test('the mode annotation puts the whole namespace in audit mode; a word it does not know does not', () => {
    const mode = (value: string) =>
      decode('Namespace', { metadata: { name: 'a', annotations: { 'nftpolicy.dev/mode': value } } });
    expect(mode('audit')).toMatchObject({ object: { mode: 'audit' }, found: [] });
    expect(mode('enforce').object).not.toHaveProperty('mode');
    expect(mode('dry-run').object).not.toHaveProperty('mode');
    expect(mode('dry-run').found).toEqual(['D115 metadata.annotations["nftpolicy.dev/mode"]']);
  });

  test('a label value that is no text leaves the namespace unknown', () => {
    expect(decode('Namespace', { metadata: { name: 'a', labels: { team: 5 } } })).toEqual({
      object: undefined,
      found: ['D114 metadata.labels.team'],
    });
  });
});

describe('Node', () => {
  test('internal and external addresses count, in order and once (semantics 54)', () => {
    const addresses = [
      { type: 'Hostname', address: 'n1' },
      { type: 'InternalIP', address: '192.0.2.1' },
      { type: 'InternalIP', address: '2001:DB8::1' },
      { type: 'ExternalIP', address: '198.51.100.1' },
      { type: 'ExternalIP', address: '192.0.2.1' },
      { type: 'InternalDNS', address: 'n1.local' },
    ];
    expect(decode('Node', { status: { addresses } })).toMatchObject({
      object: { name: 'a', addresses: ['192.0.2.1', '2001:db8::1', '198.51.100.1'], podCidrs: [] },
      found: [],
    });
  });

  test.each([
    [{ podCIDRs: ['10.0.0.0/24', 'fd00::/64'], podCIDR: '10.0.0.0/24' }, ['10.0.0.0/24', 'fd00::/64'], []],
    [{ podCIDR: '10.0.0.0/24' }, ['10.0.0.0/24'], []],
    [{ podCIDR: '' }, [], []],
    [{ podCIDRs: ['10.0.0.0', '10.0.1.0/24'] }, ['10.0.1.0/24'], ['D107 spec.podCIDRs[0]']],
    [{ podCIDRs: '10.0.0.0/24' }, [], ['D102 spec.podCIDRs']],
    ['x', [], ['D102 spec']],
  ])('spec %j has pod blocks %j', (spec, texts, expected) => {
    const { object, found } = decode('Node', { spec });
    expect(object?.kind === 'Node' && object.podCidrs.map(({ text }) => text)).toEqual(texts);
    expect(found).toEqual(expected);
  });

  test.each([
    [undefined, undefined, []],
    [[], undefined, []],
    [[{ key: 'a', effect: 'NoExecute' }, { effect: 'NoSchedule' }, 'x', { key: 'b' }], ['a', '', '', 'b'], []],
    ['x', undefined, ['D102 spec.taints']],
  ])('taints %j: their keys keep their places', (taints, expected, found) => {
    expect(decode('Node', { spec: { taints } })).toMatchObject({ object: { kind: 'Node' }, found });
    expect((decode('Node', { spec: { taints } }).object as { taints?: unknown }).taints).toEqual(expected);
  });

  test.each([
    ['x', 'D102 status'],
    [{ addresses: 'x' }, 'D102 status.addresses'],
    [{ addresses: [null] }, 'D102 status.addresses[0]'],
    [{ addresses: [{ type: 'InternalIP' }] }, 'D201 status.addresses[0].address'],
    [{ addresses: [{ type: 'InternalIP', address: 'n1' }] }, 'D201 status.addresses[0].address'],
  ])('status %j: what cannot be read is reported and left out', (status, expected) => {
    expect(decode('Node', { status })).toMatchObject({ object: { addresses: [] }, found: [expected] });
  });
});

describe('Service', () => {
  test('a Service is read whole', () => {
    const { object, found } = decode('Service', {
      spec: {
        type: 'LoadBalancer',
        selector: { app: 'web' },
        clusterIP: '10.96.0.1',
        clusterIPs: ['10.96.0.1', 'fd00::1'],
        externalIPs: ['198.51.100.7'],
        externalTrafficPolicy: 'Local',
        ports: [
          { name: 'http', port: 80, targetPort: 'web', nodePort: 30_080 },
          { port: 53, protocol: 'UDP' },
        ],
      },
      status: { loadBalancer: { ingress: [{ ip: '203.0.113.1' }, { hostname: 'lb.example' }] } },
    });
    expect(found).toEqual([]);
    expect(object).toEqual({
      kind: 'Service',
      key: 'x/a',
      namespace: 'x',
      name: 'a',
      uid: 'Service/x/a',
      type: 'LoadBalancer',
      selector: new Map([['app', 'web']]),
      clusterIps: ['10.96.0.1', 'fd00::1'],
      headless: false,
      externalIps: ['198.51.100.7'],
      loadBalancerIps: ['203.0.113.1'],
      externalTrafficPolicy: 'Local',
      internalTrafficPolicy: 'Cluster',
      ports: [
        { index: 0, name: 'http', protocol: 'TCP', port: 80, targetPort: 'web', nodePort: 30_080 },
        { index: 1, protocol: 'UDP', port: 53, targetPort: 53 },
      ],
      source: { kind: 'cluster', resourceVersion: '7' },
    });
  });

  test.each([undefined, null, {}])('spec %j is a ClusterIP Service without selector, address and ports', (spec) => {
    const { object, found } = decode('Service', { spec });
    expect(found).toEqual([]);
    expect(object).toMatchObject({ type: 'ClusterIP', clusterIps: [], headless: false, ports: [] });
    expect(object).not.toHaveProperty('selector');
  });

  test.each([
    [{ clusterIP: 'None' }, [], true],
    [{ clusterIP: 'None', clusterIPs: ['None'] }, [], true],
    [{ clusterIP: '10.96.0.1' }, ['10.96.0.1'], false],
    [{ clusterIP: '' }, [], false],
  ])('%j: addresses %j, headless %s', (spec, clusterIps, headless) => {
    expect(decode('Service', { spec })).toMatchObject({ object: { clusterIps, headless }, found: [] });
  });

  test.for([null, {}])('selector %j is none: the endpoints are written by someone else', (selector) => {
    expect(decode('Service', { spec: { selector } }).object).not.toHaveProperty('selector');
  });

  test('an ExternalName keeps its name', () => {
    expect(decode('Service', { spec: { type: 'ExternalName', externalName: 'db.example' } }).object).toMatchObject({
      type: 'ExternalName',
      externalName: 'db.example',
    });
  });

  test.for([null, 0, ''])('targetPort %j is the port itself', (targetPort) => {
    expect(decode('Service', { spec: { ports: [{ port: 80, targetPort }] } })).toMatchObject({
      object: { ports: [{ targetPort: 80 }] },
      found: [],
    });
  });

  test.each([
    [{}, 'D301 spec.ports[0].port'],
    [{ port: '80' }, 'D301 spec.ports[0].port'],
    [{ port: 80, protocol: 'udp' }, 'D301 spec.ports[0].protocol'],
    [{ port: 80, targetPort: '8080' }, 'D301 spec.ports[0].targetPort'],
    [{ port: 80, targetPort: 70_000 }, 'D301 spec.ports[0].targetPort'],
    ['80', 'D102 spec.ports[0]'],
  ])('port %j is reported and left out', (port, expected) => {
    expect(decode('Service', { spec: { ports: [port, { port: 81 }] } })).toMatchObject({
      object: { ports: [{ index: 1, port: 81 }] },
      found: [expected],
    });
  });

  test.each([
    [{ selector: 'app=web' }, 'D102 spec.selector'],
    [{ selector: { app: 1 } }, 'D102 spec.selector.app'],
    [{ type: 'Loadbalancer' }, 'D302 spec.type'],
    ['x', 'D102 spec'],
  ])('spec %j: nobody can tell what it means, so it is ignored', (spec, expected) => {
    expect(decode('Service', { spec })).toEqual({ object: undefined, found: [expected] });
  });

  test.each([
    [{ externalIPs: ['x'] }, 'D201 spec.externalIPs[0]'],
    [{ externalIPs: 'x' }, 'D102 spec.externalIPs'],
    [{ clusterIPs: ['x'] }, 'D201 spec.clusterIPs[0]'],
    [{ ports: {} }, 'D102 spec.ports'],
    [{ externalTrafficPolicy: 'local' }, 'D302 spec.externalTrafficPolicy'],
  ])('spec %j: the piece is reported, the Service stays', (spec, expected) => {
    expect(decode('Service', { spec })).toMatchObject({
      object: { externalIps: [], clusterIps: [], ports: [], externalTrafficPolicy: 'Cluster' },
      found: [expected],
    });
  });
});
