import type { Judge } from '../compiler/judge.ts';
import type { Flow, FlowEnd } from '../model/flow.ts';
import { directions } from '../model/policy.ts';
import type { Direction, NetworkPolicy } from '../model/policy.ts';
import { judgeEdits } from './counterfactual.ts';
import type { EditEffect, OtherFlows } from './counterfactual.ts';
import { draftsFor, newRuleDraft } from './drafts.ts';
import type { Draft } from './drafts.ts';
import { diffOf } from './edit-text.ts';
import type { Outcome, Suggestion } from './explanation.ts';
import { shortName, sideContext, subjectOf } from './flow-context.ts';
import { outcomeOf } from './flow-step.ts';
import type { ExplainedFlow } from './flow-step.ts';
import { problemsOf } from './near-miss-words.ts';
import type { ExplainedSide } from './side.ts';

/** Drafts judged for one side before the best so far is taken. */
const maxDrafts = 5;

/** A verified suggestion, kept with its draft so that several can be judged together. */
interface Chosen {
  readonly suggestion: Suggestion;
  readonly draft?: Draft;
}

/** A flow with suggestions, and what they do together. */
export interface SuggestedFlow {
  readonly explained: ExplainedFlow;
  readonly combined?: string;
}

/**
 * Adds an edit for every blocker, and for a side that is open by mistake. Each edit has been applied in memory and
 * judged again. `firstBlocker` numbers the first blocker; `blockers` is how many the whole answer has.
 */
export function withSuggestions(
  explained: ExplainedFlow,
  judge: Judge,
  { firstBlocker, blockers }: { readonly firstBlocker: number; readonly blockers: number },
): SuggestedFlow {
  const { step } = explained;
  const chosen = new Map<Direction, Chosen>();
  let number = firstBlocker;
  for (const direction of directions) {
    const { side } = explained[direction];
    const denied = side.verdict === 'deny' && step.verdict === 'DENIED';
    const blocker = denied && blockers > 1 ? number : undefined;
    const found = denied
      ? unblock(explained, direction, judge, blocker)
      : step.verdict === 'UNPROTECTED' && side.code === 'E001'
        ? isolate(explained, direction, judge)
        : undefined;
    if (denied) number += 1;
    if (found !== undefined) chosen.set(direction, found);
  }
  const attach = (direction: Direction): ExplainedSide => {
    const found = chosen.get(direction);
    const explainedSide = explained[direction];
    if (found === undefined) return explainedSide;
    return { ...explainedSide, side: { ...explainedSide.side, suggestions: [found.suggestion] } };
  };
  const [egress, ingress] = [attach('egress'), attach('ingress')];
  const together = combine(explained, chosen, judge);
  return {
    explained: { ...explained, egress, ingress, step: { ...step, egress: egress.side, ingress: ingress.side } },
    ...(together === undefined ? {} : { combined: together }),
  };
}

function unblock(
  explained: ExplainedFlow,
  direction: Direction,
  judge: Judge,
  blocker: number | undefined,
): Chosen | undefined {
  const context = sideContext(explained.context, direction);
  const { flow } = explained.context;
  const { candidates, side } = explained[direction];
  const [best] = candidates;
  const drafts = best === undefined ? [] : [...draftsFor(best, context, direction)];
  const policies = side.policies.flatMap(({ policy }) => policyOf(explained, policy) ?? []);
  const fresh = side.code === 'E015' ? undefined : newRuleDraft(policies, context, direction, side.code);
  if (fresh !== undefined) drafts.push(fresh);
  let chosen: { readonly draft: Draft; readonly effect: EditEffect } | undefined;
  for (const draft of drafts.slice(0, maxDrafts)) {
    const effect = judgeEdits(context.cluster, judge, flow, [draft]);
    if (effect === undefined || effect.verdict[direction].verdict !== 'allow') continue;
    if (chosen === undefined || effect.others.closed < chosen.effect.others.closed) chosen = { draft, effect };
    if (draft.certain === true || chosen.effect.others.closed === 0) break;
  }
  if (chosen !== undefined) {
    const { draft, effect } = chosen;
    const text = blocker === undefined ? flowText(effect) : `removes blocker ${blocker}`;
    return verified(draft, effect, explained, text, blocker);
  }
  if (best?.kind !== 'refused') return undefined;
  const [problem] = problemsOf(best, context, direction);
  return problem?.help === undefined
    ? undefined
    : { suggestion: { code: 'E022', applicability: 'sketch', help: problem.help, edits: [], diff: [], effect: null } };
}

