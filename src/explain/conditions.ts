import { every } from '../model/flow.ts';
import type { Answer } from '../model/flow.ts';
import type { FieldPath } from '../model/source-ref.ts';
import type { Span } from '../model/diagnostic.ts';
import type { RuleTrace } from '../compiler/trace.ts';
import type { Direction } from '../model/policy.ts';
import type { WrittenObject } from './cluster.ts';
import type { LintCode, ReasonCode } from './codes.ts';
import type { ConditionAnswer, MissingFact } from './explanation.ts';
import type { FlowContext } from './flow-context.ts';
import { peerGroups } from './peer-conditions.ts';
import { portGroup } from './port-conditions.ts';

/** One written place of a condition: what is there, what is so, and where. */
export interface ConditionPart {
  readonly kind: ConditionAnswer['kind'];
  readonly answer: Answer;
  readonly code?: ReasonCode;
  readonly expected?: string;
  readonly actual?: string | null;
  readonly path: FieldPath;
  readonly span?: Span;
  readonly label: string;
  readonly needs?: Pick<MissingFact, 'object' | 'facts'>;
}

/** A written condition of a rule: a selector, a block, its exceptions or the ports. */
export interface ConditionGroup {
  readonly kind: ConditionAnswer['kind'];
  readonly answer: Answer;
  readonly parts: readonly ConditionPart[];
  /** Requirements that fail, for the ranking. */
  readonly failing: number;
  /** How far the failing texts are from the facts, for the ranking. */
  readonly distance: number;
  readonly facts: readonly string[];
  readonly lint?: LintCode;
}

/** The conditions of a rule, seen through its best peer and its best port entry. */
export interface RuleConditions {
  readonly groups: readonly ConditionGroup[];
  readonly failing: number;
  readonly requirements: number;
  readonly distance: number;
  /** Index of the best peer; absent if the rule names none. */
  readonly peer?: number;
  readonly port?: number;
}

/** Where the rules of one policy are written and which question they are asked. */
export interface RuleContext {
  readonly context: FlowContext;
  readonly direction: Direction;
  readonly written: WrittenObject | undefined;
  readonly policyNamespace: string;
}

/** Looks at a rule as the evaluation saw it. */
export function ruleConditions(rule: RuleTrace, context: RuleContext): RuleConditions {
  const path: FieldPath = ['spec', context.direction, rule.rule.provenance.index];
  if (rule.rule.invalid) {
    const part: ConditionPart = { kind: 'invalid', answer: 'no', code: 'E022', path, label: 'refused' };
    return summarize([{ kind: 'invalid', answer: 'no', parts: [part], failing: 1, distance: 0, facts: [] }]);
  }
  const ports =
    rule.rule.ports === 'any'
      ? undefined
      : best(rule.ports.map((port) => portGroup(port, [...path, 'ports'], context)));
  const peersPath = [...path, context.direction === 'egress' ? 'to' : 'from'];
  const peers =
    rule.rule.peers === 'any' ? undefined : best(rule.peers.map((peer) => peerGroups(peer, peersPath, context)));
  return {
    ...summarize([...(peers?.item ?? []), ...(ports === undefined ? [] : [ports.item])]),
    ...(peers === undefined ? {} : { peer: peers.index }),
    ...(ports === undefined ? {} : { port: ports.index }),
  };
}

function summarize(groups: readonly ConditionGroup[]): RuleConditions {
  const failing = groups.filter(({ answer }) => answer === 'no');
  return {
    groups,
    failing: failing.length,
    requirements: failing.reduce((sum, group) => sum + group.failing, 0),
    distance: failing.reduce((sum, group) => sum + group.distance, 0),
  };
}

/** The alternative that matches, else the one that fails least; of equals the first. */
function best<T extends ConditionGroup | readonly ConditionGroup[]>(
  items: readonly T[],
): { readonly item: T; readonly index: number } | undefined {
  let found: { item: T; index: number; rank: readonly number[] } | undefined;
  for (const [index, item] of items.entries()) {
    const groups = Array.isArray(item) ? (item as readonly ConditionGroup[]) : [item as ConditionGroup];
    const { failing, requirements, distance } = summarize(groups);
    const answer = every(groups.map((group) => group.answer));
    const rank = [answer === 'yes' ? 0 : answer === 'unknown' ? 1 : 2, failing, requirements, distance];
    if (found === undefined || compareRanks(rank, found.rank) < 0) found = { item, index, rank };
  }
  return found;
}

/** Compares lists of numbers, the first difference decides. */
export function compareRanks(a: readonly number[], b: readonly number[]): number {
  for (const [index, value] of a.entries()) {
    const difference = value - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** A condition as JSON shows it. */
export function toConditionAnswer(part: ConditionPart): ConditionAnswer {
  const { kind, answer, code, expected, actual, span } = part;
  return {
    kind,
    matched: answer === 'yes',
    ...(code === undefined ? {} : { code }),
    ...(expected === undefined ? {} : { expected }),
    ...(actual === undefined ? {} : { actual }),
    ...(span === undefined ? {} : { span }),
  };
}
