import { evaluateSide } from '../compiler/evaluate.ts';
import type { Judge } from '../compiler/judge.ts';
import { resolve } from '../compiler/resolve.ts';
import type { PolicyTrace } from '../compiler/trace.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { isPoliced } from '../model/endpoint.ts';
import type { Requirement } from '../model/label-selector.ts';
import { everything } from '../model/label-selector.ts';
import { compareText } from '../model/names.ts';
import type { Direction, NetworkPolicy } from '../model/policy.ts';
import { matches, matchesRequirement } from '../selector/match.ts';
import type { ReasonCode } from './codes.ts';
import { compareRanks, ruleConditions } from './conditions.ts';
import type { RuleConditions } from './conditions.ts';
import { subjectOf } from './flow-context.ts';
import { lettersApart } from './label-words.ts';
import type { FlowContext } from './flow-context.ts';

/** A rule or policy that nearly decides otherwise, best first in lists. */
export type Candidate =
  /** A rule of a selecting policy. */
  | {
      readonly kind: 'rule';
      readonly policy: NetworkPolicy;
      readonly rule: number;
      readonly conditions: RuleConditions;
    }
  /** A refused piece of a selecting policy; `rule` absent if the whole policy is affected. */
  | { readonly kind: 'refused'; readonly policy: NetworkPolicy; readonly rule?: number }
  /** A policy that misses the subject by one requirement. */
  | {
      readonly kind: 'nearly-selected';
      readonly policy: NetworkPolicy;
      readonly requirement: Requirement;
      /** No pod of its namespace meets the requirement. */
      readonly selectsNobody: boolean;
    }
  /** A rule in a direction that `policyTypes` leaves out. */
  | { readonly kind: 'ignored'; readonly policy: NetworkPolicy; readonly rule?: number };

/**
 * What comes closest to admitting a denied side, best first: rules of selecting policies (at least one condition
 * matches), refused rules, policies that would admit but miss the subject by one label, rules ignored by policyTypes.
 */
export function admitCandidates(
  context: FlowContext,
  direction: Direction,
  traces: readonly PolicyTrace[],
  judge: Judge,
): readonly Candidate[] {
  const ranked: { readonly candidate: Candidate; readonly rank: readonly number[] }[] = [];
  for (const trace of traces) {
    const { policy } = trace.policy;
    if (trace.answer !== 'no') continue;
    for (const rule of trace.rules) {
      const { index } = rule.rule.provenance;
      const written = context.cluster.written(policy);
      const conditions = ruleConditions(rule, { context, direction, written, policyNamespace: policy.namespace });
      const { failing, requirements, distance } = conditions;
      const refused = conditions.groups.some(
        (group) => group.answer === 'no' && group.parts.some(({ code }) => code === 'E022'),
      );
      if (refused) ranked.push({ candidate: { kind: 'refused', policy, rule: index }, rank: [0, failing, 0.5, 0] });
      else if (conditions.groups.some(({ answer }) => answer === 'yes') || isSlip(conditions)) {
        ranked.push({
          candidate: { kind: 'rule', policy, rule: index, conditions },
          rank: [0, failing, requirements, distance],
        });
      }
    }
    if (trace.rules.length === 0 && policy.invalid && isWhollyRefused(context, policy, direction)) {
      ranked.push({ candidate: { kind: 'refused', policy }, rank: [1, 0, 0, 0] });
    }
  }
  const { end } = subjectOf(context, direction);
  if (end.kind === 'pod') {
    for (const policy of namespacePolicies(context, end.pod)) {
      const near = nearlySelects(policy, end.pod);
      if (
        near !== undefined &&
        isPlausible(near, policy, context, end.pod) &&
        policy[direction].isolates &&
        wouldAdmit({ ...policy, subjects: everything }, context, direction, judge)
      ) {
        const selectsNobody = nobodyMeets(near, context, end.pod);
        ranked.push({
          candidate: { kind: 'nearly-selected', policy, requirement: near, selectsNobody },
          rank: [2, 0, 0, 0],
        });
      }
      if (isIgnored(policy, direction) && matches(policy.subjects, end.pod.labels)) {
        const rule = wouldAdmit(
          { ...policy, [direction]: { ...policy[direction], isolates: true } },
          context,
          direction,
          judge,
        );
        if (rule !== undefined) ranked.push({ candidate: { kind: 'ignored', policy, rule }, rank: [3, 0, 0, 0] });
      }
    }
  }
  return ranked
    .sort(
      (a, b) =>
        compareRanks(a.rank, b.rank) ||
        compareText(a.candidate.policy.key, b.candidate.policy.key) ||
        (a.candidate.kind === 'nearly-selected' ? 0 : (a.candidate.rule ?? 0)) -
          (b.candidate.kind === 'nearly-selected' ? 0 : (b.candidate.rule ?? 0)),
    )
    .map(({ candidate }) => candidate);
}

