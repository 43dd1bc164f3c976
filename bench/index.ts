/**
 * What the incremental compiler costs on one node of a large cluster. Run with `node --expose-gc bench/index.ts`;
 * `PODS`, `POLICIES` and `NAMESPACES` change the size. Nothing here is asserted: times differ between machines.
 */
import { defaultOptions } from '../src/compiler/options.ts';
import { NodeCompiler } from '../src/controller/node-compiler.ts';
import type { NodeShape, PodBinding } from '../src/model/binding.ts';
import type { Endpoint } from '../src/model/endpoint.ts';
import type { IpAddress } from '../src/model/ip.ts';
import { everything, toLabelSelector } from '../src/model/label-selector.ts';
import type { LabelSelector } from '../src/model/label-selector.ts';
import { namespaceNameLabel } from '../src/model/namespace.ts';
import type { Namespace } from '../src/model/namespace.ts';
import { namespaceName, nodeName, podKey, policyKey } from '../src/model/names.ts';
import type { NetworkPolicy, PolicyPeer, PolicyRule, PolicySection } from '../src/model/policy.ts';
import type { ModelObject } from '../src/model/snapshot.ts';
import { Store } from '../src/source/store.ts';

const podCount = Number(process.env['PODS'] ?? 150_000);
const policyCount = Number(process.env['POLICIES'] ?? 10_000);
const namespaceCount = Number(process.env['NAMESPACES'] ?? 1_500);
const localCount = 110;
const source = { kind: 'cluster', resourceVersion: '1' } as const;
const shape: NodeShape = { routed: ['veth*'], bridges: [] };

let seed = 1;
/** A whole number below `limit`, the same sequence in every run. */
function random(limit: number): number {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff;
  return Math.floor((seed / 0x8000_0000) * limit);
}

function selector(labels: Record<string, string>): LabelSelector {
  return toLabelSelector(
    Object.entries(labels).map(([key, value]) => ({
      key,
      operator: 'In' as const,
      values: [value],
      origin: { kind: 'matchLabels' as const, key },
    })),
  );
}

function namespace(index: number, team = `team-${index % 40}`): Namespace {
  const name = `ns-${index}`;
  const labels = new Map([
    [namespaceNameLabel, name],
    ['team', team],
    ['env', ['prod', 'stage', 'dev'][index % 3] ?? ''],
    ['pod-security.kubernetes.io/enforce', 'baseline'],
  ]);
  return { kind: 'Namespace', name: namespaceName(name), uid: name, labels, source };
}

/** Ten labels, as workloads carry them; seven of them nobody selects by. */
function labelsOf(index: number, app: number, tier: number): Map<string, string> {
  return new Map([
    ['app', `app-${app}`],
    ['app.kubernetes.io/name', `app-${app}`],
    ['app.kubernetes.io/instance', `app-${app}-main`],
    ['app.kubernetes.io/version', `1.${app % 7}.${index % 3}`],
    ['app.kubernetes.io/managed-by', 'Helm'],
    ['tier', ['front', 'back', 'data'][tier] ?? ''],
    ['role', `role-${app % 5}`],
    ['pod-template-hash', `hash${index % 5_000}`],
    ['topology.kubernetes.io/zone', `zone-${index % 3}`],
    ['helm.sh/chart', `chart-${app}`],
  ]);
}

function pod(index: number, change: { readonly app?: number; readonly address?: number } = {}): Endpoint {
  const inNamespace = index % namespaceCount;
  const app = change.app ?? Math.floor(index / namespaceCount) % 12;
  const name = `app-${app}-${(index % 5_000).toString(36)}-${index.toString(36)}`;
  const home = `ns-${inNamespace}`;
  const address = change.address ?? index;
  return {
    kind: 'Pod',
    key: podKey(home, `pod-${index}`),
    namespace: namespaceName(home),
    name,
    uid: `0b7c1a52-4d1e-4a55-9d36-${index.toString(16).padStart(12, '0')}`,
    labels: labelsOf(index, app, index % 3),
    node: nodeName(`node-${index % Math.ceil(podCount / localCount)}`),
    hostNetwork: false,
    phase: 'Running',
    terminating: false,
    createdAtMs: 1_700_000_000_000 + index,
    addresses: [`10.${(address >> 16) & 255}.${(address >> 8) & 255}.${address & 255}` as IpAddress],
    namedPorts: [{ name: 'http', protocol: 'TCP', port: 8080 }],
    declaredPorts: [],
    source,
  };
}

