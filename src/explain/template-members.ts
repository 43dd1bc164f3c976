import type { EndRef } from './explanation.ts';
import { workloadKinds } from './kinds.ts';
import { templateMember } from './locate.ts';
import type { Member, World } from './locate.ts';
import { isIdle } from './template-pods.ts';
import { workloadPods } from './workloads.ts';

/** Workloads of a namespace without live pods, each as a pod of its template. */
export function templateMembers(world: World, namespace: string): readonly Member[] {
  return world.cluster.others.flatMap(({ raw }): readonly Member[] => {
    const { kind: word, metadata } = raw as { kind?: unknown; metadata?: { name?: unknown; namespace?: unknown } };
    const kind = workloadKinds.find((known) => known === word);
    const name = metadata?.name;
    if (kind === undefined || typeof name !== 'string' || isIdle(raw)) return [];
    if ((metadata?.namespace ?? 'default') !== namespace) return [];
    const { template } = workloadPods(world.cluster, kind, namespace, name);
    const ref: EndRef = { kind, namespace, name };
    return template === undefined ? [] : [templateMember(world, ref, template)];
  });
}
