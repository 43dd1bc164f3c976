import { endTitle } from '../explain/explanation.ts';
import type { DnsStep, EndRef, FlowStep, SideExplanation, Step } from '../explain/explanation.ts';
import { codesText, portText } from './flow-words.ts';
import type { Paint } from './style.ts';

/** The steps of a Service question as a numbered table. */
export function renderWalk(steps: readonly Step[], paint: Paint): readonly string[] {
  const flows = steps.filter((step) => step.kind === 'flow');
  const rows: (readonly [word: string, text: string])[] = [];
  for (const step of steps) {
    if (step.kind === 'dns') rows.push(['dns', dnsText(step)]);
    else if (step.kind === 'service')
      rows.push(['service', `${step.text}${step.note === undefined ? '' : `  (${step.note})`}`]);
    else if (flows.length === 1) {
      const remark = step.remark === undefined ? '' : `  ${step.remark}`;
      rows.push(['egress', `${pairText(leaving(step))}  ${sideWord(step.egress)}`]);
      rows.push(['ingress', `${pairText(arriving(step))}  ${sideWord(step.ingress)}${remark}`]);
    } else {
      const alike = step.count > 1 ? `  (${step.count} alike)` : '';
      const remark = step.remark === undefined ? '' : `  ${step.remark}`;
      rows.push(['flow', `${pairText(step)}  ${step.verdict}${codesText(step.codes)}${remark}${alike}`]);
    }
  }
  const digits = String(rows.length).length;
  return rows.map(
    ([word, text], index) => `  ${paint('dim', String(index + 1).padStart(digits))} ${word.padEnd(7)}  ${text}`,
  );
}

function dnsText({ verdict, flows, server }: DnsStep): string {
  const [first] = flows;
  if (verdict === null || first === undefined) return `not judged: no endpoint of ${endTitle(server)} here`;
  const targets = [...new Set(flows.map(({ to }) => relative(to, first.from)))];
  const shown = targets.length === 1 ? (targets[0] ?? '') : `${targets[0]} and ${targets.length - 1} more`;
  const ports = [...new Set(flows.map(portText))].join(', ');
  const rules = [
    ...new Set(
      flows.flatMap(({ egress }) => egress.admittedBy.slice(0, 1).map(({ policy, rule }) => `${policy}, rule ${rule}`)),
    ),
  ];
  const by = verdict === 'ALLOWED' && rules.length > 0 ? `  ${rules.join('; ')}` : '';
  return `${relative(first.from, first.from)} -> ${shown}  ${ports}  ${verdict}${by}`;
}

type Pair = Pick<FlowStep, 'from' | 'to' | 'protocol' | 'port' | 'ports'>;

/** The packets as their own node sees them. */
function leaving({ legs, ...step }: FlowStep): Pair {
  if (legs === undefined) return step;
  const { from, protocol } = step;
  return { from, to: legs.to, protocol, ...(legs.port === undefined ? {} : { port: legs.port }) };
}

/** The packets as the node of the endpoint sees them. */
function arriving({ legs, ...step }: FlowStep): Pair {
  return legs === undefined ? step : { ...step, from: legs.from };
}

function pairText(step: Pair): string {
  return `${relative(step.from, step.from)} -> ${relative(step.to, step.from)}  ${portText(step)}`;
}

function sideWord({ verdict, admittedBy, code }: SideExplanation): string {
  if (verdict === 'deny') return 'DENIED';
  if (verdict === 'unknown') return 'UNKNOWN';
  const [first] = admittedBy;
  if (first !== undefined) return `ALLOWED  ${first.policy}, rule ${first.rule}`;
  return code === 'E001' ? 'ALLOWED  open' : 'ALLOWED';
}

/** The name alone inside the source's namespace. */
function relative(ref: EndRef, from: EndRef): string {
  const home = 'namespace' in from ? from.namespace : undefined;
  return ref.kind === 'Pod' && ref.namespace === home ? ref.name : endTitle(ref);
}
