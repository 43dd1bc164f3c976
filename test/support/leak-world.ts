import { join } from 'node:path';

import { Lab } from '../lab/lab.ts';
import { ManifestDirectory, namespaceManifest, nodeManifest, podManifest } from '../lab/manifests.ts';
import type { Manifest, ManifestKey } from '../lab/manifests.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';
import { addressOf } from '../lab/pod.ts';
import type { Place } from '../lab/traffic.ts';
import { AgentProcess } from './leak-agent.ts';
import { LeakTraffic } from './leak-traffic.ts';

/** Where the agents of a lab get their objects from. */
export interface ObjectSource {
  /** Arguments of `policy agent`. */
  readonly agentArgs: readonly string[];
  apply(...objects: readonly Manifest[]): Promise<void>;
  remove(...keys: readonly ManifestKey[]): Promise<void>;
}

/** A directory of manifests as a source. */
export function directorySource(path: string): ObjectSource {
  const directory = new ManifestDirectory(path);
  return {
    agentArgs: [`--manifests=${path}`],
    apply: (...objects) => Promise.resolve(directory.apply(...objects)),
    remove: (...keys) => Promise.resolve(directory.remove(...keys)),
  };
}

/** A pair of ends that packets flow between all the time: both families, UDP datagrams and TCP SYNs. */
export interface Pair {
  readonly name: string;
  readonly flows: readonly number[];
}

/** What a leak run needs: a node with an agent, one without, pods, and packets between them. */
export interface LeakWorld extends AsyncDisposable {
  readonly lab: Lab;
  readonly node: LabNode;
  readonly objects: ObjectSource;
  readonly traffic: LeakTraffic;
  readonly pods: Readonly<Record<PodName, LabPod>>;
  /** No packet may arrive, at any time. */
  readonly denied: readonly Pair[];
  /** Every packet must arrive, at any time. */
  readonly allowed: readonly Pair[];
  /** Allowed or not, as {@link databasePolicy} and the label of `sometimes` say. */
  readonly flipping: Pair;
  readonly startAgent: () => AgentProcess;
}

type PodName =
  'database' | 'open' | 'client' | 'sometimes' | 'intruder' | 'jailed' | 'bystander' | 'farClient' | 'farIntruder';

/** The port that policies of a leak world speak of. */
export const leakPort = 7000;

/** Isolates the database; admits clients and, if wanted, `role: sometimes`. */
export function databasePolicy(options: { readonly sometimes?: boolean; readonly name?: string } = {}): Manifest {
  const roles = ['client', ...(options.sometimes === true ? ['sometimes'] : [])];
  return policyManifest(options.name ?? 'database', {
    podSelector: { matchLabels: { app: 'database' } },
    ingress: [
      {
        from: roles.map((role) => ({ podSelector: { matchLabels: { role } } })),
        ports: ['UDP', 'TCP'].map((protocol) => ({ protocol, port: leakPort })),
      },
    ],
  });
}

/** A policy of the namespace `default`. */
export function policyManifest(name: string, spec: Readonly<Record<string, unknown>>): Manifest {
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name, namespace: 'default' }, spec };
}

/** Options of {@link createLeakWorld}. */
export interface LeakWorldOptions {
  readonly mode: 'routed' | 'bridged';
  readonly source?: (directory: string) => ObjectSource;
}

/** Builds the cluster; packets do not flow yet, no agent runs. */
export async function createLeakWorld(options: LeakWorldOptions): Promise<LeakWorld> {
  const lab = await Lab.create();
  try {
    return await build(lab, options);
  } catch (error) {
    await lab.close();
    throw error;
  }
}

async function build(lab: Lab, { mode, source = directorySource }: LeakWorldOptions): Promise<LeakWorld> {
  const node = await lab.addNode({ name: 'node-1', mode, cniFiles: 'config-and-results' });
  const far = await lab.addNode({ name: 'node-2', mode });
  const [database, open, client, sometimes, intruder, jailed, bystander, farClient, farIntruder] = await Promise.all([
    node.addPod({ name: 'database', labels: { app: 'database' } }),
    node.addPod({ name: 'open' }),
    node.addPod({ name: 'client', labels: { role: 'client' } }),
    node.addPod({ name: 'sometimes', labels: { role: 'sometimes' } }),
    node.addPod({ name: 'intruder' }),
    node.addPod({ name: 'jailed', labels: { app: 'jailed' } }),
    node.addPod({ name: 'bystander', labels: { app: 'bystander' } }),
    far.addPod({ name: 'far-client', labels: { role: 'client' } }),
    far.addPod({ name: 'far-intruder' }),
  ]);
  const pods = { database, open, client, sometimes, intruder, jailed, bystander, farClient, farIntruder };
  const objects = source(join(lab.directory, 'manifests'));
  await objects.apply(
    namespaceManifest('default'),
    nodeManifest(node),
    nodeManifest(far),
    ...Object.values(pods).map((pod) => podManifest(pod)),
    databasePolicy(),
    policyManifest('jail', {
      podSelector: { matchLabels: { app: 'jailed' } },
      policyTypes: ['Egress'],
    }),
  );
  const traffic = new LeakTraffic(node);
  const outside = { ...lab.outside, name: 'outside', ips: lab.outside.addresses };
  const pair = (from: Place & Addressed, to: Place & Addressed): Promise<Pair> => openPair(traffic, from, to);
  const denied = [
    await pair(intruder, database),
    await pair(farIntruder, database),
    await pair(outside, database),
    await pair(jailed, open),
    await pair(jailed, farClient),
  ];
  const allowed = [await pair(client, database), await pair(farClient, database), await pair(database, open)];
  const flipping = await pair(sometimes, database);
  return {
    lab,
    node,
    objects,
    traffic,
    pods,
    denied,
    allowed,
    flipping,
    startAgent: () => new AgentProcess(node, objects.agentArgs),
    [Symbol.asyncDispose]: () => lab.close(),
  };
}

interface Addressed {
  readonly name: string;
  readonly ips: readonly string[];
}

/** Starts the four flows of a pair. */
export async function openPair(
  traffic: LeakTraffic,
  from: Place & Addressed,
  to: Place & Addressed,
  port: number = leakPort,
): Promise<Pair> {
  const flows: number[] = [];
  for (const family of ['IPv4', 'IPv6'] as const) {
    for (const protocol of ['udp', 'tcp'] as const) {
      const [source, destination] = [addressOf(from, family), addressOf(to, family)];
      flows.push(await traffic.open({ from, source, to: destination, at: to, protocol, port }));
    }
  }
  return { name: `${from.name} -> ${to.name}`, flows };
}
