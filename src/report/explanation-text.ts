import { relatedLint } from '../explain/codes.ts';
import { placeText } from '../model/diagnostic.ts';
import { endTitle } from '../explain/explanation.ts';
import type {
  EndRef,
  Explanation,
  FlowStep,
  MissingFact,
  NearMiss,
  Outcome,
  PolicyAnswer,
  SideExplanation,
} from '../explain/explanation.ts';
import { fact, gutter, gutterWidth, renderFrame, renderSuggestion } from './source-frame.ts';
import type { FrameStyle } from './source-frame.ts';
import { codesText, flowTitle, portText } from './flow-words.ts';
import { renderInstalled } from './installed-text.ts';
import type { Tone } from './style.ts';
import { renderWalk } from './walk-text.ts';

/** How an explanation is printed. */
export interface TextStyle extends FrameStyle {
  /** Also the policies that do not apply, and three near misses instead of one. */
  readonly wide: boolean;
}

const tones: Readonly<Record<Outcome, Tone>> = { ALLOWED: 'good', DENIED: 'bad', UNPROTECTED: 'care', UNKNOWN: 'care' };

/** An explanation for people: the verdict first, then the lines that decide it, then what would help. */
export function renderExplanation(explanation: Explanation, style: TextStyle): string {
  const flows = explanation.steps.filter((step) => step.kind === 'flow');
  const service = explanation.steps.find((step) => step.kind === 'service');
  const blocked = blockedDns(explanation.steps);
  const parts: string[][] = [[headline(explanation, flows, style)]];
  if (service !== undefined) parts.push([...renderWalk(explanation.steps, style.paint)]);
  else if (flows.length > 1) parts.push(flowTable(flows));
  const blockers = blockerCount(explanation, flows);
  let blocker = 0;
  const section = (side: SideExplanation, title: string, total: number): void => {
    const denied = side.verdict === 'deny';
    if (denied) blocker += 1;
    parts.push(renderSide(side, `${total > 1 && denied ? `${blocker}. ` : ''}${title}`, style));
  };
  for (const flow of blocked) {
    for (const side of [flow.egress, flow.ingress]) {
      if (side.verdict === 'deny')
        section(side, `${sideTitle(side)}, DNS to ${endTitle(flow.to)} ${portText(flow)}`, blockers);
    }
  }
  for (const flow of shownFlows(flows)) {
    const many = flows.length > 1;
    if (many) {
      parts.push([style.paint('strong', `-- ${flowTitle(flow)}: ${flow.verdict}${codesText(flow.codes)}`)]);
      blocker = 0;
    }
    const sides = [flow.egress, flow.ingress];
    const closed = sides.filter(({ verdict }) => verdict !== 'allow');
    const shown = service !== undefined && closed.length > 0 && !style.wide ? closed : sides;
    for (const side of shown) section(side, sideTitle(side), many ? deniedSides(flow) : blockers);
    if (many && flow.combined !== undefined) parts.push([`note: ${flow.combined}`]);
  }
  const remarks = [
    ...(flows.length === 1 && flows[0]?.combined !== undefined ? [`note: ${flows[0].combined}`] : []),
    ...explanation.notes.map((note) => `note: ${note}`),
    ...explanation.warnings.map(
      ({ code, text }) => `${style.paint('care', code === undefined ? 'warning:' : `warning[${code}]:`)} ${text}`,
    ),
  ];
  if (remarks.length > 0) parts.push(remarks);
  const missing = [
    ...(explanation.missingFacts.length === 0 ? [] : ['missing facts:', ...missingLines(explanation.missingFacts)]),
    ...explanation.assumptions.filter(({ text }) => text !== '').map(({ text }) => `assumed: ${text}`),
    ...explanation.help.map((text) => `${style.paint('strong', 'help:')} ${text}`),
  ];
  if (missing.length > 0) parts.push(missing);
  if (explanation.installed !== undefined) parts.push(...renderInstalled(explanation.installed, style));
  parts.push(footer(explanation));
  return `${parts.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

/** The first line: the outcome, its codes if it is a refusal, and the question as it was understood. */
export function headline(explanation: Explanation, flows: readonly FlowStep[], { paint }: TextStyle): string {
  const { verdict, codes, question, steps } = explanation;
  const isRefusal = verdict === 'DENIED' || verdict === 'UNKNOWN' || codes.includes('E070');
  const [only] = flows;
  const service = steps.find((step) => step.kind === 'service');
  const from =
    only === undefined || flows.some((flow) => !sameEnd(flow.from, only.from))
      ? question.from
      : shownEnd(question.from, only.from);
  const target = only === undefined || flows.some((flow) => !sameEnd(flow.to, only.to)) ? undefined : only.to;
  let to: string;
  if (service === undefined) to = endTitle(target === undefined ? question.to : shownEnd(question.to, target));
  else {
    const many = service.endpoints.length === 0 ? 'no endpoint' : `${service.endpoints.length} endpoints`;
    const head = `${endTitle(question.to)}${question.port === null ? '' : `:${question.port}`}`;
    to = `${head} -> ${target === undefined || service.endpoints.length !== 1 ? many : endTitle(target)}`;
  }
  const port =
    flows.length === 0 ? `${question.protocol}${question.port === null ? '' : ` ${question.port}`}` : portsText(flows);
  const blockers = blockerCount(explanation, flows);
  const more = blockers > 1 && flows.length <= 1 ? `  ${blockers} blockers` : '';
  const alike = flows.length === 1 && (only?.count ?? 1) > 1 ? `  (${only?.count} flows alike)` : '';
  return `${paint(tones[verdict], `${verdict}${isRefusal ? codesText(codes) : ''}`)}${onText(verdict, flows)}  ${endTitle(from)} -> ${to}${port === '' ? '' : `  ${port}`}${more}${alike}`;
}

function portsText(flows: readonly FlowStep[]): string {
  const texts = new Set(flows.map(portText));
  return texts.size === 1 ? ([...texts][0] ?? '') : '';
}

/** A workload keeps its name in titles; an address that turned out to be a pod is that pod. */
function shownEnd(asked: EndRef, found: EndRef): EndRef {
  return asked.kind === 'Pod' || asked.kind === 'Address' || asked.kind === 'Node' || asked.kind === 'Service'
    ? found
    : asked;
}

function sameEnd(a: EndRef, b: EndRef): boolean {
  return endTitle(a) === endTitle(b);
}

/** `on 1 of 3 endpoints`, if not all answers are the worst. */
function onText(verdict: Outcome, flows: readonly FlowStep[]): string {
  const sum = (some: readonly FlowStep[]): number => some.reduce((total, { count }) => total + count, 0);
  const total = sum(flows);
  const bad = sum(flows.filter((flow) => flow.verdict === verdict));
  if (flows.length <= 1 || bad === total || bad === 0) return '';
  const [first] = flows;
  const [from, to, ports] = [
    flows.some((flow) => first !== undefined && !sameEnd(flow.from, first.from)),
    flows.some((flow) => first !== undefined && !sameEnd(flow.to, first.to)),
    flows.some(({ ports }) => ports !== undefined),
  ];
  const remarks = flows.some(({ remark }) => remark !== undefined);
  const noun =
    Number(from) + Number(to) + Number(ports) > 1
      ? 'flows'
      : ports
        ? 'port ranges'
        : to
          ? 'endpoints'
          : from
            ? remarks
              ? 'ways in'
              : 'sources'
            : 'flows';
  return ` on ${bad} of ${total} ${noun}`;
}

/** Blockers of the one flow asked about, its name resolution included. */
function blockerCount({ steps }: Explanation, flows: readonly FlowStep[]): number {
  const [only] = flows;
  const asked = flows.length === 1 && only !== undefined ? [only] : [];
  return [...blockedDns(steps), ...asked].reduce((sum, flow) => sum + deniedSides(flow), 0);
}

function deniedSides({ verdict, egress, ingress }: FlowStep): number {
  return verdict === 'DENIED' ? [egress, ingress].filter((side) => side.verdict === 'deny').length : 0;
}

function blockedDns(steps: Explanation['steps']): readonly FlowStep[] {
  return steps.flatMap((step) =>
    step.kind === 'dns' && step.verdict === 'DENIED'
      ? step.flows.filter(({ verdict }) => verdict === 'DENIED').slice(0, 1)
      : [],
  );
}

function flowTable(flows: readonly FlowStep[]): string[] {
  const words = flows.map(({ verdict, codes }) => `${verdict}${codesText(codes)}`);
  const width = Math.max(...words.map((word) => word.length));
  return flows.map((flow, index) => {
    const alike = flow.count > 1 ? `  (${flow.count} alike)` : '';
    const remark = flow.remark === undefined ? '' : `  ${flow.remark}`;
    return `  ${(words[index] ?? '').padEnd(width)}  ${flowTitle(flow)}${remark}${alike}`;
  });
}

/** One flow of every kind of answer, worst first. */
function shownFlows(flows: readonly FlowStep[]): readonly FlowStep[] {
  const kinds = new Map<string, FlowStep>();
  for (const flow of flows) {
    const key = `${flow.verdict}${codesText(flow.codes)}`;
    if (!kinds.has(key)) kinds.set(key, flow);
  }
  const order: readonly Outcome[] = ['DENIED', 'UNKNOWN', 'UNPROTECTED', 'ALLOWED'];
  return [...kinds.values()].sort((a, b) => order.indexOf(a.verdict) - order.indexOf(b.verdict)).slice(0, 3);
}

function sideTitle({ direction, name }: SideExplanation): string {
  return direction === 'egress' ? `egress from ${name}` : `ingress to ${name}`;
}

function renderSide(side: SideExplanation, title: string, style: TextStyle): string[] {
  const lines = [`${title}: ${statusText(side)}`];
  const undecided = side.verdict !== 'allow';
  const table = [...(undecided || style.wide ? side.policies : []), ...(style.wide ? side.notApplicable : [])];
  lines.push(...policyTable(table));
  const admissions = style.wide ? side.admittedBy : side.admittedBy.slice(0, 1);
  for (const { frame } of admissions) if (frame !== undefined) lines.push(...renderFrame(frame, style));
  const shown = side.closest.slice(0, style.wide ? 3 : 1);
  for (const miss of shown) lines.push(...renderNearMiss(miss, style));
  if (side.none !== undefined) lines.push(`  closest: none; ${side.none} [${side.code}]`);
  for (const suggestion of side.suggestions) lines.push(...renderSuggestion(suggestion, style));
  return lines;
}

function statusText({ verdict, why, admittedBy, policies, isolated }: SideExplanation): string {
  if (why !== undefined) return why;
  const [first] = admittedBy;
  if (verdict === 'allow' && first !== undefined) {
    const more =
      admittedBy.length === 1
        ? ''
        : admittedBy.length === 2
          ? ' (and 1 more rule)'
          : ` (and ${admittedBy.length - 1} more rules)`;
    return `admitted by ${first.policy}, rule ${first.rule}${more}`;
  }
  if (verdict === 'unknown') return isolated === 'yes' ? 'isolated, undecided' : 'undecided';
  return `isolated, admitted by none of ${policies.length} ${policies.length === 1 ? 'policy' : 'policies'}`;
}

function policyTable(policies: readonly PolicyAnswer[]): readonly string[] {
  const rows = policies.map(({ answer, policy, span, summary }) => [
    answer,
    policy,
    span === undefined ? '-' : placeText(span),
    summary,
  ]);
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`);
}

