/** What the kernel of a node does with the flows of an explanation, and whether that is what the policies say. */
import type { Provenance } from '../compiler/effective-policy.ts';
import { simulateFlow } from '../compiler/packet-path.ts';
import type { NodeOutcome } from '../compiler/packet-path.ts';
import type { DesiredRule, DesiredTable, Ruleset } from '../compiler/ruleset.ts';
import { lookups } from '../compiler/simulate.ts';
import type { Lookup } from '../compiler/simulate.ts';
import { BugError } from '../model/assert.ts';
import type { PodBinding } from '../model/binding.ts';
import type { Flow, FlowEnd } from '../model/flow.ts';
import type { NodeName, PodKey } from '../model/names.ts';
import type { Direction } from '../model/policy.ts';
import { err, ok } from '../model/result.ts';
import type { Result } from '../model/result.ts';
import { endTitle } from './explanation.ts';
import type { FlowStep, Outcome } from './explanation.ts';
import type { InstalledChain, InstalledDifference, InstalledFlow, InstalledStep } from './installed-answer.ts';

/** Chains that refuse what another chain decided to refuse. */
const refusing: ReadonlySet<string> = new Set(['closed', 'deny', 'deny-forged']);

/** A rule with what only the kernel knows. */
export interface RuleFacts {
  readonly handle?: number;
  readonly packets?: number;
  readonly more?: number;
}

/** A node whose rules were listed. */
export interface InstalledNode {
  readonly node: NodeName;
  readonly ruleset: Ruleset;
  readonly bindings: ReadonlyMap<PodKey, PodBinding>;
  /** Objects in our tables that are none of ours and cannot be followed. */
  readonly strange: readonly string[];
  /** Why the rules may be old: `the last apply failed 12 s ago: ...`. */
  readonly trouble?: string;
  /** Recorded packets of a denied flow. */
  readonly denied: (flow: Flow) => number | undefined;
}

/** Follows one flow through the listed rules of a node and compares with the explanation's step. */
export function compareFlow(installed: InstalledNode, step: FlowStep, flow: Flow): InstalledFlow {
  const base = {
    from: endTitle(step.from),
    to: endTitle(step.to),
    protocol: step.protocol,
    port: step.port ?? null,
    ...(step.ports === undefined ? {} : { ports: step.ports }),
    family: flow.family,
    policiesSay: step.verdict,
  };
  const { strange, node } = installed;
  const unknown = (what: string): InstalledFlow => {
    const why = `cannot be followed: table nftpolicy holds what the agent never writes: ${what}`;
    return { ...base, verdict: null, chains: [], differences: [], why };
  };
  if (strange.length > 0) return unknown(strange.slice(0, 3).join('; '));
  const here = (end: FlowEnd): boolean => end.kind === 'pod' && end.pod.node === node;
  const local: Readonly<Record<Direction, boolean>> = { egress: here(flow.from), ingress: here(flow.to) };
  const run = runInstalled(installed, flow);
  if (!run.ok) return unknown(run.error);
  const outcomes = run.value;
  if (outcomes.length === 0) {
    const why = `packets between ${base.from} and ${base.to} are not forwarded by ${node}: its rules do not judge them`;
    return { ...base, verdict: step.verdict, chains: [], differences: [], why };
  }
  const shown = outcomes.filter((outcome) => {
    if (outcome.verdict !== 'accept') return true;
    return outcome.family === 'inet' && local[directionOf(outcome)];
  });
  const chains = shown.map((outcome) => chainOf(installed, outcome, flow));
  const differences: InstalledDifference[] = [];
  let passes = true;
  for (const direction of ['egress', 'ingress'] as const) {
    const side = step[direction];
    const mine = outcomes.filter((outcome) => directionOf(outcome) === direction);
    const refusal = mine.find(({ verdict }) => verdict !== 'accept');
    const found = refusal === undefined ? 'allow' : 'deny';
    // A direction whose pod is elsewhere is not judged here: nothing of ours may drop its packets.
    const expected = local[direction] ? side.verdict : 'allow';
    if (found === 'deny' || (!local[direction] && side.verdict === 'deny')) passes = false;
    if (expected === 'unknown' || expected === found) continue;
    const judging = refusal ?? mine.findLast(({ family }) => family === 'inet');
    const text = differenceText(installed, step, direction, judging);
    differences.push({ node, direction, expected, found, text });
  }
  const verdict: Outcome =
    differences.length === 0
      ? step.verdict
      : passes
        ? step.verdict === 'DENIED'
          ? 'ALLOWED'
          : step.verdict
        : 'DENIED';
  return { ...base, verdict, chains, differences };
}

/** What each base chain of the node does with a flow. The error is an expression that no rule of ours has. */
export function runInstalled(installed: InstalledNode, flow: Flow): Result<readonly NodeOutcome[], string> {
  try {
    return ok(simulateFlow(flow, new Map([[installed.node, installed]])).outcomes);
  } catch (error) {
    // The rules are the kernel's, not ours: what the simulation does not know is a stranger's.
    if (!(error instanceof BugError)) throw error;
    return err(error.message.replace(/^cannot simulate /, ''));
  }
}

function directionOf({ chain }: NodeOutcome): Direction {
  return chain.endsWith('egress') ? 'egress' : 'ingress';
}

