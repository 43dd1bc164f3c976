import { every } from '../model/flow.ts';
import type { Flow, FlowEnd, Verdict } from '../model/flow.ts';
import type { NetworkPolicy } from '../model/policy.ts';
import type { NamespaceName, PodKey } from '../model/names.ts';
import type { ClusterSnapshot } from '../model/snapshot.ts';
import { evaluateSide } from './evaluate.ts';
import type { EvaluationContext, SideVerdict } from './evaluate.ts';
import { resolve } from './resolve.ts';
import type { EffectivePolicy } from './effective-policy.ts';
import type { Tracer } from './trace.ts';

/** The answer to a flow: it passes if both sides admit it (semantics 7). */
export interface FlowVerdict {
  readonly verdict: Verdict;
  readonly egress: SideVerdict;
  readonly ingress: SideVerdict;
}

/** Tracers of the two sides. */
export interface FlowTracers {
  readonly egress?: Tracer;
  readonly ingress?: Tracer;
}

/** Judges flows of one snapshot; effective policies are resolved once per pod. */
export interface Judge {
  judge(flow: Flow, tracers?: FlowTracers): FlowVerdict;
  /** The effective policy of a policed pod; `undefined` for any other end. */
  effectivePolicy(end: FlowEnd): EffectivePolicy | undefined;
  readonly context: EvaluationContext;
}

/** Builds a {@link Judge}. The snapshot must not change while it is used. */
export function createJudge(snapshot: ClusterSnapshot, options: Omit<EvaluationContext, 'namespaces'> = {}): Judge {
  const context: EvaluationContext = { ...options, namespaces: snapshot.namespaces };
  const byNamespace = groupByNamespace(snapshot.policies.values());
  const resolved = new Map<PodKey, EffectivePolicy>();

  function effectivePolicy(end: FlowEnd): EffectivePolicy | undefined {
    if (end.kind !== 'pod') return undefined;
    const known = resolved.get(end.pod.key);
    if (known?.subject === end.pod) return known;
    const labelsKnown = end.unknown?.has('labels') !== true;
    const policy = resolve(byNamespace.get(end.pod.namespace) ?? [], end.pod, {
      labelsKnown,
      namespace: snapshot.namespaces.get(end.pod.namespace),
    });
    if (labelsKnown) resolved.set(end.pod.key, policy);
    return policy;
  }

  function judge(flow: Flow, tracers: FlowTracers = {}): FlowVerdict {
    const egress = evaluateSide(effectivePolicy(flow.from), 'egress', flow, context, tracers.egress);
    const arriving = flow.arrival ?? flow;
    const ingress = evaluateSide(effectivePolicy(arriving.to), 'ingress', arriving, context, tracers.ingress);
    return { verdict: bothSides(egress.verdict, ingress.verdict), egress, ingress };
  }

  return { judge, effectivePolicy, context };
}

function bothSides(egress: Verdict, ingress: Verdict): Verdict {
  const answers = [egress, ingress].map((verdict) =>
    verdict === 'allow' ? 'yes' : verdict === 'deny' ? 'no' : 'unknown',
  );
  const both = every(answers);
  return both === 'yes' ? 'allow' : both === 'no' ? 'deny' : 'unknown';
}

function groupByNamespace(policies: Iterable<NetworkPolicy>): Map<NamespaceName, NetworkPolicy[]> {
  const groups = new Map<NamespaceName, NetworkPolicy[]>();
  for (const policy of policies) {
    const group = groups.get(policy.namespace);
    if (group === undefined) groups.set(policy.namespace, [policy]);
    else group.push(policy);
  }
  return groups;
}
