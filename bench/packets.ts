/**
 * The cost of one packet through the rules we compile, as a ratio to the same path without rules in the same run
 * (method: bench/README.md). Needs root, nft and a C compiler: `npm run bench -- packets`. Prints a Markdown table.
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

import { NftProcess } from 'nftables-json';

import { compileNode } from '../src/compiler/compile.ts';
import { defaultOptions } from '../src/compiler/options.ts';
import { cleanup } from '../src/enforcer/cleanup.ts';
import { Enforcer } from '../src/enforcer/enforcer.ts';
import type { NodeShape, PodBinding } from '../src/model/binding.ts';
import { parseCidr } from '../src/model/cidr.ts';
import type { Cidr } from '../src/model/cidr.ts';
import type { IpAddress } from '../src/model/ip.ts';
import { podKey } from '../src/model/names.ts';
import type { ModelObject } from '../src/model/snapshot.ts';
import { decodeObject } from '../src/model/decode/object.ts';
import { snapshotOf } from '../src/source/store.ts';
import { Lab } from '../test/lab/lab.ts';
import type { LabNode } from '../test/lab/node.ts';
import type { LabPod } from '../test/lab/pod.ts';

const port = 5432;
const repeats = 6;

interface World {
  /** Pods on the node, the two that talk included. */
  readonly pods: number;
  readonly policies: readonly object[];
  /** Default: on. */
  readonly recordDenied?: boolean;
}

interface Variant {
  readonly name: string;
  readonly mode: 'routed' | 'bridged';
  readonly family: 'IPv4' | 'IPv6';
  readonly world?: World;
  /** A ruleset text instead of a world: the rows everything is compared with. */
  readonly text?: string;
  readonly denied?: boolean;
}

/** Admits UDP and TCP 5432 from client in its last rule. */
function ingress(policies: number): object[] {
  return Array.from({ length: policies }, (_, i) => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: `p${String(i).padStart(5, '0')}`, namespace: 'default' },
    spec: {
      podSelector: { matchLabels: { app: 'server' } },
      policyTypes: ['Ingress'],
      ingress: [
        {
          from: [{ podSelector: { matchLabels: i === policies - 1 ? { app: 'client' } : { tier: `t${i % 50}` } } }],
          ports: [{ protocol: 'UDP', port: i === policies - 1 ? port : 1000 + i }],
        },
      ],
    },
  }));
}

const egress = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'client', namespace: 'default' },
  spec: {
    podSelector: { matchLabels: { app: 'client' } },
    policyTypes: ['Egress'],
    egress: [{ to: [{ podSelector: { matchLabels: { app: 'server' } } }], ports: [{ protocol: 'UDP', port }] }],
  },
};
const denyAll = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'deny', namespace: 'default' },
  spec: { podSelector: { matchLabels: { app: 'server' } }, policyTypes: ['Ingress'] },
};
const conntrack = 'table inet bench { chain f { type filter hook forward priority 0; ct state established accept; }; }';
const plainDrop = 'table inet bench { chain f { type filter hook forward priority 0; ct state new drop; }; }';

const routed = { mode: 'routed', family: 'IPv4' } as const;
const variants: readonly Variant[] = [
  { ...routed, name: 'conntrack only', text: conntrack },
  ...[1, 10, 100, 250].map((pods) => ({
    ...routed,
    name: `one policy, ${Math.max(pods, 2)} pods`,
    world: { pods, policies: ingress(1) },
  })),
  ...[10, 100, 1000].map((policies) => ({
    ...routed,
    name: `${policies} policies on the pod, 100 pods`,
    world: { pods: 100, policies: ingress(policies) },
  })),
  { ...routed, name: 'both ends isolated', world: { pods: 100, policies: [...ingress(1), egress] } },
  {
    mode: 'routed',
    family: 'IPv6',
    name: 'both ends isolated, IPv6',
    world: { pods: 100, policies: [...ingress(1), egress] },
  },
  { mode: 'bridged', family: 'IPv4', name: 'conntrack only, bridged', text: conntrack },
  {
    mode: 'bridged',
    family: 'IPv4',
    name: 'both ends isolated, bridged',
    world: { pods: 100, policies: [...ingress(1), egress] },
  },
  { ...routed, name: 'plain drop', text: plainDrop, denied: true },
  {
    ...routed,
    name: 'denied, not recorded',
    world: { pods: 100, policies: [denyAll], recordDenied: false },
    denied: true,
  },
  { ...routed, name: 'denied and recorded', world: { pods: 100, policies: [denyAll] }, denied: true },
];

const directory = execFileSync('mktemp', ['-d'], { encoding: 'utf8' }).trim();
const nb = join(directory, 'nb');
execFileSync('cc', ['-O2', '-w', '-o', nb, join(import.meta.dirname, 'nb.c')]);

/** Nanoseconds per packet: the minimum of 40 short runs, of which a busy machine leaves some alone. */
function measure(client: LabPod, server: LabPod, family: 'IPv4' | 'IPv6', denied: boolean): number {
  const to = server.ips[family === 'IPv4' ? 0 : 1] ?? '';
  const text = execFileSync(nb, ['udp', '1', client.netns, server.netns, to, String(port), '3200', '40'], {
    encoding: 'utf8',
  });
  const min = Number(/min\s+([\d.]+)/.exec(text)?.[1]);
  const lost = Number(/lost\s+(\d+)/.exec(text)?.[1] ?? 0);
  if (!(min > 0) || denied !== lost > 0) throw new Error(`the benchmark said: ${text}`);
  return min;
}

