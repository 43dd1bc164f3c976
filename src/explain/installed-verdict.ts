/** The answer of an explanation once kernels were asked: what packets meet comes first, then what policies say. */
import type { IpFamily } from '../model/ip.ts';
import type { NodeName } from '../model/names.ts';
import { directions } from '../model/policy.ts';
import { worst } from './explanation.ts';
import type { EndRef, Explanation, FlowStep, Outcome } from './explanation.ts';
import type { InstalledFlow } from './installed-answer.ts';

/** What was found on one node. */
export interface NodeFinding {
  readonly node: NodeName;
  /** The flows that were compared with its rules: of a step one for each family. */
  readonly met: ReadonlyMap<FlowStep, readonly InstalledFlow[]>;
  /** Nothing is enforced there, as far as is known: what only policies of its pods deny may pass. */
  readonly open: boolean;
}

type NodeOf = (end: EndRef) => NodeName | undefined;

/** An explanation with the word of all nodes that were asked; where none was, policies are believed. */
export function withNodes(explanation: Explanation, findings: readonly NodeFinding[], nodeOf: NodeOf): Explanation {
  const { steps, codes } = explanation;
  const all = findings.flatMap(({ met }) => [...met.values()].flat());
  const differs = all.some(({ verdict, differences }) => verdict === null || differences.length > 0);
  const outcomes = steps.flatMap((step) => {
    if (step.kind !== 'flow') return [];
    const compared = findings.flatMap(({ met }) => met.get(step) ?? []);
    const families = new Set([step.family, ...compared.map(({ family }) => family)]);
    return [...families].map((family) => outcomeOf(step, family, findings, nodeOf));
  });
  const verdict = worst([...beforeFlows(explanation), ...outcomes.map(({ outcome }) => outcome)]);
  const notEnforced = verdict === 'UNKNOWN' && outcomes.some(({ open }) => open);
  if (!differs && !notEnforced) return explanation;
  return {
    ...explanation,
    verdict,
    codes: [
      ...(differs ? (['E070'] as const) : []),
      ...(notEnforced ? (['E071'] as const) : []),
      ...(differs ? codes.filter((code) => code !== 'E070' && code !== 'E071') : []),
    ],
  };
}

/** What packets of a flow meet; `open` if nobody enforces what would deny it. */
function outcomeOf(
  step: FlowStep,
  family: IpFamily | null,
  findings: readonly NodeFinding[],
  nodeOf: NodeOf,
): { readonly outcome: Outcome; readonly open: boolean } {
  const flowsOn = ({ met }: NodeFinding): readonly InstalledFlow[] =>
    (met.get(step) ?? []).filter((flow) => flow.family === family);
  const differences = findings.flatMap(flowsOn).flatMap((flow) => flow.differences);
  const isUnread = (found: NodeFinding): boolean => flowsOn(found).some(({ verdict }) => verdict === null);
  const unread = new Set(findings.filter(isUnread).map(({ node }) => node));
  const unenforced = new Set(findings.filter((found) => found.open).map(({ node }) => node));
  let [doubt, open] = [unread.size > 0, false];
  for (const direction of directions) {
    const found = (what: 'allow' | 'deny'): boolean =>
      differences.some((difference) => difference.direction === direction && difference.found === what);
    if (found('deny')) return { outcome: 'DENIED', open: false };
    if (step[direction].verdict !== 'deny' || found('allow')) continue;
    const node = nodeOf(step[direction].subject);
    if (node !== undefined && unenforced.has(node)) open = true;
    else if (node === undefined || !unread.has(node)) return { outcome: 'DENIED', open: false };
    doubt = true;
  }
  if (doubt) return { outcome: 'UNKNOWN', open };
  const passes = differences.length > 0 && step.verdict === 'DENIED';
  return { outcome: passes ? 'ALLOWED' : step.verdict, open: false };
}

/** As in the answer itself, name resolution counts only where it is refused or undecided. */
function beforeFlows({ steps, codes }: Explanation): Outcome[] {
  const outcomes: Outcome[] = codes.includes('E061') ? ['UNKNOWN'] : [];
  for (const step of steps)
    if (step.kind === 'dns' && (step.verdict === 'DENIED' || step.verdict === 'UNKNOWN')) outcomes.push(step.verdict);
  return outcomes;
}
