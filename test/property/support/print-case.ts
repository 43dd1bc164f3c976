import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Answer, Question, RawObject } from '../../oracle/question.ts';
import { refOf } from '../../support/cluster-state.ts';
import type { Change } from '../../support/cluster-state.ts';
import type { ExpectedFlow } from '../../support/flow-line.ts';

/** A question that judges answered differently. `expected` is the oracle's answer. */
export interface Disagreement {
  readonly objects: readonly RawObject[];
  readonly question: Question;
  readonly expected: Answer;
  /** The other judge's name and answer. */
  readonly judge: string;
  readonly actual: Answer;
  /** Changes that led from `objects` to the state in question, if any. */
  readonly changes?: readonly Change[];
}

/** The disagreement as the two files of a fixture, with a headline. */
export function printCase(disagreement: Disagreement): string {
  const { expected, judge, actual, question } = disagreement;
  const answer = (one: Answer): string => `${one.verdict} (egress ${one.egress}, ingress ${one.ingress})`;
  const files = caseFiles(disagreement);
  return [
    `${question.from} -> ${question.to} ${question.port ?? ''}/${question.protocol} ${question.family ?? ''}`,
    `oracle:   ${answer(expected)}`,
    `${`${judge}:`.padEnd(9)} ${answer(actual)}`,
    '',
    'cluster.json:',
    files.cluster,
    'flows.json:',
    files.flows,
  ].join('\n');
}

/** Saves the disagreement as a fixture folder below `directory`, named by its content. Returns the folder. */
export function saveCase(disagreement: Disagreement, directory: string): string {
  const files = caseFiles(disagreement);
  const digest = createHash('sha256').update(files.cluster).update(files.flows).digest('hex');
  const folder = join(directory, `generated-${digest.slice(0, 8)}`);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'cluster.json'), files.cluster);
  writeFileSync(join(folder, 'flows.json'), files.flows);
  return folder;
}

function caseFiles(disagreement: Disagreement): { readonly cluster: string; readonly flows: string } {
  const { question, expected, changes } = disagreement;
  if (expected.verdict === 'unknown') throw new Error('the oracle always knows');
  const flow: ExpectedFlow = {
    ...question,
    expect: expected.verdict,
    ...sides(expected),
  };
  const steps = (changes ?? []).map((change, index) => ({
    delete: change.delete,
    apply: change.apply,
    flows: index === (changes?.length ?? 0) - 1 ? [flow] : [],
  }));
  return {
    cluster: printList(disagreement.objects),
    flows: printFlows(steps.length === 0 ? { flows: [flow] } : { steps }),
  };
}

function sides(answer: Answer): Pick<ExpectedFlow, 'egress' | 'ingress'> {
  return {
    ...(answer.egress === 'unknown' ? {} : { egress: answer.egress }),
    ...(answer.ingress === 'unknown' ? {} : { ingress: answer.ingress }),
  };
}

/** One object a line, namespaces and nodes first. */
function printList(objects: readonly RawObject[]): string {
  const ranks = ['Namespace', 'Node', 'Pod', 'NetworkPolicy'];
  const sorted = objects.toSorted((a, b) => ranks.indexOf(refOf(a).kind) - ranks.indexOf(refOf(b).kind));
  const lines = sorted.map((object) => JSON.stringify(object)).join(',\n');
  return `{"apiVersion":"v1","kind":"List","items":[\n${lines}\n]}\n`;
}

function printFlows(file: object): string {
  return `${JSON.stringify(file)}\n`;
}