async function load(node: LabNode, client: LabPod, server: LabPod, world: World, mode: Variant['mode']): Promise<void> {
  const real = [client, server];
  const fake = Array.from({ length: Math.max(0, world.pods - 2) }, (_, i) => ({
    name: `other-${i}`,
    ips: [`10.99.${i >> 8}.${i & 255}`, `fd00:99::${(i + 1).toString(16)}`],
    hostInterface: `vethfa${i.toString(16)}`,
    mac: `02:00:00:00:${(i >> 8).toString(16).padStart(2, '0')}:${(i & 255).toString(16).padStart(2, '0')}`,
  }));
  const raw = [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default' } },
    ...[...real, ...fake].map(({ name, ips }) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default', labels: { app: name.replace(/-(?:routed|bridged)$/, '') } },
      spec: { nodeName: node.name },
      status: { phase: 'Running', podIPs: ips.map((ip) => ({ ip })) },
    })),
    ...world.policies,
  ];
  const objects = raw.flatMap((object): ModelObject[] => {
    const decoded = decodeObject(object, { kind: 'cluster', resourceVersion: '1' });
    return decoded.object === undefined ? [] : [decoded.object];
  });
  const bindings = [...real, ...fake].map(({ name, ips, hostInterface, mac }): PodBinding => ({
    pod: podKey('default', name),
    uid: `Pod/default/${name}`,
    interface: hostInterface,
    mac,
    addresses: ips as readonly string[] as readonly IpAddress[],
    attachment: mode === 'routed' ? { kind: 'routed' } : { kind: 'bridged', bridge: 'cni0' },
  }));
  const podCidrs = node.podCidrs.flatMap((text): Cidr[] => {
    const parsed = parseCidr(text);
    return parsed === undefined ? [] : [parsed.cidr];
  });
  const shape: NodeShape =
    mode === 'routed'
      ? { routed: ['veth*'], bridges: [] }
      : { routed: [], bridges: [{ name: 'cni0', ports: { kind: 'pattern', pattern: 'veth*' }, podCidrs }] };
  const enforcer = new Enforcer({ executor: executorOf(node) });
  enforcer.start();
  const options = { ...defaultOptions, recordDenied: world.recordDenied ?? true };
  enforcer.setDesired(compileNode({ snapshot: snapshotOf(objects), bindings, shape, options }));
  await enforcer.idle();
  const { problems } = enforcer.status();
  await enforcer.close();
  if (problems.length > 0) throw new Error(`not applied: ${JSON.stringify(problems)}`);
}

function executorOf(node: LabNode): NftProcess {
  return new NftProcess({ command: ['ip', 'netns', 'exec', node.netns, 'nft'] });
}

const results = new Map<string, number[]>();
const note = (name: string, value: number): void => void results.set(name, [...(results.get(name) ?? []), value]);

await using lab = await Lab.create();
for (const mode of ['routed', 'bridged'] as const) {
  const node = await lab.addNode({ name: `node-${mode}`, mode });
  const client = await node.addPod({ name: `client-${mode}` });
  const server = await node.addPod({ name: `server-${mode}` });
  for (let repeat = 0; repeat < repeats; repeat++) {
    const empty = (family: Variant['family']): void =>
      note(`none ${mode} ${family}`, measure(client, server, family, false));
    empty('IPv4');
    empty('IPv6');
    for (const variant of variants.filter((candidate) => candidate.mode === mode)) {
      if (variant.text !== undefined) await node.nft(variant.text);
      if (variant.world !== undefined) await load(node, client, server, variant.world, mode);
      note(variant.name, measure(client, server, variant.family, variant.denied === true));
      if (variant.text !== undefined) await node.nft('delete table inet bench');
      await cleanup(executorOf(node));
    }
    empty('IPv4');
    empty('IPv6');
  }
}

const best = (name: string): number => Math.min(...(results.get(name) ?? []));
const spread = (name: string): string => {
  const values = results.get(name) ?? [];
  return `${((Math.max(...values) / Math.min(...values) - 1) * 100).toFixed(0)} %`;
};
console.log(
  `kernel ${execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim()}, ${execFileSync('nft', ['--version'], { encoding: 'utf8' }).trim()}, Node.js ${process.versions.node}`,
);
console.log('Ratios of minima to the same path without rules; spread: largest over smallest of the repeats.\n');
console.log('| case | ns | ratio | spread |\n|---|---|---|---|');
for (const mode of ['routed', 'bridged'] as const) {
  for (const family of ['IPv4', 'IPv6'] as const) {
    const name = `none ${mode} ${family}`;
    console.log(`| no rules, ${mode}, ${family} | ${best(name).toFixed(0)} | 1.00 | ${spread(name)} |`);
  }
}
for (const { name, mode, family, denied } of variants) {
  const base = denied === true ? best('plain drop') : best(`none ${mode} ${family}`);
  console.log(
    `| ${name}${denied === true ? ' (against plain drop)' : ''} | ${best(name).toFixed(0)} | ${(best(name) / base).toFixed(2)} | ${spread(name)} |`,
  );
}
