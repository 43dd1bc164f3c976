import type { Direction, NetworkPolicy } from '../model/policy.ts';
import type { ReasonCode } from './codes.ts';
import { otherOf, shortName } from './flow-context.ts';
import type { FlowContext } from './flow-context.ts';

/** With what else the rule opens: for all pods of a policy without selector, and to all neighbours of a pod without labels. */
export function newRuleHelp(policy: NetworkPolicy, context: FlowContext, direction: Direction): string {
  const { end } = otherOf(context, direction);
  const self = shortName(direction === 'egress' ? context.from : context.to);
  const parts = [`add a rule to ${policy.key}`];
  if (policy.subjects.requirements.length === 0)
    parts.push(`it selects every pod of "${policy.namespace}": a policy for ${self} alone would be narrower`);
  if (end.kind === 'pod' && end.pod.labels.size === 0) parts.push(unlabelledWarning(end.pod.name));
  return parts.join('; ');
}

function unlabelledWarning(pod: string): string {
  return `${pod} has no labels, so this means every pod of its namespace: a label on it would be narrower`;
}

/** What adding a peer to a rule means. */
export function peerHelp(code: ReasonCode, rule: number, context: FlowContext, direction: Direction): string {
  const name = shortName(otherOf(context, direction).ref);
  switch (code) {
    case 'E013':
      return `name the address of its node; a selector never matches ${name}`;
    case 'E014':
      return `add the address to rule ${rule + 1}`;
    case 'E040':
      return otherOf(context, direction).end.kind === 'pod'
        ? `addresses of pods change; select ${name} by its labels`
        : `add the address to rule ${rule + 1}`;
    case 'E042':
      return otherOf(context, direction).end.kind === 'pod'
        ? `a block holds addresses of its own family only; select ${name} by its labels`
        : `add the other family to rule ${rule + 1}`;
    case 'E011':
      return `name the namespace of ${name} beside its labels`;
    default: {
      const { end } = otherOf(context, direction);
      const warning = end.kind === 'pod' && end.pod.labels.size === 0 ? `; ${unlabelledWarning(end.pod.name)}` : '';
      return `add ${name} to rule ${rule + 1}${warning}`;
    }
  }
}
