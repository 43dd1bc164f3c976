import type { ControllerStatus } from '../controller/controller.ts';
import type { EnforcerStatus } from '../enforcer/enforcer.ts';
import type { PodBinding } from '../model/binding.ts';
import type { Trouble } from './kubernetes-events.ts';
import { podsBehind } from './status.ts';

/** What is worth an Event: pods that stay closed, and a node that cannot be policed or looked at. */
export function troublesOf(node: string, controller: ControllerStatus, enforcer: EnforcerStatus): readonly Trouble[] {
  const unbound = controller.interfaceProblems
    .filter(({ code }) => code !== 'pod-without-address')
    .map(({ pod, uid, code, message, help }): Trouble => ({
      about: podOf(pod, uid),
      code,
      reason: 'PolicyPodClosed',
      message: `${message}. ${help}`,
    }));
  const refused = enforcer.problems.flatMap(({ message, object, closed }) =>
    podsBehind(closed, controller.bindings).map(({ pod, uid }): Trouble => ({
      about: podOf(pod, uid),
      code: object ?? 'rules',
      reason: 'PolicyRulesRefused',
      message: `the traffic of this pod is closed: the kernel refused ${object ?? 'its rules'}: ${message}`,
    })),
  );
  const ofNode = controller.refusals.map(({ code, seen, why, help, severity }): Trouble => ({
    about: { kind: 'Node', name: node },
    code,
    reason: severity === 'refuse' ? 'PolicyNodeRefused' : 'PolicyNodeIncomplete',
    message: `${seen}: ${why}. ${help}`,
  }));
  return [...unbound, ...refused, ...ofNode, ...unobservable(node, controller, enforcer)];
}

/** Nothing is written before the first look at the node, and pods that start later are not found. */
function unobservable(
  node: string,
  { hostProblem }: ControllerStatus,
  { appliedGeneration }: EnforcerStatus,
): readonly Trouble[] {
  if (hostProblem === undefined) return [];
  const effect =
    appliedGeneration === 0
      ? 'no rules are written: without those of an earlier agent all pods are open'
      : 'pods that start now stay closed';
  return [
    {
      about: { kind: 'Node', name: node },
      code: 'node-unobservable',
      reason: 'PolicyNodeUnobservable',
      message: `the node cannot be observed: ${hostProblem}; ${effect}`,
    },
  ];
}

function podOf(key: PodBinding['pod'], uid: string): Extract<Trouble['about'], { kind: 'Pod' }> {
  const slash = key.indexOf('/');
  return { kind: 'Pod', namespace: key.slice(0, slash), name: key.slice(slash + 1), uid };
}