function peer(index: number): PolicyPeer {
  switch (random(10)) {
    case 0:
      return { kind: 'pods', index, namespaceSelector: selector({ team: `team-${random(40)}` }) };
    case 1:
      return {
        kind: 'pods',
        index,
        namespaceSelector: selector({ [namespaceNameLabel]: `ns-${random(namespaceCount)}` }),
        podSelector: selector({ tier: 'front' }),
      };
    case 2:
      return {
        kind: 'pods',
        index,
        namespaceSelector: selector({ env: 'prod' }),
        podSelector: selector({ role: `role-${random(5)}` }),
      };
    case 3:
      return { kind: 'pods', index, podSelector: everything };
    default:
      return { kind: 'pods', index, podSelector: selector({ app: `app-${random(12)}` }) };
  }
}

function section(): PolicySection {
  const rules = Array.from({ length: 1 + random(2) }, (_, index): PolicyRule => {
    const port = [80, 443, 5432, 6379, 9090][random(5)] ?? 80;
    return {
      index,
      invalid: false,
      peers: Array.from({ length: 1 + random(2) }, (_, at) => peer(at)),
      ports: [
        random(8) === 0
          ? { kind: 'named', index: 0, protocol: 'TCP', name: 'http' }
          : { kind: 'range', index: 0, protocol: 'TCP', from: port, to: port },
      ],
    };
  });
  return { isolates: true, rules };
}

function policy(index: number): NetworkPolicy {
  const home = `ns-${index % namespaceCount}`;
  const idle: PolicySection = { isolates: false, rules: [] };
  return {
    kind: 'NetworkPolicy',
    key: policyKey(home, `policy-${index}`),
    namespace: namespaceName(home),
    name: `policy-${index}`,
    uid: `policy-${index}`,
    subjects: random(4) === 0 ? everything : selector({ app: `app-${random(12)}` }),
    ingress: section(),
    egress: random(3) === 0 ? section() : idle,
    invalid: false,
    mode: 'enforce',
    source,
  };
}

function bindingOf(local: Endpoint, index: number): PodBinding {
  return {
    pod: local.key,
    uid: local.uid,
    interface: `veth${index.toString(16).padStart(8, '0')}`,
    addresses: local.addresses,
    attachment: { kind: 'routed' },
  };
}

function megabytes(): number {
  globalThis.gc?.();
  return process.memoryUsage().heapUsed / 1e6;
}

const print = (name: string, value: string): void => void process.stdout.write(`${name.padEnd(44)} ${value}\n`);

