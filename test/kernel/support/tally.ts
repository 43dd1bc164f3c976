import { caseStates } from '../../support/cases.ts';
import type { Skip } from './placement.ts';
import { isDisputed } from './run-case.ts';
import type { JobResult } from './run-case.ts';
import type { Mode } from './rig.ts';
import { topicOf } from './selection.ts';
import type { Selection } from './selection.ts';

/** The counts of one topic on one kind of node. */
export interface Tally {
  readonly topic: string;
  readonly mode: Mode;
  readonly cases: number;
  /** States applied, summed over nodes. */
  readonly states: number;
  /** Flows of the cases: each is judged by at least one node, or left out for a reason. */
  readonly flows: number;
  readonly judged: number;
  /** Questions put to the kernel: a flow between pods of two nodes is two. */
  readonly sent: number;
  readonly allowed: number;
  readonly denied: number;
  /** Of `sent`: decided by a documented gap. */
  readonly disputed: number;
  /** Of `disputed`: went the other way. */
  readonly differing: number;
  readonly wrong: number;
  /** Flows that no node judged. */
  readonly leftOut: ReadonlyMap<Skip, number>;
  /** Sent without rules, to show that only rules stop them. */
  readonly controls: number;
}

/** Counts the results of one topic on one kind of node. */
export function tally(topic: string, mode: Mode, selection: Selection, results: readonly JobResult[]): Tally {
  const chosen = selection.cases.filter(
    ({ conformanceCase, modes }) => topicOf(conformanceCase.case) === topic && modes.includes(mode),
  );
  const own = results.filter((result) => result.mode === mode && topicOf(result.conformanceCase.case) === topic);
  const shots = own.flatMap((result) => result.states.flatMap((state) => state.placement.shots));
  const fates = chosen.flatMap(({ conformanceCase }) => {
    const placements = own
      .filter((result) => result.conformanceCase === conformanceCase)
      .flatMap((result) => result.states);
    return caseStates(conformanceCase).flatMap(({ step, flows }) => {
      const here = placements.filter((state) => state.step === step).map((state) => state.placement);
      const judged = new Set(here.flatMap((placement) => placement.shots.map((shot) => shot.index)));
      return flows.map((_flow, index): Skip | 'judged' => {
        if (judged.has(index)) return 'judged';
        return here.some((placement) => placement.skipped.get(index) === 'open-side') ? 'open-side' : 'elsewhere';
      });
    });
  });
  const sum = (count: (result: JobResult) => number): number => own.reduce((total, result) => total + count(result), 0);
  const fate = (wanted: Skip | 'judged'): number => fates.filter((one) => one === wanted).length;
  return {
    topic,
    mode,
    cases: chosen.length,
    states: sum((result) => result.states.length),
    flows: fates.length,
    judged: fate('judged'),
    sent: shots.length,
    allowed: shots.filter((shot) => shot.expect === 'allow').length,
    denied: shots.filter((shot) => shot.expect === 'deny').length,
    disputed: shots.filter(isDisputed).length,
    differing: sum((result) => result.differing),
    wrong: sum((result) => result.wrong.length),
    leftOut: new Map([
      ['elsewhere', fate('elsewhere')],
      ['open-side', fate('open-side')],
    ]),
    controls: sum((result) => result.controls),
  };
}

/** How many questions were put to the kernel for each `mode family protocol`. */
export function coverage(results: readonly JobResult[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { mode, states } of results) {
    for (const { flow, source } of states.flatMap((state) => state.placement.shots)) {
      const key = `${mode} ${source.includes(':') ? 'IPv6' : 'IPv4'} ${flow.protocol}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
  }
  return counts;
}

/** The counts as a Markdown table, with totals. */
export function printTallies(tallies: readonly Tally[]): string {
  const rows = tallies.map((one) => [one.topic, one.mode, ...numbers(one)]);
  const totals = [...new Set(tallies.map((one) => one.mode))].map((mode) => {
    const own = tallies.filter((one) => one.mode === mode).map(numbers);
    return ['**all**', mode, ...headings.map((_heading, at) => own.reduce((total, row) => total + row[at]!, 0))];
  });
  return printTable(['topic', 'pods', ...headings], [...rows, ...totals]);
}

/** {@link coverage} as a Markdown table: a row for each kind of node and family. */
export function printCoverage(counts: ReadonlyMap<string, number>): string {
  const protocols = ['TCP', 'UDP', 'SCTP'];
  const places = [...new Set([...counts.keys()].map((key) => key.replace(/ \S+$/, '')))].sort();
  return printTable(
    ['pods', 'family', ...protocols],
    places.map((place) => [
      ...place.split(' '),
      ...protocols.map((protocol) => counts.get(`${place} ${protocol}`) ?? 0),
    ]),
  );
}

const headings = [
  'cases',
  'states applied',
  'flows',
  'judged',
  'no pod at an end',
  'side left open',
  'sent',
  'to allow',
  'to deny',
  '**wrong**',
  'disputed',
  'differing',
  'controls',
];

function numbers(one: Tally): number[] {
  const leftOut = (reason: Skip): number => one.leftOut.get(reason) ?? 0;
  return [
    one.cases,
    one.states,
    one.flows,
    one.judged,
    leftOut('elsewhere'),
    leftOut('open-side'),
    one.sent,
    one.allowed,
    one.denied,
    one.wrong,
    one.disputed,
    one.differing,
    one.controls,
  ];
}

function printTable(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cell = (value: string | number): string => (typeof value === 'number' ? value.toLocaleString('en') : value);
  const texts = [head, ...rows].map((row) => row.map(cell));
  const widths = head.map((_heading, at) => Math.max(...texts.map((row) => row[at]?.length ?? 0)));
  const right = head.map((_heading, at) => typeof rows[0]?.[at] === 'number');
  const line = (row: readonly string[]): string =>
    `| ${row.map((text, at) => (right[at] === true ? text.padStart(widths[at]!) : text.padEnd(widths[at]!))).join(' | ')} |`;
  const rule = widths.map((width, at) => (right[at] === true ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width)));
  return [line(texts[0]!), line(rule), ...texts.slice(1).map(line)].join('\n');
}
