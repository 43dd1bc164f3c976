import { isPoliced } from '../model/endpoint.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { some } from '../model/flow.ts';
import type { Answer } from '../model/flow.ts';
import { everything } from '../model/label-selector.ts';
import type { Namespace } from '../model/namespace.ts';
import { compareText } from '../model/names.ts';
import type { Direction, NetworkPolicy, PolicyPeer, PolicyRule } from '../model/policy.ts';
import { matches } from '../selector/match.ts';
import { toPeerSelector } from '../selector/peer-selector.ts';
import type { AllowPeer, AllowRule, EffectivePolicy, EffectiveSection, SelectingPolicy } from './effective-policy.ts';

/** What {@link resolve} knows besides policies and pod. */
export interface ResolveOptions {
  readonly labelsKnown?: boolean;
  /** The subject's namespace, where it is known. */
  readonly namespace?: Pick<Namespace, 'mode'> | undefined;
}

/**
 * Everything that decides one endpoint: which policies select it, in which directions they isolate it and what their
 * rules admit. The only reader of policy specs; agent, explain, test and diff all ask it.
 *
 * `policies` are those of the subject's namespace (semantics 1); others are ignored. With `labelsKnown: false` a
 * policy whose selector has requirements may or may not select the subject. A `namespace` in audit mode takes all its
 * policies with it.
 */
export function resolve(
  policies: Iterable<NetworkPolicy>,
  subject: Endpoint,
  { labelsKnown = true, namespace }: ResolveOptions = {},
): EffectivePolicy {
  const selecting: SelectedPolicy[] = [];
  if (isPoliced(subject)) {
    for (const policy of policies) {
      if (policy.namespace !== subject.namespace) continue;
      const selects = selectsSubject(policy, subject, labelsKnown);
      if (selects !== 'no') selecting.push({ policy, selects });
    }
    selecting.sort((a, b) => compareText(a.policy.key, b.policy.key));
  }
  const audited = namespace?.mode === 'audit';
  return {
    subject,
    ingress: resolveSection(selecting, 'ingress', audited),
    egress: resolveSection(selecting, 'egress', audited),
  };
}

interface SelectedPolicy {
  readonly policy: NetworkPolicy;
  readonly selects: 'yes' | 'unknown';
}

function selectsSubject(policy: NetworkPolicy, subject: Endpoint, labelsKnown: boolean): Answer {
  if (!labelsKnown && policy.subjects.requirements.length > 0) return 'unknown';
  return matches(policy.subjects, subject.labels) ? 'yes' : 'no';
}

function resolveSection(
  selecting: readonly SelectedPolicy[],
  direction: Direction,
  audited: boolean,
): EffectiveSection {
  const policies: SelectingPolicy[] = [];
  const audits: SelectingPolicy[] = [];
  for (const { policy, selects } of selecting) {
    if (!policy[direction].isolates) continue;
    const rules = policy[direction].rules.map((rule) => toAllowRule(policy, direction, rule));
    (audited || policy.mode === 'audit' ? audits : policies).push({ policy, selects, rules });
  }
  return { direction, isolated: some(policies.map(({ selects }) => selects)), policies, audits };
}

function toAllowRule(policy: NetworkPolicy, direction: Direction, rule: PolicyRule): AllowRule {
  return {
    provenance: { policy: policy.key, direction, index: rule.index },
    invalid: rule.invalid,
    peers: rule.peers === 'any' ? 'any' : rule.peers.map((peer) => toAllowPeer(policy, peer)),
    ports: rule.ports,
  };
}

/** A peer without namespaceSelector means the policy's own namespace, one without podSelector every pod (semantics 18-20). */
function toAllowPeer(policy: NetworkPolicy, peer: PolicyPeer): AllowPeer {
  if (peer.kind !== 'pods') return peer;
  const namespaces =
    peer.namespaceSelector === undefined
      ? ({ kind: 'name', name: policy.namespace } as const)
      : ({ kind: 'selector', selector: peer.namespaceSelector } as const);
  return { kind: 'pods', index: peer.index, selector: toPeerSelector(namespaces, peer.podSelector ?? everything) };
}
