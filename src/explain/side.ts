import type { SideReason, SideVerdict } from '../compiler/evaluate.ts';
import type { Judge } from '../compiler/judge.ts';
import type { PolicyTrace } from '../compiler/trace.ts';
import { assertNever } from '../model/assert.ts';
import { every } from '../model/flow.ts';
import type { Answer } from '../model/flow.ts';
import type { Direction, NetworkPolicy } from '../model/policy.ts';
import { nameSpan } from './cluster.ts';
import type { ReasonCode } from './codes.ts';
import { ruleConditions, toConditionAnswer } from './conditions.ts';
import type { RuleConditions } from './conditions.ts';
import type { Admission, MissingFact, PolicyAnswer, PolicyWord, RuleAnswer, SideExplanation } from './explanation.ts';
import { otherOf, shortName, subjectOf } from './flow-context.ts';
import type { FlowContext } from './flow-context.ts';
import { makeFrame } from './frame.ts';
import { admitCandidates, isolateCandidates } from './near-miss.ts';
import type { Candidate } from './near-miss.ts';
import { describeCandidate } from './near-miss-words.ts';

/** A side with the candidates its suggestions are made from. */
export interface ExplainedSide {
  readonly side: SideExplanation;
  readonly candidates: readonly Candidate[];
  readonly missing: readonly MissingFact[];
}

/** Explains one side of a judged flow from the trace of its evaluation. */
export function explainSide(
  context: FlowContext,
  direction: Direction,
  verdict: SideVerdict,
  traces: readonly PolicyTrace[],
  judge: Judge,
): ExplainedSide {
  const { end, ref } = subjectOf(context, direction);
  const section = judge.effectivePolicy(end)?.[direction];
  const denied = verdict.verdict === 'deny';
  const candidates = denied
    ? admitCandidates(context, direction, traces, judge)
    : verdict.reason === 'not-isolated'
      ? isolateCandidates(context, direction)
      : [];
  const missing: MissingFact[] = [];
  const [best] = candidates;
  const bestRule = denied && best?.kind === 'rule' ? best : undefined;
  const isolated = section?.isolated ?? 'no';
  const policies = traces.map((trace) => answerOf(trace, { context, direction, verdict, isolated, bestRule, missing }));
  const closest = candidates.map((candidate) => describeCandidate(candidate, context, direction));
  const code = codeOfSide(verdict, closest[0]?.code, traces, context, direction);
  return {
    candidates,
    missing,
    side: {
      direction,
      subject: ref,
      name: shortName(ref),
      verdict: verdict.verdict,
      code,
      isolated,
      ...why(verdict.reason, context, direction),
      policies,
      notApplicable: notApplicable(context, direction, traces),
      admittedBy: admissions(context, direction, verdict, traces),
      closest,
      ...(denied && closest.length === 0 ? { none: noneText(context, direction, traces) } : {}),
      suggestions: [],
    },
  };
}

function codeOfSide(
  { verdict, reason }: SideVerdict,
  closest: ReasonCode | undefined,
  traces: readonly PolicyTrace[],
  context: FlowContext,
  direction: Direction,
): ReasonCode {
  if (verdict === 'unknown') return 'E090';
  if (verdict === 'deny') return closest ?? (traces.some(({ rules }) => rules.length > 0) ? 'E020' : 'E021');
  switch (reason) {
    case 'not-a-pod':
      return hostNetworkPod(context, direction) ? 'E005' : 'E006';
    case 'host-network':
      return 'E005';
    case 'same-endpoint':
      return 'E003';
    case 'node-traffic':
      return 'E004';
    case 'allowed-by-rule':
      return 'E002';
    case 'not-isolated':
    case 'no-rule-admits':
    case 'undecided':
      return 'E001';
    default:
      return assertNever(reason);
  }
}

function hostNetworkPod(context: FlowContext, direction: Direction): boolean {
  const { end } = subjectOf(context, direction);
  return end.kind === 'node' && end.hostNetworkPod !== undefined;
}

/** Why a side passes without a rule. */
function why(reason: SideReason, context: FlowContext, direction: Direction): { readonly why?: string } {
  const { end } = subjectOf(context, direction);
  switch (reason) {
    case 'not-isolated':
      return { why: `open (no policy with ${direction === 'egress' ? 'Egress' : 'Ingress'} selects this pod)` };
    case 'same-endpoint':
      return { why: 'admitted: a pod always reaches itself' };
    case 'node-traffic':
      return { why: 'admitted: traffic between a pod and its own node is exempt' };
    case 'host-network':
      return { why: 'not policed (it uses hostNetwork, so it counts as its node)' };
    case 'not-a-pod':
      return {
        why:
          end.kind === 'node'
            ? 'not policed (a node is no pod: no policy selects it)'
            : 'not policed (no pod, service or node here has this address)',
      };
    case 'allowed-by-rule':
    case 'no-rule-admits':
    case 'undecided':
      return {};
    default:
      return assertNever(reason);
  }
}