/** What comes closest to isolating an open side: ignored rules, then policies that miss the subject by one label. */
export function isolateCandidates(context: FlowContext, direction: Direction): readonly Candidate[] {
  const { end } = subjectOf(context, direction);
  if (end.kind !== 'pod') return [];
  const ignored: Candidate[] = [];
  const near: { readonly candidate: Candidate; readonly rank: number }[] = [];
  for (const policy of namespacePolicies(context, end.pod)) {
    if (isIgnored(policy, direction) && matches(policy.subjects, end.pod.labels))
      ignored.push({ kind: 'ignored', policy });
    if (!policy[direction].isolates) continue;
    const requirement = nearlySelects(policy, end.pod);
    if (requirement === undefined) continue;
    const selectsNobody = nobodyMeets(requirement, context, end.pod);
    const rank = likeness(requirement, end.pod);
    if (selectsNobody || rank <= 2) {
      near.push({ candidate: { kind: 'nearly-selected', policy, requirement, selectsNobody }, rank });
    }
  }
  near.sort((a, b) => a.rank - b.rank || compareText(a.candidate.policy.key, b.candidate.policy.key));
  return [...ignored, ...near.map(({ candidate }) => candidate)];
}

/** The only condition of a rule fails, and by so little that a mistake is likely: a few letters, the family, the port. */
function isSlip({ groups, distance }: RuleConditions): boolean {
  const [only] = groups;
  if (groups.length !== 1 || only === undefined) return false;
  // A bare podSelector that reaches the pod's namespace: of two conditions, the unwritten one holds.
  return only.kind === 'podSelector' || distance <= 3 || only.lint === 'NP213' || only.lint === 'NP504';
}

/** The first failing of namespace, labels, address, protocol, port: the groups come in that order. */
export function codeOf(conditions: RuleConditions): ReasonCode {
  for (const group of conditions.groups) {
    const code = group.answer === 'no' ? group.parts.find(({ answer }) => answer === 'no')?.code : undefined;
    if (code !== undefined) return code;
  }
  return 'E020';
}

function namespacePolicies({ cluster }: FlowContext, pod: Endpoint): readonly NetworkPolicy[] {
  if (!isPoliced(pod)) return [];
  return [...cluster.snapshot.policies.values()]
    .filter(({ namespace, mode }) => namespace === pod.namespace && mode === 'enforce')
    .sort((a, b) => compareText(a.key, b.key));
}

function isIgnored(policy: NetworkPolicy, direction: Direction): boolean {
  return !policy[direction].isolates && policy[direction].rules.length > 0;
}

/** Refused as a whole: its selector, or its list of rules, could not be read. */
function isWhollyRefused({ cluster }: FlowContext, policy: NetworkPolicy, direction: Direction): boolean {
  return cluster
    .problems(policy)
    .some(
      ({ severity, path }) =>
        severity === 'error' &&
        path?.[0] === 'spec' &&
        (path[1] === 'podSelector' || path[1] === direction || path.length < 2),
    );
}

/** A lone label with quite another value that other pods have is no slip: it means those pods. */
function isPlausible(near: Requirement, policy: NetworkPolicy, context: FlowContext, pod: Endpoint): boolean {
  if (policy.subjects.requirements.length > 1 || !pod.labels.has(near.key)) return true;
  return likeness(near, pod) <= 2 || nobodyMeets(near, context, pod);
}

/** The one requirement by which a policy misses a pod. */
function nearlySelects(policy: NetworkPolicy, pod: Endpoint): Requirement | undefined {
  const failing = policy.subjects.requirements.filter((requirement) => !matchesRequirement(requirement, pod.labels));
  return failing.length === 1 ? failing[0] : undefined;
}

function nobodyMeets(requirement: Requirement, { cluster }: FlowContext, { namespace }: Endpoint): boolean {
  for (const pod of cluster.snapshot.pods.values()) {
    if (pod.namespace === namespace && isPoliced(pod) && matchesRequirement(requirement, pod.labels)) return false;
  }
  return true;
}

/** Letters between what is required and what the pod has; only the same word in other letters is likely to be meant. */
export function likeness({ key, operator, values }: Requirement, { labels }: Pick<Endpoint, 'labels'>): number {
  if (operator !== 'In') return 99;
  const has = labels.get(key);
  const pairs =
    has === undefined
      ? [...labels].filter(([, value]) => values.includes(value)).map(([other]) => [key, other] as const)
      : values.map((value) => [value, has] as const);
  let least = 99;
  for (const [wanted, found] of pairs) {
    const edits = lettersApart(wanted.toLowerCase(), found.toLowerCase());
    if (edits <= Math.max(1, Math.floor(wanted.length / 3))) least = Math.min(least, edits);
  }
  return least;
}

/** The rule of a changed policy that would admit the flow: asked of the same evaluation. */
function wouldAdmit(
  policy: NetworkPolicy,
  context: FlowContext,
  direction: Direction,
  judge: Judge,
): number | undefined {
  const { end } = subjectOf(context, direction);
  if (end.kind !== 'pod') return undefined;
  const side = evaluateSide(resolve([policy], end.pod), direction, context.flow, judge.context);
  return side.reason === 'allowed-by-rule' ? side.admittedBy[0]?.index : undefined;
}
