import type { FlowDiff, SideState, StrayPods } from '../explain/changes.ts';
import { endJson, portsJson } from './map-json.ts';

/** What `policy diff -o json` prints; schema in `schemas/diff.json`. Flows that are not listed are judged as before. */
export function diffJson(diff: FlowDiff): object {
  return {
    apiVersion: 'nftpolicy.dev/diff/v1',
    kind: 'FlowDiff',
    classes: diff.ends.map(endJson),
    flows: diff.flows.map(({ from, to, fact }) => ({
      effect: fact.effect,
      from: from.map((index) => index + 1),
      to: to.map((index) => index + 1),
      ...(fact.family === undefined ? {} : { family: fact.family }),
      ...portsJson(fact.ports),
      before: fact.before,
      after: fact.after,
      sides: fact.sides.map(({ direction, before, after }) => ({
        direction,
        before: stateJson(before),
        after: stateJson(after),
      })),
    })),
    isolation: diff.isolation.map(({ pods, direction, after, policies }) => ({
      class: pods + 1,
      direction,
      after,
      policies,
    })),
    added: { pods: diff.added.map(strayJson), nodes: diff.addedNodes },
    removed: { pods: diff.removed.map(strayJson), nodes: diff.removedNodes },
  };
}

function stateJson({ verdict, reason, admittedBy, policies }: SideState): object {
  const rule =
    admittedBy === undefined ? {} : { admittedBy: { policy: admittedBy.policy, rule: admittedBy.index + 1 } };
  return { verdict, reason, ...rule, policies };
}

function strayJson({ name, pods, unprotected }: StrayPods): object {
  return { name, pods, unprotected };
}
