import type { FlowChange, FlowDiff, SideChange, SideState, StrayPods } from '../explain/changes.ts';
import { isEmptyDiff } from '../explain/changes.ts';
import type { FlowBlock } from '../explain/end-sets.ts';
import { vacantPairs } from '../explain/matrix.ts';
import { cellWidth } from './display-width.ts';
import { blockNames, portListText } from './flow-sets.ts';
import type { Paint } from './style.ts';

/** One line of a diff, in words. */
export interface ChangeWords {
  readonly sign: '+' | '-';
  readonly from: string;
  readonly to: string;
  readonly ports: string;
  readonly effect: string;
  /** Two for each side that decides otherwise: before and now. */
  readonly reasons: readonly string[];
}

/** Every block of flows that changes, in words. */
export function changeWords(diff: FlowDiff): readonly ChangeWords[] {
  const vacant = vacantPairs(diff.ends);
  return diff.flows.map((block: FlowBlock<FlowChange>): ChangeWords => {
    const { effect, before, after, family, ports, sides } = block.fact;
    const certain = before !== 'unknown' && after !== 'unknown';
    const [now, maybe] =
      effect === 'opened' ? ['newly allowed', 'may pass now'] : ['no longer allowed', 'may not pass now'];
    return {
      sign: effect === 'opened' ? '+' : '-',
      ...blockNames(block, diff.ends, vacant),
      ports: `${portListText(ports)}${family === undefined ? '' : ` (${family})`}`,
      effect: certain ? now : `${maybe} (facts are missing)`,
      reasons: sides.flatMap(sideWords),
    };
  });
}

/** The change for people: what opens, what closes, what is isolated or not any more, what is only in one state. */
export function renderDiff(diff: FlowDiff, paint: Paint): string {
  if (isEmptyDiff(diff)) return 'no flow changes\n';
  const changes = changeWords(diff);
  const titles = changes.map(({ sign, from, to }) => `${sign} ${from} -> ${to}`);
  const titleWidth = column(titles);
  const portWidth = column(changes.map(({ ports }) => ports));
  const flows = changes.flatMap(({ sign, ports, effect, reasons }, index) => {
    const line = `${pad(titles[index] ?? '', titleWidth)}  ${pad(ports, portWidth)}  ${effect}`;
    return [paint(sign === '+' ? 'good' : 'bad', line), ...reasons.map((reason) => `    ${reason}`)];
  });
  const isolation = isolationWords(diff).map((line) => paint('care', `! ${line}`));
  const sections = [flows, isolation, strayLines(diff), [summary(diff)]].filter((lines) => lines.length > 0);
  return `${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`;
}

/** `2 blocks of flows open, 1 closes; 1 isolation change`. */
export function summary({ flows, isolation, added, removed }: FlowDiff): string {
  const opened = flows.filter(({ fact }) => fact.effect === 'opened').length;
  return [
    `${opened} opened`,
    `${flows.length - opened} closed`,
    `${isolation.length} isolation ${isolation.length === 1 ? 'change' : 'changes'}`,
    ...(added.length === 0 ? [] : [`${countPods(added)} added`]),
    ...(removed.length === 0 ? [] : [`${countPods(removed)} removed`]),
  ].join(', ');
}

/** `shop/db  ingress is isolated now, by shop/db`. */
export function isolationWords({ ends, isolation }: FlowDiff): readonly string[] {
  return isolation.map(({ pods, direction, after, policies }) => {
    const name = ends[pods]?.name ?? '?';
    return after === 'isolated'
      ? `${name}  ${direction} is isolated now, by ${policies.join(', ')}`
      : `${name}  ${direction} is unprotected now; before, ${policies.join(', ')} isolated it`;
  });
}

/** What is only in one of the states: its flows are not compared. */
export function strayLines({ added, removed, addedNodes, removedNodes }: FlowDiff): readonly string[] {
  return [
    ...added.map((pods) => `only in new: pods ${strayWords(pods)}`),
    ...removed.map((pods) => `only in old: pods ${strayWords(pods)}`),
    ...(addedNodes.length === 0 ? [] : [`only in new: nodes ${addedNodes.join(', ')}`]),
    ...(removedNodes.length === 0 ? [] : [`only in old: nodes ${removedNodes.join(', ')}`]),
  ];
}

function strayWords({ name, pods, unprotected }: StrayPods): string {
  const count = pods.length === 1 ? '' : ` (${pods.length} pods)`;
  return `${name}${count}, ${unprotected.length === 0 ? 'isolated' : `unprotected ${[...unprotected].reverse().join(' and ')}`}`;
}

function countPods(strays: readonly StrayPods[]): string {
  const count = strays.reduce((sum, { pods }) => sum + pods.length, 0);
  return count === 1 ? '1 pod' : `${count} pods`;
}

function sideWords({ direction, before, after }: SideChange): readonly string[] {
  return [`${direction} before: ${stateWords(before)}`, `${direction} now: ${stateWords(after)}`];
}

function stateWords({ verdict, reason, admittedBy, policies }: SideState): string {
  if (admittedBy !== undefined) return `admitted by ${admittedBy.policy}, rule ${admittedBy.index + 1}`;
  if (reason === 'not-isolated') return 'open (no policy isolates)';
  if (verdict === 'allow') return `exempt (${reason.replaceAll('-', ' ')})`;
  const names = policies.join(', ');
  return verdict === 'deny' ? `isolated by ${names}; no rule admits` : `undecided by ${names}`;
}

function column(texts: readonly string[]): number {
  const longest = 60;
  return Math.max(0, ...texts.map(cellWidth).filter((width) => width <= longest));
}

function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - cellWidth(text)));
}
