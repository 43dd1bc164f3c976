import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { expect, test } from 'vitest';

import { parseCniConfig, readCniConfig } from './cni-config.ts';

const captured = (mode: 'routed' | 'bridged'): string =>
  JSON.stringify(
    (JSON.parse(readFileSync(new URL(`captured/${mode}.json`, import.meta.url), 'utf8')) as { conflist: unknown })
      .conflist,
  );

test.each([
  { name: 'ptp routes', text: captured('routed'), plugins: ['ptp'], bridge: undefined },
  { name: 'bridge names its bridge', text: captured('bridged'), plugins: ['bridge'], bridge: 'cni0' },
  { name: 'bridge has a default', text: '{"type":"bridge"}', plugins: ['bridge'], bridge: 'cni0' },
  {
    name: 'flannel delegates to cni0',
    text: '{"name":"cbr0","plugins":[{"type":"flannel","delegate":{"hairpinMode":true}},{"type":"portmap"}]}',
    plugins: ['flannel', 'portmap'],
    bridge: 'cni0',
  },
  {
    name: 'flannel may name the bridge',
    text: '{"plugins":[{"type":"flannel","delegate":{"bridge":"br7"}}]}',
    plugins: ['flannel'],
    bridge: 'br7',
  },
  {
    name: 'azure bridges',
    text: '{"plugins":[{"type":"azure-vnet","mode":"bridge"}]}',
    plugins: ['azure-vnet'],
    bridge: 'azure0',
  },
  {
    name: 'azure routes',
    text: '{"plugins":[{"type":"azure-vnet","mode":"transparent"}]}',
    plugins: ['azure-vnet'],
    bridge: undefined,
  },
])('$name', ({ text, plugins, bridge }) => {
  expect(parseCniConfig('f', text)).toMatchObject({ plugins, ...(bridge === undefined ? {} : { bridge }) });
  expect(parseCniConfig('f', text)?.bridge).toBe(bridge);
});

test('of multus the network counts that it delegates to', () => {
  const delegates = [{ name: 'cbr0', plugins: [{ type: 'flannel' }, { type: 'portmap' }] }, { type: 'macvlan' }];
  const text = JSON.stringify({ name: 'multus-cni-network', type: 'multus', delegates });
  expect(parseCniConfig('f', text)).toMatchObject({ network: 'cbr0', plugins: ['flannel', 'portmap'], bridge: 'cni0' });
});

test.each([
  [
    'does not say to whom it delegates',
    { type: 'multus-shim', clusterNetwork: '/host/run/multus/10-flannel.conflist' },
  ],
  ['delegates to itself', { type: 'multus', delegates: [{ type: 'multus', delegates: [{ type: 'bridge' }] }] }],
])('a meta plugin that %s is no configuration', (_, config) => {
  expect(parseCniConfig('f', JSON.stringify(config))).toBeUndefined();
});

test('subnets of host-local are pod addresses of this node', () => {
  expect(parseCniConfig('f', captured('bridged'))?.podCidrs.map(({ text }) => text)).toEqual([
    '10.244.1.0/24',
    'fd00:10:244:1::/64',
  ]);
});

test('the first readable configuration by name is the one in use', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'cni-config-'));
  try {
    writeFileSync(join(directory, '00-broken.conflist'), '{');
    writeFileSync(join(directory, '05-notes.txt'), '{"type":"macvlan"}');
    writeFileSync(join(directory, '20-late.conf'), '{"type":"macvlan"}');
    writeFileSync(join(directory, '10-lab.conflist'), captured('routed'));
    expect((await readCniConfig(directory))?.file).toBe(join(directory, '10-lab.conflist'));
    expect(await readCniConfig(join(directory, 'none'))).toBeUndefined();
  } finally {
    rmSync(directory, { recursive: true });
  }
});