function chainOf(installed: InstalledNode, outcome: NodeOutcome, flow: Flow): InstalledChain {
  const { node, verdict, path, packet } = outcome;
  const table = tableOf(installed, outcome);
  const deciding = path.findLast(({ chain }) => !refusing.has(chain));
  const facts = factsOf(deciding?.rule);
  const counted = verdict === 'accept' ? facts.packets : (installed.denied(flow) ?? facts.packets);
  const comment = deciding?.rule.comment;
  const provenance = deciding?.rule.provenance ?? [];
  const found = path.flatMap(({ rule }) => (table === undefined ? [] : lookups(table, rule, packet)));
  return {
    node,
    direction: directionOf(outcome),
    chain: deciding?.chain ?? outcome.chain,
    handle: facts.handle ?? null,
    verdict,
    packets: counted ?? null,
    rules: provenance.map(({ policy, direction, index }) => ({ policy, direction, rule: index + 1 })),
    more: facts.more ?? 0,
    ...(comment === undefined || provenance.length > 0 ? {} : { comment }),
    lookups: found.map(({ set, element }) => ({ set, element: element ?? null })),
    path: installedPath(outcome),
  };
}

/** The rules that gave verdicts, in order, with their handles. */
export function installedPath({ family, path }: NodeOutcome): readonly InstalledStep[] {
  return path.map(({ chain, rule }, index) => {
    const next = path[index + 1];
    const { handle } = factsOf(rule);
    return { family, chain, handle: handle ?? null, verdict: verdictText(rule, next?.chain) };
  });
}

/** A verdict map gives what its element says: where the packet went next, or `accept` if nowhere. */
function verdictText(rule: DesiredRule, nextChain: string | undefined): string {
  for (const statement of rule.statements) {
    if ('accept' in statement) return 'accept';
    if ('drop' in statement) return 'drop';
    if ('reject' in statement) return 'reject';
    if ('return' in statement) return 'return';
    if ('goto' in statement) return `goto ${statement.goto.target}`;
    if ('jump' in statement) return `jump ${statement.jump.target}`;
  }
  return nextChain === undefined ? 'accept' : `goto ${nextChain}`;
}

function tableOf({ ruleset }: InstalledNode, { family }: NodeOutcome): DesiredTable | undefined {
  return ruleset.get(family);
}

function differenceText(
  installed: InstalledNode,
  step: FlowStep,
  direction: Direction,
  outcome: NodeOutcome | undefined,
): string {
  const trouble = installed.trouble === undefined ? '' : `; ${installed.trouble}`;
  if (outcome === undefined) return `no chain judges it${trouble}`;
  const deciding = outcome.path.findLast(({ chain }) => !refusing.has(chain));
  const { handle } = factsOf(deciding?.rule);
  const place = deciding === undefined ? `chain ${outcome.chain}` : `chain ${deciding.chain}${handleText(handle)}`;
  const side = step[direction];
  if (outcome.verdict === 'accept') {
    const { rules, more } = sourceOf(deciding?.rule);
    const who = rules === '' ? 'a rule of no policy' : `a rule of ${rules}${more}`;
    if (deciding === undefined) return `no rule concerns it, and policies isolate ${side.name}${trouble}`;
    if (deciding.chain === outcome.chain)
      return `its element in ${place} accepts everything, and policies isolate ${side.name}${trouble}`;
    return `${place} accepts it, ${who}, and no policy admits it${trouble}`;
  }
  const [admission] = side.admittedBy;
  if (admission === undefined) return `${place} drops it, and ${whyOpen(step, direction)}${trouble}`;
  const rule = `${admission.policy}, rule ${admission.rule}`;
  const present = rulesOf(installed, deciding?.chain, {
    policy: admission.policy as Provenance['policy'],
    direction,
    index: admission.rule - 1,
  }).filter((one) => !readsHeader(one, step.family === 'IPv6' ? 'ip' : 'ip6'));
  if (present.length === 0) return `${rule} is not installed in ${place}${trouble}`;
  const table = tableOf(installed, outcome);
  const missed = present.flatMap((one) =>
    table === undefined ? [] : lookups(table, one, outcome.packet).filter(({ element }) => element === undefined),
  );
  const [first] = missed;
  const because = first === undefined ? 'does not match' : `does not match: ${missText(first)}`;
  const { handle: at } = factsOf(present[0]);
  return `${rule} is installed as${handleText(at)} and ${because}; ${place} drops it${trouble}`;
}

function whyOpen(step: FlowStep, direction: Direction): string {
  const side = step[direction];
  return side.code === 'E001' ? `no policy isolates ${side.name}` : 'the policies let it pass';
}

/** Rules that were listed carry what the kernel knows of them. */
function factsOf(rule: DesiredRule | undefined): RuleFacts {
  return (rule ?? {}) as Partial<DesiredRule> & RuleFacts;
}

function missText({ set, key }: Lookup): string {
  return `set ${set} has no ${key}`;
}

function handleText(handle: number | undefined): string {
  return handle === undefined ? '' : ` handle ${handle}`;
}

function sourceOf(rule: DesiredRule | undefined): { readonly rules: string; readonly more: string } {
  const names = (rule?.provenance ?? []).map(({ policy, index }) => `${policy}, rule ${index + 1}`);
  const { more = 0 } = factsOf(rule);
  return { rules: names.join('; '), more: more === 0 ? '' : ` and ${more} more` };
}

/** Each policy rule has a twin for the other family, which this packet never matches. */
function readsHeader({ statements }: DesiredRule, protocol: 'ip' | 'ip6'): boolean {
  return JSON.stringify(statements).includes(`"protocol":"${protocol}"`);
}

function rulesOf(installed: InstalledNode, chain: string | undefined, wanted: Provenance): readonly DesiredRule[] {
  if (chain === undefined) return [];
  const rules = installed.ruleset.get('inet')?.chains.get(chain)?.rules ?? [];
  return rules.filter(({ provenance }) =>
    provenance.some(
      ({ policy, direction, index }) =>
        policy === wanted.policy && direction === wanted.direction && index === wanted.index,
    ),
  );
}
