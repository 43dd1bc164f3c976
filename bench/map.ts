/**
 * What `policy map` and `policy diff` cost without reading files. Run with `node bench/map.ts`; `PODS`, `POLICIES` and
 * `NAMESPACES` change the size. CPU time, so that a busy machine says the same. Nothing here is asserted.
 */
import { diffFlows } from '../src/explain/changes.ts';
import { mapFlows } from '../src/explain/matrix.ts';
import { decodeObject } from '../src/model/decode/object.ts';
import type { ClusterSnapshot, ModelObject } from '../src/model/snapshot.ts';
import { snapshotOf } from '../src/source/store.ts';

const podCount = Number(process.env['PODS'] ?? 1000);
const policyCount = Number(process.env['POLICIES'] ?? 200);
const namespaceCount = Number(process.env['NAMESPACES'] ?? 20);
const apps = 8;

function namespace(index: number): object {
  const labels = { team: `team-${index % 5}`, env: index % 2 === 0 ? 'prod' : 'dev' };
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name: `ns-${index}`, labels } };
}

function node(index: number): object {
  const addresses = [{ type: 'InternalIP', address: `172.18.0.${index + 1}` }];
  return { apiVersion: 'v1', kind: 'Node', metadata: { name: `node-${index}` }, status: { addresses } };
}

function pod(index: number): object {
  const app = Math.floor(index / namespaceCount) % apps;
  const ip = `10.${64 + (index >> 16)}.${(index >> 8) & 255}.${index & 255}`;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `app-${app}-${index}`,
      namespace: `ns-${index % namespaceCount}`,
      labels: { app: `app-${app}`, tier: app < 3 ? 'front' : 'back', 'pod-template-hash': `h${index % 97}` },
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `app-${app}-h${index % 97}`, controller: true, uid: 'u' },
      ],
    },
    spec: {
      nodeName: `node-${index % 20}`,
      containers: [{ name: 'c', image: 'i', ports: [{ name: 'http', containerPort: 8080 + (app % 2) }] }],
    },
    status: { phase: 'Running', podIP: ip, podIPs: [{ ip }] },
  };
}

/** Every tenth policy names blocks, every seventh other namespaces, every fourth egress. */
function policy(index: number, extraPort: boolean): object {
  const home = index % namespaceCount;
  const app = Math.floor(index / namespaceCount) % apps;
  const peers: object[] = [{ podSelector: { matchLabels: { app: `app-${(app + 1) % apps}` } } }];
  if (index % 7 === 0) peers.push({ namespaceSelector: { matchLabels: { team: `team-${index % 5}` } } });
  if (index % 10 === 0) {
    peers.push({ ipBlock: { cidr: `192.168.${index % 256}.0/24`, except: [`192.168.${index % 256}.128/25`] } });
  }
  const ports: object[] = [{ port: 'http' }, { port: 9000 + (index % 50), endPort: 9100 }];
  if (extraPort) ports.push({ port: 22 });
  const egress = index % 4 === 0;
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: `policy-${index}`, namespace: `ns-${home}` },
    spec: {
      podSelector: { matchLabels: { app: `app-${app}` } },
      policyTypes: egress ? ['Egress'] : ['Ingress'],
      ...(egress ? { egress: [{ to: peers, ports }] } : { ingress: [{ from: peers, ports }] }),
    },
  };
}

function cluster(changedPolicies: number): ClusterSnapshot {
  const raw = [
    ...Array.from({ length: namespaceCount }, (_, i) => namespace(i)),
    ...Array.from({ length: 20 }, (_, i) => node(i)),
    ...Array.from({ length: podCount }, (_, i) => pod(i)),
    ...Array.from({ length: policyCount }, (_, i) => policy(i, i < changedPolicies)),
  ];
  return snapshotOf(
    raw.flatMap((object): ModelObject[] => {
      const { object: decoded, diagnostics } = decodeObject(object, { kind: 'cluster', resourceVersion: '1' });
      if (decoded === undefined || diagnostics.length > 0) throw new Error(JSON.stringify(diagnostics));
      return [decoded];
    }),
  );
}

function time<T>(name: string, run: () => T, describe: (result: T) => string): void {
  const times: number[] = [];
  let text = '';
  for (let round = 0; round < 5; round++) {
    const begin = process.cpuUsage();
    text = describe(run());
    const { user, system } = process.cpuUsage(begin);
    times.push((user + system) / 1000);
  }
  const [first = 0] = times;
  process.stdout.write(
    `${name.padEnd(28)} CPU: first ${first.toFixed(0)} ms, best ${Math.min(...times).toFixed(0)} ms  ${text}\n`,
  );
}

process.stdout.write(`${podCount} pods, ${policyCount} policies, ${namespaceCount} namespaces\n`);
const [before, after, everywhere] = [cluster(0), cluster(3), cluster(policyCount)];
time(
  'map, all cells',
  () => {
    const map = mapFlows(before);
    return { map, blocks: map.blocks() };
  },
  ({ map, blocks }) => `${map.ends.length} classes, ${blocks.length} blocks`,
);
time(
  'diff, no change',
  () => diffFlows(before, before),
  (diff) => `${diff.flows.length} blocks`,
);
time(
  'diff, 3 policies changed',
  () => diffFlows(before, after),
  (diff) => `${diff.flows.length} blocks`,
);
time(
  'diff, every policy changed',
  () => diffFlows(before, everywhere),
  (diff) => `${diff.flows.length} blocks`,
);
