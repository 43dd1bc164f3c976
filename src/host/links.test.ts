import { readFileSync } from 'node:fs';

import { describe, expect, test } from 'vitest';

import { HostError } from './commands.ts';
import { parseForwarding, parseLinks, parseNeighbours, parseRoutes } from './links.ts';

/** Output of iproute2 6.1 on a node with one pod behind the plugin ptp (`routed`) or bridge (`bridged`). */
function captured(mode: 'routed' | 'bridged'): Record<string, unknown> {
  return JSON.parse(readFileSync(new URL(`captured/${mode}.json`, import.meta.url), 'utf8')) as Record<string, unknown>;
}
const text = (mode: 'routed' | 'bridged', key: string): string => JSON.stringify(captured(mode)[key]);

describe('links', () => {
  test('a veth names its peer and the namespace of it', () => {
    const veth = parseLinks(text('routed', 'addresses')).find(({ name }) => name.startsWith('veth'));
    expect(veth).toMatchObject({ kind: 'veth', peerIndex: 2, peerNamespaceId: 1, loopback: false });
    expect(veth).not.toHaveProperty('master');
    expect(veth?.addresses[0]).toEqual({ address: '10.244.1.1', prefix: 32, scope: 'global' });
  });

  test('a port names its bridge', () => {
    const links = parseLinks(text('bridged', 'addresses'));
    expect(links.find(({ name }) => name.startsWith('veth'))?.master).toBe('cni0');
    expect(links.find(({ name }) => name === 'cni0')?.kind).toBe('bridge');
    expect(links.find(({ name }) => name === 'lo')?.loopback).toBe(true);
  });
});

describe('routes', () => {
  test('host routes keep their family and interface', () => {
    const routes = [...parseRoutes('4', text('routed', 'routes4')), ...parseRoutes('6', text('routed', 'routes6'))];
    const found = routes.filter(({ destination }) => /^(?:10\.244\.1\.2|fd00:10:244:1::2)\//.test(destination.text));
    expect(found.map(({ destination }) => destination.text)).toEqual(['10.244.1.2/32', 'fd00:10:244:1::2/128']);
    expect(new Set(found.flatMap(({ hops }) => hops.map((hop) => hop.interface))).size).toBe(1);
  });

  test('a default route goes through a gateway', () => {
    expect(
      parseRoutes('4', text('routed', 'routes4')).find(({ destination }) => destination.prefix === 0)?.hops,
    ).toEqual([{ interface: 'eth0', gateway: true }]);
  });

  test.each([
    { name: 'local addresses', row: { type: 'local', dst: '10.0.0.1', dev: 'lo' } },
    { name: 'refusing routes', row: { type: 'unreachable', dst: '10.0.0.0/8', dev: 'lo' } },
    {
      name: 'routes learned from a router advertisement',
      row: { dst: 'default', dev: 'veth0', protocol: 'ra', gateway: 'fe80::1' },
    },
    { name: 'routes without an interface', row: { dst: '10.0.0.0/8' } },
  ])('$name are left out', ({ row }) => {
    expect(parseRoutes(row.dst === 'default' ? '6' : '4', JSON.stringify([row]))).toEqual([]);
  });

  test('a route of several hops and one through the other family count as they are', () => {
    const rows = [
      { dst: '10.1.0.0/16', nexthops: [{ dev: 'eth0', gateway: '10.0.0.1' }, { dev: 'eth1' }] },
      { dst: '10.2.0.0/16', dev: 'eth0', via: { family: 'inet6', host: 'fe80::1' } },
    ];
    expect(parseRoutes('4', JSON.stringify(rows)).map(({ hops }) => hops)).toEqual([
      [
        { interface: 'eth0', gateway: true },
        { interface: 'eth1', gateway: false },
      ],
      [{ interface: 'eth0', gateway: true }],
    ]);
  });
});

describe('neighbours and forwarding', () => {
  test('learned entries lead from an address to a port', () => {
    const [neighbour] = parseNeighbours(text('bridged', 'neighbours'));
    const ports = parseForwarding(text('bridged', 'forwarding')).filter(({ mac }) => mac === neighbour?.mac);
    expect(neighbour).toMatchObject({ address: '10.244.1.2', interface: 'cni0' });
    expect(ports).toHaveLength(1);
    expect(ports[0]).toMatchObject({ bridge: 'cni0', port: expect.stringMatching(/^veth/) });
  });

  test('the ports’ own addresses are not learned ones', () => {
    const own = parseLinks(text('bridged', 'addresses')).find(({ name }) => name.startsWith('veth'))?.mac;
    expect(parseForwarding(text('bridged', 'forwarding')).map(({ mac }) => mac)).not.toContain(own);
  });

  test('an address that did not answer is left out', () => {
    const row = { dst: '10.0.0.9', dev: 'cni0', lladdr: '02:00:00:00:00:01', state: ['FAILED'] };
    expect(parseNeighbours(JSON.stringify([row]))).toEqual([]);
  });
});

test('empty output is an empty table, but there is always a loopback', () => {
  expect(() => parseLinks('')).toThrow(HostError);
  expect([parseRoutes('6', '\n'), parseNeighbours('[ ]'), parseForwarding('[{}]')]).toEqual([[], [], []]);
});

test.each(['not json', '{}', '[1]', '[{"ifindex":"x"}]'])('output %s is an error, never an empty table', (output) => {
  expect(() => parseLinks(output)).toThrow(HostError);
});
