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
      for (const side of [step.egress, step.ingress])
        rows.push([side.direction, `${pairText(step)}  ${sideWord(side)}`]);
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

function pairText(step: FlowStep): string {
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
