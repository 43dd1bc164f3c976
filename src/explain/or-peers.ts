import type { Judge } from '../compiler/judge.ts';
import { directions } from '../model/policy.ts';
import type { Direction } from '../model/policy.ts';
import type { FieldPath } from '../model/source-ref.ts';
import { judgeEdits } from './counterfactual.ts';
import { diffOf } from './edit-text.ts';
import type { Suggestion } from './explanation.ts';
import { outcomeOf } from './flow-step.ts';
import type { ExplainedFlow } from './flow-step.ts';

/**
 * A rule with a lone namespaceSelector and a lone podSelector in neighbouring entries admits either; often one dash
 * too many. Where such a rule admits the flow and only one of the two matches, the edit that joins them is shown.
 */
export function orPeersHelp(explained: ExplainedFlow, judge: Judge): ExplainedFlow {
  if (explained.step.verdict !== 'ALLOWED') return explained;
  for (const direction of directions) {
    const suggestion = joinHint(explained, direction, judge);
    if (suggestion === undefined) continue;
    const { side } = explained[direction];
    const changed = { ...side, suggestions: [...side.suggestions, suggestion] };
    return {
      ...explained,
      [direction]: { ...explained[direction], side: changed },
      step: { ...explained.step, [direction]: changed },
    };
  }
  return explained;
}

function joinHint(explained: ExplainedFlow, direction: Direction, judge: Judge): Suggestion | undefined {
  const { context } = explained;
  const [admission] = explained[direction].side.admittedBy;
  if (admission === undefined) return undefined;
  const policy = [...context.cluster.snapshot.policies.values()].find(({ key }) => key === admission.policy);
  const rule = policy?.[direction].rules[admission.rule - 1];
  const written = policy === undefined ? undefined : context.cluster.written(policy);
  if (policy === undefined || written === undefined || rule === undefined || rule.peers === 'any') return undefined;
  for (const [index, peer] of rule.peers.entries()) {
    const next = rule.peers[index + 1];
    if (peer.kind !== 'pods' || next?.kind !== 'pods') continue;
    const [a, b] = [loneSelector(peer), loneSelector(next)];
    if (a === undefined || b === undefined || a === b) continue;
    const path: FieldPath = ['spec', direction, rule.index, direction === 'egress' ? 'to' : 'from', index + 1];
    const key = written.locate([...path, b])?.key;
    const dash =
      key === undefined
        ? -1
        : written.text
            .line(key.start.line)
            .slice(0, key.start.column - 1)
            .lastIndexOf('-');
    if (key === undefined || dash < 0) continue;
    const start = { line: key.start.line, column: dash + 1 };
    const edits = [
      { span: { file: key.file, start, end: { line: start.line, column: start.column + 1 } }, newText: ' ' },
    ];
    const effect = judgeEdits(context.cluster, judge, context.flow, [{ policy, edits }]);
    if (effect?.verdict.verdict !== 'deny') continue;
    return {
      code: 'E002',
      lint: 'NP201',
      applicability: 'likely',
      help: 'the dash makes two entries, and either admits; remove the dash if a pod must match both selectors',
      edits,
      diff: diffOf(written, edits),
      effect: { verdict: outcomeOf(effect.verdict), otherFlowsChanged: effect.others.changed },
      effectText: `this flow becomes DENIED, only pods that match both are admitted`,
    };
  }
  return undefined;
}

function loneSelector(peer: {
  readonly namespaceSelector?: unknown;
  readonly podSelector?: unknown;
}): 'namespaceSelector' | 'podSelector' | undefined {
  if (peer.namespaceSelector === undefined) return 'podSelector';
  return peer.podSelector === undefined ? 'namespaceSelector' : undefined;
}
