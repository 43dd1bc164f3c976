import type { WorkloadKind } from './explanation.ts';

/** What the part before a slash can mean besides a namespace. */
export type EndKind = WorkloadKind | 'Pod' | 'Service' | 'Node';

/** Kinds that make pods from a template. */
export const workloadKinds: readonly WorkloadKind[] = [
  'Deployment',
  'StatefulSet',
  'DaemonSet',
  'ReplicaSet',
  'Job',
  'CronJob',
];

const names: Readonly<Record<EndKind, readonly string[]>> = {
  Pod: ['pod', 'pods', 'po'],
  Deployment: ['deploy', 'deployment', 'deployments', 'deployments.apps', 'deployment.apps'],
  StatefulSet: ['sts', 'statefulset', 'statefulsets', 'statefulsets.apps', 'statefulset.apps'],
  DaemonSet: ['ds', 'daemonset', 'daemonsets', 'daemonsets.apps', 'daemonset.apps'],
  ReplicaSet: ['rs', 'replicaset', 'replicasets', 'replicasets.apps', 'replicaset.apps'],
  Job: ['job', 'jobs', 'jobs.batch', 'job.batch'],
  CronJob: ['cj', 'cronjob', 'cronjobs', 'cronjobs.batch', 'cronjob.batch'],
  Service: ['svc', 'service', 'services'],
  Node: ['no', 'node', 'nodes'],
};

const kindByName: ReadonlyMap<string, EndKind> = new Map(
  (Object.entries(names) as [EndKind, readonly string[]][]).flatMap(([kind, all]) =>
    all.map((name) => [name, kind] as const),
  ),
);

/** The kind a word means, with kubectl's aliases. */
export function parseKind(word: string): EndKind | undefined {
  return kindByName.get(word.toLowerCase());
}