function isolate(explained: ExplainedFlow, direction: Direction, judge: Judge): Chosen | undefined {
  const context = sideContext(explained.context, direction);
  const [best] = explained[direction].candidates;
  if (best === undefined) return undefined;
  for (const draft of draftsFor(best, context, direction)) {
    const effect = judgeEdits(context.cluster, judge, explained.context.flow, [draft]);
    if (effect === undefined) continue;
    const name = shortName(direction === 'egress' ? context.from : context.to);
    const after = effect.changes[0]?.after;
    const outcome = outcomeOf(effect.verdict);
    const closes =
      after !== undefined &&
      after[direction].rules.length === 0 &&
      effect.judge.effectivePolicy(subjectEnd(explained, direction))?.[direction].policies.length === 1;
    const text = closes
      ? `this flow becomes ${outcome}; the policy has no rules, so ${direction === 'ingress' ? `nothing can connect to ${name}` : `${name} can connect to nothing`}`
      : flowText(effect);
    return verified(draft, effect, explained, text, undefined);
  }
  return undefined;
}

function subjectEnd({ context }: ExplainedFlow, direction: Direction): FlowEnd {
  return subjectOf(sideContext(context, direction), direction).end;
}

function verified(
  draft: Draft,
  { verdict, others }: EditEffect,
  explained: ExplainedFlow,
  text: string,
  blocker: number | undefined,
): Chosen {
  const written = explained.context.cluster.written(draft.policy);
  const outcome: Outcome = outcomeOf(verdict);
  return {
    draft,
    suggestion: {
      code: draft.code,
      ...(draft.lint === undefined ? {} : { lint: draft.lint }),
      applicability: 'likely',
      help: draft.help,
      edits: draft.edits,
      diff: written === undefined ? [] : diffOf(written, draft.edits),
      effect: {
        verdict: outcome,
        otherFlowsChanged: others.changed,
        ...(blocker === undefined ? {} : { removesBlocker: blocker }),
      },
      effectText: text,
    },
  };
}

function policyOf({ context }: ExplainedFlow, key: string): NetworkPolicy | undefined {
  return [...context.cluster.snapshot.policies.values()].find((policy) => policy.key === key);
}

/** What all edits of a flow do together, if it takes more than one. */
function combine(explained: ExplainedFlow, chosen: ReadonlyMap<Direction, Chosen>, judge: Judge): string | undefined {
  const drafts = [...chosen.values()].flatMap(({ draft }) => draft ?? []);
  const denied = directions.filter((direction) => explained[direction].side.verdict === 'deny').length;
  if (drafts.length < 2 || drafts.length !== denied) return undefined;
  const samePolicy = drafts[0]?.policy === drafts[1]?.policy;
  const edits = samePolicy
    ? drafts.slice(0, 1).map(({ policy }) => ({ policy, edits: drafts.flatMap((draft) => draft.edits) }))
    : drafts;
  const effect = judgeEdits(explained.context.cluster, judge, explained.context.flow, edits);
  return effect === undefined ? undefined : `with both edits ${flowText(effect)}`;
}

function flowText({ verdict, others }: EditEffect): string {
  return `this flow becomes ${outcomeOf(verdict)}${othersText(others)}`;
}

function othersText(others: OtherFlows): string {
  const { changed, alike, example } = others;
  if (changed === null) return '; there are too many other flows to judge them all';
  if (changed === 0) return ', no other judged flow changes';
  const like =
    alike === 0
      ? ''
      : alike === 1
        ? ', and so does the same flow of 1 like pod'
        : `, and so do ${alike} flows of like pods`;
  const rest = changed - alike;
  if (rest === 0) return `${like}; no other judged flow changes`;
  const shown =
    example === undefined
      ? ''
      : `, e.g. ${flowTitle(example.flow)} becomes ${example.verdict === 'deny' ? 'DENIED' : 'open'}`;
  return `${like}; ${rest} other judged ${rest === 1 ? 'flow changes' : 'flows change'}${shown}`;
}

function flowTitle({ from, to, protocol, port }: Flow): string {
  const name = (end: FlowEnd): string => (end.kind === 'pod' ? end.pod.key : (end.address ?? 'node'));
  return `${name(from)} -> ${name(to)} ${protocol}${port === undefined ? '' : ` ${port}`}`;
}