interface AnswerContext {
  readonly context: FlowContext;
  readonly direction: Direction;
  readonly verdict: SideVerdict;
  readonly isolated: Answer;
  readonly bestRule: (Candidate & { readonly kind: 'rule' }) | undefined;
  readonly missing: MissingFact[];
}

function answerOf(trace: PolicyTrace, asked: AnswerContext): PolicyAnswer {
  const { policy, selects } = trace.policy;
  const { context, direction, verdict, bestRule } = asked;
  const written = context.cluster.written(policy);
  const answer = every([selects, trace.answer]);
  const word: PolicyWord = answer === 'yes' ? 'Admits' : answer === 'no' ? 'DoesNotAdmit' : 'Undecidable';
  const undecided = verdict.verdict === 'unknown';
  const rules = trace.rules.map((rule): RuleAnswer => {
    const index = rule.rule.provenance.index;
    const matched = toMatched(rule.answer);
    if (undecided || matched === null) return { index: index + 1, matched };
    const conditions = ruleConditions(rule, { context, direction, written, policyNamespace: policy.namespace });
    if (matched) return { index: index + 1, matched, conditions: listed(conditions) };
    const counts = { index: index + 1, matched, failing: conditions.failing, of: conditions.groups.length };
    return bestRule?.policy === policy && bestRule.rule === index
      ? { ...counts, closest: true, conditions: listed(conditions) }
      : counts;
  });
  const span = nameSpan(written);
  return {
    policy: policy.key,
    answer: word,
    ...(span === undefined ? {} : { span }),
    rules,
    summary:
      word === 'Undecidable'
        ? needs(trace, asked)
        : undecided
          ? `${whateverText(trace, asked)}${isolationNeeds(trace, asked)}`
          : countText(trace, direction),
  };
}

function listed(conditions: RuleConditions): RuleAnswer['conditions'] & {} {
  return conditions.groups.flatMap(({ parts }) => parts.map(toConditionAnswer));
}

function toMatched(answer: Answer): boolean | null {
  return answer === 'yes' ? true : answer === 'no' ? false : null;
}

function countText({ rules }: PolicyTrace, direction: Direction): string {
  if (rules.length === 0) return `no ${direction} rules`;
  return rules.length === 1 ? '1 rule' : `${rules.length} rules`;
}

function whateverText(trace: PolicyTrace, { context, direction }: AnswerContext): string {
  const namespace = unreachedNamespace([trace], context, direction);
  if (trace.rules.length === 0 || namespace === undefined) return countText(trace, direction);
  return `no rule reaches namespace "${namespace}", whatever it selects`;
}

/** A policy that admits nothing closes the pod all the same if it selects it: whether it does may be what is missing. */
function isolationNeeds(trace: PolicyTrace, asked: AnswerContext): string {
  if (asked.isolated !== 'unknown') return '';
  const wanted = subjectLabels(trace, asked);
  asked.missing.push(...wanted);
  return wanted.length === 0 ? '' : `; whether it isolates needs ${factTexts(wanted)}`;
}

/** The labels of the subject, if a policy cannot be told to select it without them. */
function subjectLabels(
  { policy: { policy, selects } }: PolicyTrace,
  { context, direction }: AnswerContext,
): readonly MissingFact[] {
  const { end } = subjectOf(context, direction);
  if (selects !== 'unknown' || end.kind !== 'pod') return [];
  const [requirement] = policy.subjects.requirements;
  const path = ['spec', 'podSelector'];
  const at =
    requirement?.origin.kind === 'matchLabels'
      ? [...path, 'matchLabels', requirement.origin.key]
      : [...path, 'matchExpressions', requirement?.origin.index ?? 0];
  const span = context.cluster.written(policy)?.locate(at)?.pair;
  return [
    {
      object: { kind: 'Pod', namespace: end.pod.namespace, name: end.pod.name },
      facts: 'labels',
      neededBy: `${policy.key} podSelector`,
      ...(span === undefined ? {} : { span }),
    },
  ];
}

/** The facts an undecidable policy waits for, as text; each is also noted as missing. */
function needs(trace: PolicyTrace, asked: AnswerContext): string {
  const { context, direction, missing } = asked;
  const { policy } = trace.policy;
  const written = context.cluster.written(policy);
  const wanted: MissingFact[] = [...subjectLabels(trace, asked)];
  for (const rule of trace.rules) {
    if (rule.answer !== 'unknown') continue;
    const { groups } = ruleConditions(rule, { context, direction, written, policyNamespace: policy.namespace });
    for (const group of groups) {
      for (const part of group.parts) {
        if (part.needs === undefined) continue;
        const field = part.kind === 'cidr' ? 'ipBlock' : part.kind;
        wanted.push({
          ...part.needs,
          neededBy: `${policy.key} ${direction} rule ${rule.rule.provenance.index + 1} ${field}`,
          ...(part.span === undefined ? {} : { span: part.span }),
        });
      }
    }
  }
  missing.push(...wanted);
  return `needs ${factTexts(wanted)}`;
}

