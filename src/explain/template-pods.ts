import type { Endpoint } from '../model/endpoint.ts';
import { podKey } from '../model/names.ts';
import type { ClusterSnapshot } from '../model/snapshot.ts';
import type { WrittenObject } from './cluster.ts';
import { workloadKinds } from './kinds.ts';
import { workloadPods } from './workloads.ts';

/**
 * Two pods for each workload without live pods, as its template would make them: manifests in a repository hold
 * workloads, not pods, and replicas talk to each other too. Nobody knows their addresses and nodes. Workloads that another one controls, that are scaled to
 * nothing or that have completed make none.
 */
export function templatePods(snapshot: ClusterSnapshot, others: readonly WrittenObject[]): readonly Endpoint[] {
  const made: Endpoint[] = [];
  for (const other of others) {
    const kind = workloadKinds.find((name) => name === part(other.raw, 'kind'));
    const metadata = part(other.raw, 'metadata');
    const name = part(metadata, 'name');
    const namespace = part(metadata, 'namespace') ?? 'default';
    if (kind === undefined || typeof name !== 'string' || typeof namespace !== 'string' || isIdle(other.raw)) continue;
    const { template } = workloadPods(
      {
        snapshot,
        inputs: [],
        others: [other],
        written: () => undefined,
        problems: () => [],
        edited: () => undefined,
      },
      kind,
      namespace,
      name,
    );
    for (const replica of template === undefined ? [] : ['0', '1']) {
      const key = podKey(namespace, `${name}-${replica}`);
      if (template === undefined || snapshot.pods.has(key)) continue;
      made.push({ ...template.pod, key, name: `${name}-${replica}`, uid: key, owner: { kind, name } });
    }
  }
  return made;
}

/** Whether a workload makes no pods of its own accord: another controls it, it is scaled to nothing, or it has completed. */
export function isIdle(raw: unknown): boolean {
  const owners = part(part(raw, 'metadata'), 'ownerReferences');
  return (
    (Array.isArray(owners) && owners.length > 0) ||
    part(part(raw, 'spec'), 'replicas') === 0 ||
    part(part(raw, 'status'), 'completionTime') !== undefined
  );
}

function part(raw: unknown, key: string): unknown {
  return typeof raw === 'object' && raw !== null && Object.hasOwn(raw, key)
    ? (raw as Record<string, unknown>)[key]
    : undefined;
}
