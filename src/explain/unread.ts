import type { Cluster } from './cluster.ts';
import { countInputs } from './conclude.ts';
import type { Question } from './explain.ts';
import { worst } from './explanation.ts';
import type { EndRef, Explanation, FlowStep, MissingFact, Outcome, SideExplanation, Step } from './explanation.ts';

/** What could not be read, as far as answers depend on it. */
export interface UnreadFacts {
  /** Namespaces whose policies are not known; `all` if none is. */
  readonly policies: ReadonlySet<string> | 'all';
  /** Pods or nodes are not all known: an address may be somebody's. */
  readonly owners: boolean;
  /** Services are not all known: an address may lead to another one. */
  readonly services: boolean;
  /** What happened to the policies: they could not be read unless it is said. */
  readonly why?: string;
  /** What would help, one line each. */
  readonly help: readonly string[];
}

/** What of a cluster could not be read. */
export interface Unread extends UnreadFacts {
  /** Both ends of the question; those in `ends` may not be read, so nobody knows whether they exist and what they are. */
  readonly from: EndRef;
  readonly to: EndRef;
  readonly ends: readonly EndRef[];
}

/**
 * An answer as far as it holds without what could not be read: a side that unread policies could isolate or open is
 * undecided, and so is a flow of an address that could be a pod's or a node's.
 */
export function withUnread(explanation: Explanation, unread: UnreadFacts): Explanation {
  const missing: MissingFact[] = [];
  const steps = explanation.steps.map((step) => undecided(step, unread, missing));
  const isUnknown = missing.length > 0;
  if (!isUnknown) {
    return explanation.verdict === 'UNKNOWN'
      ? { ...explanation, help: [...explanation.help, ...unread.help] }
      : explanation;
  }
  const verdict = worst(steps.flatMap(outcomesOf));
  const codes = verdict === 'UNKNOWN' ? (['E090'] as const) : explanation.codes;
  const known = new Map([...explanation.missingFacts, ...missing].map((fact) => [JSON.stringify(fact), fact]));
  return {
    ...explanation,
    verdict,
    codes: verdict === 'DENIED' || verdict === 'UNKNOWN' ? codes : [],
    steps,
    missingFacts: verdict === 'UNKNOWN' ? [...known.values()] : explanation.missingFacts,
    // What was said of an open or closed side no longer holds.
    notes: [],
    warnings: explanation.warnings.filter(({ code }) => code !== undefined),
    help: [...explanation.help, ...unread.help],
  };
}

/** The answer where an end was not found that may not be read; `undefined` if every end may. */
export function withoutEnds(cluster: Cluster, question: Question, unread: Unread): Explanation | undefined {
  if (unread.ends.length === 0) return undefined;
  const { from, to, ends, help } = unread;
  return {
    verdict: 'UNKNOWN',
    codes: ['E090'],
    question: { from, to, protocol: question.protocol, port: question.port ?? null },
    steps: [],
    missingFacts: ends.map((object) => ({ object, facts: 'existence', neededBy: 'the question' })),
    assumptions: [],
    notes: [],
    warnings: [],
    help,
    inputs: countInputs(cluster),
  };
}

function outcomesOf(step: Step): readonly Outcome[] {
  if (step.kind === 'flow') return [step.verdict];
  return step.kind === 'dns' && (step.verdict === 'DENIED' || step.verdict === 'UNKNOWN') ? [step.verdict] : [];
}

function undecided(step: Step, unread: UnreadFacts, missing: MissingFact[]): Step {
  if (step.kind === 'flow') return undecidedFlow(step, unread, missing);
  if (step.kind !== 'dns' || step.verdict === null) return step;
  const flows = step.flows.map((flow) => undecidedFlow(flow, unread, missing));
  return { ...step, flows, verdict: worst(flows.map(({ verdict }) => verdict)) };
}

function undecidedFlow(step: FlowStep, unread: UnreadFacts, missing: MissingFact[]): FlowStep {
  const egress = undecidedSide(step.egress, unread, missing);
  const ingress = undecidedSide(step.ingress, unread, missing);
  const stranger = strangerOf(step, unread);
  const changed = egress !== step.egress || ingress !== step.ingress;
  if (stranger === undefined && !changed) return step;
  const sides = [egress.verdict, ingress.verdict];
  const judged: FlowStep = { ...step, egress, ingress, combined: undefined };
  const certain = sides.includes('deny') && stranger === undefined;
  if (certain) return { ...judged, egress: halfOpen(egress), ingress: halfOpen(ingress) };
  if (stranger !== undefined) missing.push(stranger);
  return { ...judged, verdict: 'UNKNOWN', codes: ['E090'] };
}

/** The other side is not decided: an edit opens this one and no more. */
function halfOpen(side: SideExplanation): SideExplanation {
  const suggestions = side.suggestions.map((suggestion) => ({
    ...suggestion,
    effect: suggestion.effect && { ...suggestion.effect, verdict: 'UNKNOWN' as const },
    effectText: `${side.direction} is open then; the other side stays undecided`,
  }));
  return suggestions.length === 0 ? side : { ...side, suggestions };
}

/** Whom an address may belong to, or a port of a node lead to. */
function strangerOf({ from, to }: FlowStep, { owners, services }: UnreadFacts): MissingFact | undefined {
  const doubtful = owners ? [from, to] : services ? [to] : [];
  const object = doubtful.find(({ kind }) => kind === 'Address' || kind === 'Block');
  if (object !== undefined) return { object, facts: 'owner', neededBy: 'whose address it is' };
  return services && to.kind === 'Node'
    ? { object: to, facts: 'ports', neededBy: 'whether its port leads to a Service' }
    : undefined;
}

/** Policies add up: what one admits stays admitted; what is open or refused without them may change. */
function undecidedSide(side: SideExplanation, { policies, why }: UnreadFacts, missing: MissingFact[]): SideExplanation {
  const namespace = namespaceOf(side.subject);
  if (namespace === undefined || (policies !== 'all' && !policies.has(namespace))) return side;
  if (side.code !== 'E001' && side.verdict !== 'deny') return side;
  missing.push({
    object: { kind: 'Namespace', name: namespace },
    facts: 'policies',
    neededBy: `${side.direction} of ${side.name}`,
  });
  return {
    ...side,
    verdict: 'unknown',
    code: 'E090',
    isolated: 'unknown',
    why: `undecided (the policies of namespace ${JSON.stringify(namespace)} ${why ?? 'could not be read'})`,
    // What misses a denied side misses it still; what nearly closes an open one may not be needed.
    closest: side.verdict === 'deny' ? side.closest : [],
    none: undefined,
    suggestions: [],
  };
}

function namespaceOf(ref: EndRef): string | undefined {
  return 'namespace' in ref ? ref.namespace : undefined;
}