/** `labels of web-0 (:7), ports of web-0 (:13)`. */
function factTexts(wanted: readonly MissingFact[]): string {
  const texts = wanted.map(({ object, facts, span }) => {
    const name = object.kind === 'Namespace' ? `namespace ${object.name}` : shortName(object);
    return `${facts} of ${name}${span === undefined ? '' : span.field === undefined ? ` (:${span.start.line})` : ` (#${span.field})`}`;
  });
  return [...new Set(texts)].join(', ');
}

function admissions(
  context: FlowContext,
  direction: Direction,
  { admittedBy }: SideVerdict,
  traces: readonly PolicyTrace[],
): readonly Admission[] {
  return admittedBy.flatMap(({ policy: key, index }) => {
    const trace = traces.find(({ policy }) => policy.policy.key === key);
    const rule = trace?.rules.find(({ rule }) => rule.provenance.index === index);
    if (trace === undefined || rule === undefined) return [];
    const { policy } = trace.policy;
    const written = context.cluster.written(policy);
    const conditions = ruleConditions(rule, { context, direction, written, policyNamespace: policy.namespace });
    const base = ['spec', direction, index];
    const marks = conditions.groups.flatMap(({ parts }) => parts.map((part) => ({ ...part, primary: true })));
    const whole = written?.locate(base)?.value;
    const frame = makeFrame(
      written,
      base,
      marks.length > 0 || whole === undefined
        ? marks
        : [{ path: base, span: lineOf(whole), primary: true, label: 'an empty rule admits everything' }],
    );
    return [{ policy: key, rule: index + 1, ...(frame === undefined ? {} : { frame }) }];
  });
}

function lineOf<
  T extends { readonly start: { line: number; column: number }; readonly end: { line: number; column: number } },
>(span: T): T {
  const { line, column } = span.start;
  const oneLine = span.end.line === line && span.end.column > column;
  return oneLine ? span : { ...span, end: { line, column: column + 1 } };
}

/** The namespace of the peer, if no rule reaches any pod of it. */
function unreachedNamespace(
  traces: readonly PolicyTrace[],
  context: FlowContext,
  direction: Direction,
): string | undefined {
  const { end } = otherOf(context, direction);
  if (end.kind !== 'pod') return undefined;
  const reaches = traces.some(({ rules }) =>
    rules.some(
      ({ rule, peers }) =>
        rule.peers === 'any' ||
        peers.some(({ conditions }) =>
          conditions.every(
            ({ kind, answer }) =>
              answer !== 'no' ||
              (kind !== 'own-namespace' && kind !== 'namespace-label' && kind !== 'cidr' && kind !== 'invalid'),
          ),
        ),
    ),
  );
  return reaches ? undefined : end.pod.namespace;
}

function noneText(context: FlowContext, direction: Direction, traces: readonly PolicyTrace[]): string {
  const { ref } = otherOf(context, direction);
  if (traces.every(({ rules }) => rules.length === 0)) {
    return `no policy that selects ${shortName(subjectOf(context, direction).ref)} has ${direction} rules`;
  }
  const namespace = unreachedNamespace(traces, context, direction);
  if (namespace !== undefined) return `no rule reaches namespace "${namespace}"`;
  const { flow } = context;
  return `no rule names ${shortName(ref)}${flow.port === undefined ? '' : ` or ${flow.protocol} ${flow.port}`}`;
}

function notApplicable(
  context: FlowContext,
  direction: Direction,
  traces: readonly PolicyTrace[],
): readonly PolicyAnswer[] {
  const { end } = subjectOf(context, direction);
  if (end.kind !== 'pod') return [];
  const applied = new Set<NetworkPolicy>(traces.map(({ policy }) => policy.policy));
  return [...context.cluster.snapshot.policies.values()]
    .filter((policy) => policy.namespace === end.pod.namespace && !applied.has(policy))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map((policy) => {
      const span = nameSpan(context.cluster.written(policy));
      return {
        policy: policy.key,
        answer: 'NotApplicable' as const,
        ...(span === undefined ? {} : { span }),
        rules: [],
        summary: !policy[direction].isolates
          ? `does not isolate ${direction}`
          : policy.mode === 'audit'
            ? 'audit mode: decides nothing'
            : 'does not select it',
      };
    });
}
