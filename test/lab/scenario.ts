import { join } from 'node:path';

import { Lab } from './lab.ts';
import { ManifestDirectory, namespaceManifest, nodeManifest, podManifest, serviceManifest } from './manifests.ts';
import { probeAll } from './matrix.ts';
import type { Cell } from './matrix.ts';
import type { LabNode } from './node.ts';
import { addressOf } from './pod.ts';
import type { LabPod } from './pod.ts';
import type { LabService } from './services.ts';
import type { Place } from './traffic.ts';

/** A cell of the scenario's matrix: packets, and the question that explain is asked about it. */
export interface ScenarioCell extends Cell {
  readonly row: string;
  readonly column: string;
  /** `namespace/pod`, `node/NAME` or an address, as policy sees the packet: after DNAT and SNAT. */
  readonly askFrom: string;
  readonly askTo: string;
}

/** The database example in a small cluster: two nodes, an outside client, Services. */
export interface Scenario extends AsyncDisposable {
  readonly lab: Lab;
  readonly node: LabNode;
  readonly manifests: ManifestDirectory;
  readonly pods: Readonly<Record<'database' | 'api' | 'web' | 'remoteApi' | 'remoteWeb', LabPod>>;
  readonly cells: readonly ScenarioCell[];
  /** Sends packets for every cell. */
  probe(): Promise<readonly { readonly cell: ScenarioCell; readonly verdict: 'allow' | 'deny' }[]>;
}

const port = 5432;
const serviceAddresses = ['10.96.0.10', 'fd00:10:96::10'];
const nodePort = 30432;

/** Builds the cluster and writes its objects, without any policy, to the manifests directory. */
export async function createScenario(mode: 'routed' | 'bridged'): Promise<Scenario> {
  const lab = await Lab.create();
  try {
    return await build(lab, mode);
  } catch (error) {
    await lab.close();
    throw error;
  }
}

async function build(lab: Lab, mode: 'routed' | 'bridged'): Promise<Scenario> {
  const node = await lab.addNode({ name: 'node-1', mode });
  const far = await lab.addNode({ name: 'node-2', mode });
  const api = { 'app-component': 'api' };
  const [database, apiPod, web, remoteApi, remoteWeb] = await Promise.all([
    node.addPod({
      name: 'database',
      labels: { 'app-component': 'database' },
      ports: [{ name: 'postgres', containerPort: port }],
    }),
    node.addPod({ name: 'api', labels: api }),
    node.addPod({ name: 'web' }),
    far.addPod({ name: 'remote-api', labels: api }),
    far.addPod({ name: 'remote-web' }),
  ]);
  const service: LabService = {
    namespace: 'default',
    name: 'database',
    clusterIps: serviceAddresses,
    backends: database.ips,
    ports: [{ protocol: 'TCP', port, targetPort: port, nodePort }],
  };
  await Promise.all([node.setServices([service]), far.setServices([service])]);
  const pods = { database, api: apiPod, web, remoteApi, remoteWeb };
  const manifests = new ManifestDirectory(join(lab.directory, 'manifests'));
  manifests.apply(
    namespaceManifest('default'),
    nodeManifest(node),
    nodeManifest(far),
    ...Object.values(pods).map((pod) => podManifest(pod)),
    serviceManifest(service, { 'app-component': 'database' }),
  );
  const cells = matrix(lab, node, far, pods);
  return {
    lab,
    node,
    manifests,
    pods,
    cells,
    probe: () => probeAll(lab.traffic, cells),
    [Symbol.asyncDispose]: () => lab.close(),
  };
}

function matrix(lab: Lab, node: LabNode, far: LabNode, pods: Scenario['pods']): ScenarioCell[] {
  const { database } = pods;
  const sources: readonly { readonly row: string; readonly place: Place; readonly ask: string | undefined }[] = [
    ...Object.values(pods).map((pod) => ({ row: pod.name, place: pod, ask: `default/${pod.name}` })),
    { row: 'node-1 (own node)', place: node, ask: 'node/node-1' },
    { row: 'node-2 (other node)', place: far, ask: 'node/node-2' },
    { row: 'outside client', place: lab.outside, ask: undefined },
  ];
  const cells: ScenarioCell[] = [];
  for (const [index, family] of (['IPv4', 'IPv6'] as const).entries()) {
    const v = family === 'IPv4' ? 'v4' : 'v6';
    const to = addressOf(database, family);
    const outside = addressOf({ name: 'outside', ips: lab.outside.addresses }, family);
    for (const { row, place, ask } of sources) {
      const from = { row, from: place, askFrom: ask ?? outside, askTo: to };
      for (const protocol of ['tcp', 'udp'] as const) {
        cells.push({ ...from, column: `pod ${protocol} ${v}`, to, port, protocol, at: database });
      }
      if (place !== lab.outside && place !== database) {
        cells.push({ ...from, column: `ClusterIP ${v}`, to: serviceAddresses[index] ?? '', port, protocol: 'tcp' });
      }
    }
    // The entry node's address replaces the client's when the backend is on another node (externalTrafficPolicy: Cluster).
    for (const [entry, askFrom] of [
      [node, outside],
      [far, 'node/node-2'],
    ] as const) {
      cells.push({
        row: 'outside client',
        column: `NodePort ${entry.name} ${v}`,
        from: lab.outside,
        to: entry.addresses[index] ?? '',
        port: nodePort,
        protocol: 'tcp',
        askFrom,
        askTo: to,
      });
    }
    // Outward: no policy isolates egress here.
    const target = pods.remoteWeb;
    for (const pod of [database, pods.web]) {
      cells.push({
        row: pod.name,
        column: `remote-web ${v}`,
        from: pod,
        to: addressOf(target, family),
        port: 80,
        protocol: 'tcp',
        at: target,
        askFrom: `default/${pod.name}`,
        askTo: addressOf(target, family),
      });
    }
  }
  return cells;
}
