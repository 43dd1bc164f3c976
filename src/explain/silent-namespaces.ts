import type { FlowEnd } from '../model/flow.ts';
import type { ClusterSnapshot } from '../model/snapshot.ts';
import type { UnreadFacts } from './unread.ts';

/** Whether nothing at all is known of a namespace: then its policies are not known either, rather than none. */
export function isSilent({ namespaces, pods, policies, services }: ClusterSnapshot, name: string): boolean {
  return ![
    ...[...namespaces.values()].map((namespace) => namespace.name),
    ...[...pods.values(), ...policies.values(), ...services.values()].map(({ namespace }) => namespace),
  ].some((known) => known === name);
}

/** The policies of ends that nobody described, in namespaces of which nothing was given. */
export function silentNamespaces(snapshot: ClusterSnapshot, ends: readonly FlowEnd[]): UnreadFacts {
  const asked = new Set(
    ends.flatMap((end) => (end.kind === 'pod' && end.unknown?.has('labels') === true ? [end.pod.namespace] : [])),
  );
  const silent = [...asked].filter((name) => isSilent(snapshot, name));
  const help = silent.map(
    (name) => `give the policies of namespace ${JSON.stringify(name)} with -f, or ask a cluster with --context NAME`,
  );
  return { policies: new Set(silent), owners: false, services: false, why: 'were not given', help };
}
