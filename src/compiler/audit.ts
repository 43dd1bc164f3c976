import type { Direction } from '../model/policy.ts';
import type { EffectivePolicy } from './effective-policy.ts';

/** Whether policies in audit mode, and no others, look at the pod's traffic in this direction: it is recorded, not dropped. */
export function isOnlyAudited(policy: EffectivePolicy, direction: Direction): boolean {
  const { isolated, audits } = policy[direction];
  return isolated === 'no' && audits.length > 0;
}

/** The policy that would hold if audit mode were switched off where nothing else isolates: what would be denied. */
export function withAuditsEnforced(policy: EffectivePolicy): EffectivePolicy {
  const section = (direction: Direction): EffectivePolicy['ingress'] => {
    if (!isOnlyAudited(policy, direction)) return policy[direction];
    return { direction, isolated: 'yes', policies: policy[direction].audits, audits: [] };
  };
  return { subject: policy.subject, ingress: section('ingress'), egress: section('egress') };
}