function renderNearMiss({ title, code, frame, facts, lint }: NearMiss, style: TextStyle): readonly string[] {
  const lines = [`  closest: ${title} [${code}]`];
  if (frame === undefined) return lines;
  lines.push(...renderFrame(frame, style));
  const all = [...facts, ...(lint === undefined ? [] : [`lint rule: ${lint} ${relatedLint[lint]}`])];
  if (all.length === 0) return lines;
  const width = gutterWidth(frame.lines.map(({ number }) => number));
  return [...lines, gutter(width, undefined, '', style.paint), ...all.map((text) => fact(width, text, style.paint))];
}

const factOrder = ['labels', 'addresses', 'ports', 'node'];

function missingLines(missing: readonly MissingFact[]): readonly string[] {
  const byObject = new Map<string, Set<string>>();
  for (const { object, facts } of missing) {
    const title = object.kind === 'Namespace' ? `namespace ${object.name}` : titleWithKind(object);
    const known = byObject.get(title) ?? new Set();
    byObject.set(title, known.add(facts));
  }
  return [...byObject].map(
    ([title, facts]) =>
      `  ${title}: ${[...facts].sort((a, b) => factOrder.indexOf(a) - factOrder.indexOf(b)).join(', ')}`,
  );
}

function titleWithKind(object: EndRef): string {
  const { kind } = object;
  return kind === 'Pod' || kind === 'Address' || kind === 'Block'
    ? `${kind.toLowerCase()} ${endTitle(object)}`
    : endTitle(object);
}

function footer({ inputs }: Explanation): string[] {
  const count = (number: number, one: string, many: string): string => `${number} ${number === 1 ? one : many}`;
  const { policies, pods, services, namespaces, nodes, files } = inputs;
  const all = [
    count(policies, 'policy', 'policies'),
    count(pods, 'pod', 'pods'),
    count(services, 'service', 'services'),
    count(namespaces, 'namespace', 'namespaces'),
    count(nodes, 'node', 'nodes'),
  ];
  const shown =
    files.length > 4 ? `${files.slice(0, 3).join(', ')} and ${files.length - 3} more files` : files.join(', ');
  return [`judged ${all.join(', ')} from ${shown}`, 'not judged: node firewalls, service meshes, other policy kinds'];
}