/** Microseconds of CPU of this thread: a busy machine does not count. */
function cpu(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

/**
 * Runs one change after the other, reading the ruleset after each, in five blocks. Prints CPU per change of the best
 * block, and the spread of the wall times in microseconds: each percentile is that of the block where it is least,
 * since a busy machine only ever adds.
 */
function measure(name: string, runs: number, change: (run: number) => void): void {
  let changed = 0;
  const blocks: { readonly cpu: number; readonly times: readonly number[] }[] = [];
  const length = runs / 5;
  for (let block = 0; block < 5; block += 1) {
    const times: number[] = [];
    const begin = cpu();
    for (let run = block * length; run < (block + 1) * length; run += 1) {
      const before = compiler.ruleset();
      const start = process.hrtime.bigint();
      change(run);
      const after = compiler.ruleset();
      times.push(Number(process.hrtime.bigint() - start) / 1_000);
      if (after !== before) changed += 1;
    }
    blocks.push({ cpu: (cpu() - begin) / length, times: times.sort((a, b) => a - b) });
  }
  const least = (values: readonly number[]): string =>
    Math.min(...values)
      .toFixed(1)
      .padStart(8);
  const at = (share: number): string => least(blocks.map(({ times }) => times[Math.floor(share * (length - 1))] ?? 0));
  const mean = least(blocks.map((block) => block.cpu));
  print(
    name,
    `CPU ${mean}  median ${at(0.5)}  p90 ${at(0.9)}  p99 ${at(0.99)}  max ${at(1)} us, ${changed}/${runs} changed the ruleset`,
  );
}

const objects: ModelObject[] = [
  ...Array.from({ length: namespaceCount }, (_, index) => namespace(index)),
  ...Array.from({ length: policyCount }, (_, index) => policy(index)),
];
const pods = Array.from({ length: podCount }, (_, index) => pod(index));
const bare = megabytes();
const store = new Store();
for (const object of [...objects, ...pods]) store.upsert(object);
const stored = megabytes();
print('heap: model objects, store', `${bare.toFixed(0)} MB, +${(stored - bare).toFixed(0)} MB`);

const compiler = new NodeCompiler({ node: nodeName('node-0'), enforcement: defaultOptions });
const locals = pods.filter((local) => local.node === nodeName('node-0')).slice(0, localCount);
const bindings = locals.map(bindingOf);
let start = cpu();
for (const object of [...objects, ...pods]) compiler.changed({ kind: object.kind, after: object });
print('note every object', `${((cpu() - start) / 1e3).toFixed(0)} ms CPU`);
start = cpu();
compiler.localPods();
compiler.setHost(bindings, shape);
compiler.ruleset();
print('first ruleset', `${((cpu() - start) / 1e3).toFixed(0)} ms CPU`);
print('heap: compiler', `+${(megabytes() - stored).toFixed(0)} MB`);
for (const [name, value] of Object.entries(compiler.stats())) print(`  ${name}`, String(value));

const replace = (before: ModelObject, after: ModelObject): void =>
  compiler.changed({ kind: after.kind, before, after });
const runs = 5_000;
const current = [...pods];
const victims = Array.from({ length: runs }, () => random(podCount));
function update(index: number, after: Endpoint): void {
  const before = current[index];
  if (before === undefined) return;
  current[index] = after;
  replace(before, after);
}
const prepared = (make: (index: number, run: number) => Endpoint): Endpoint[] =>
  victims.map((index, run) => make(index, run));

let next = prepared((index) => pod(index));
const play = (run: number): void => {
  const after = next[run];
  if (after !== undefined) update(victims[run] ?? 0, after);
};
measure('warm-up: nothing of interest changes', runs, play);
measure('nothing of interest changes', runs, play);
next = prepared((index, run) => pod(index, { app: run % 12 }));
measure('label change', runs, play);
next = prepared((index, run) => pod(index, { app: (run * 7) % 12 }));
measure('label change, again', runs, play);
next = prepared((index, run) => pod(index, { address: 200_000 + run }));
measure('address change', runs, play);
measure('delete and create', runs, (run) => {
  const before = current[victims[run] ?? 0];
  if (before === undefined) return;
  compiler.changed({ kind: 'Pod', before });
  compiler.changed({ kind: 'Pod', after: before });
});
measure('delete, read, create', 1_000, (run) => {
  const before = current[victims[run] ?? 0];
  if (before === undefined) return;
  compiler.changed({ kind: 'Pod', before });
  compiler.ruleset();
  compiler.changed({ kind: 'Pod', after: before });
});
measure('namespace relabel', 500, (run) => {
  replace(namespace(run % namespaceCount), namespace(run % namespaceCount, `team-${(run * 3) % 40}`));
});
const localNamespaces = [...new Set(locals.map((local) => Number(local.namespace.slice(3))))];
measure('policy of a local namespace', 500, (run) => {
  const index = localNamespaces[run % localNamespaces.length] ?? 0;
  replace(policy(index), policy(index));
});
measure('policy of another namespace', 500, (run) => {
  const index = localNamespaces.includes(run) ? run + 1 : run;
  replace(policy(index), policy(index));
});
const without = (run: number): PodBinding[] => bindings.filter((_, index) => index !== run % bindings.length);
measure('local pod comes, another leaves', 200, (run) => {
  compiler.setHost(without(run), shape);
});
