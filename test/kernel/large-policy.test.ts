import { NftProcess } from 'nftables-json';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { compileNode } from '../../src/compiler/compile.ts';
import { Enforcer } from '../../src/enforcer/enforcer.ts';
import { plan } from '../../src/enforcer/plan.ts';
import { readDataplane } from '../../src/enforcer/readback.ts';
import type { NodeShape, PodBinding } from '../../src/model/binding.ts';
import type { IpAddress } from '../../src/model/ip.ts';
import { podKey } from '../../src/model/names.ts';
import { Lab } from '../lab/lab.ts';
import { probeAll } from '../lab/matrix.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';
import { decodeWorld } from '../property/support/judges.ts';
import type { RawObject } from '../oracle/question.ts';

// The sizes at which rules become sets, on a real kernel: what the simulation says of them must hold for packets.

let lab: Lab;
let node: LabNode;
let server: LabPod;
let client: LabPod;

beforeAll(async () => {
  lab = await Lab.create();
  node = await lab.addNode({ name: 'node-1', mode: 'routed' });
  [server, client] = await Promise.all([
    node.addPod({ name: 'server', labels: { app: 'server' } }),
    node.addPod({ name: 'client', labels: { app: 'client' } }),
  ]);
});
afterAll(async () => {
  await lab?.close();
});

function pod(labPod: LabPod): RawObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: labPod.name, namespace: 'default', labels: labPod.labels },
    spec: { nodeName: 'node-1' },
    status: { phase: 'Running', podIPs: labPod.ips.map((ip) => ({ ip })) },
  };
}

const binding = (labPod: LabPod): PodBinding => ({
  pod: podKey('default', labPod.name),
  uid: `Pod/default/${labPod.name}`,
  interface: labPod.hostInterface,
  mac: labPod.mac,
  addresses: labPod.ips as readonly IpAddress[],
  attachment: { kind: 'routed' },
});

const shape: NodeShape = { routed: ['veth*'], bridges: [] };

/** Installs one policy on `server`, reads it back, and answers which TCP ports and families let `client` in. */
async function openPorts(ingress: readonly unknown[], ports: readonly number[]): Promise<string[]> {
  const policy: RawObject = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'large', namespace: 'default' },
    spec: { podSelector: { matchLabels: { app: 'server' } }, ingress },
  };
  const snapshot = decodeWorld([
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } },
    pod(server),
    pod(client),
    policy,
  ]);
  const ruleset = compileNode({ snapshot, bindings: [binding(server), binding(client)], shape });
  const executor = new NftProcess({ command: ['ip', 'netns', 'exec', node.netns, 'nft'] });
  const enforcer = new Enforcer({ executor });
  enforcer.start();
  enforcer.setDesired(ruleset);
  await enforcer.idle();
  const { problems } = enforcer.status();
  await enforcer.close();
  expect(problems).toEqual([]);
  expect(plan(await readDataplane(executor), ruleset)).toEqual([]);
  const cells = ports.flatMap((port) =>
    server.ips.map((to) => ({ from: client, to, port, protocol: 'tcp' as const, at: server })),
  );
  const answers = await probeAll(lab.traffic, cells);
  return answers
    .filter(({ verdict }) => verdict === 'allow')
    .map(({ cell }) => `${cell.to.includes(':') ? 'v6' : 'v4'} ${cell.port}`);
}

const fromClient = [{ podSelector: { matchLabels: { app: 'client' } } }];

test('forty port ranges of a selector become one lookup', async () => {
  const ranges = Array.from({ length: 40 }, (_, i) => ({ port: 1000 + 10 * i, endPort: 1004 + 10 * i }));
  const open = await openPorts([{ from: fromClient, ports: ranges }], [999, 1000, 1004, 1005, 1390, 1395]);
  expect(open).toEqual(['v4 1000', 'v6 1000', 'v4 1004', 'v6 1004', 'v4 1390', 'v6 1390']);
});

test('ten thousand single ports become one lookup', async () => {
  const many = Array.from({ length: 10_000 }, (_, i) => ({ port: 2 * i + 1 }));
  const open = await openPorts([{ from: fromClient, ports: many }], [1001, 1002, 19_999, 20_001]);
  expect(open).toEqual(['v4 1001', 'v6 1001', 'v4 19999', 'v6 19999']);
});

test('twenty rules with selectors are flattened', async () => {
  const rules = Array.from({ length: 20 }, (_, i) => ({
    from: [
      { podSelector: { matchLabels: { app: i % 2 === 0 ? 'client' : 'nobody' } } },
      { podSelector: { matchLabels: { tier: `t${i}` } } },
    ],
    ports: [{ port: 2000 + i }],
  }));
  expect(await openPorts(rules, [2000, 2001, 2018, 2019])).toEqual(['v4 2000', 'v6 2000', 'v4 2018', 'v6 2018']);
});

test('a thousand blocks, with exceptions, become interval lookups', async () => {
  const elsewhere = Array.from({ length: 1000 }, (_, i) => ({
    ipBlock: { cidr: `172.16.${i >> 4}.${(i & 15) << 4}/29` },
  }));
  const around = [
    { ipBlock: { cidr: '10.0.0.0/8', except: ['10.0.0.0/9'] } },
    { ipBlock: { cidr: 'fd00::/8', except: [`${client.ips[1] ?? ''}/128`] } },
  ];
  const rules = [
    { from: [...elsewhere, ...around], ports: [{ port: 80 }, { port: 8000, endPort: 8010 }] },
    { from: elsewhere.slice(0, 20), ports: [] },
    { from: [{ ipBlock: { cidr: `${client.ips[1] ?? ''}/128` } }], ports: [{ port: 8005 }] },
  ];
  const open = await openPorts(rules, [80, 81, 8000, 8005, 8010, 8011]);
  expect(open).toEqual(['v4 80', 'v4 8000', 'v4 8005', 'v6 8005', 'v4 8010']);
});

test('a block with a hundred exceptions keeps its holes, for named ports too', async () => {
  const except = Array.from({ length: 100 }, (_, i) => `10.244.200.${2 * i}/32`);
  const block = { ipBlock: { cidr: '10.244.0.0/16', except: [...except, `${client.ips[0] ?? ''}/32`] } };
  expect(await openPorts([{ from: [block] }], [80])).toEqual([]);
  const open = { ipBlock: { cidr: '10.244.0.0/16', except } };
  expect(await openPorts([{ from: [open] }], [80])).toEqual(['v4 80']);
});
