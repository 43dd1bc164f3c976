import * as fc from 'fast-check';
import { oracleJudge } from '../../oracle/oracle.ts';
import type { Answer, Judge, Question, RawObject } from '../../oracle/question.ts';
import { field, text } from '../../oracle/raw.ts';
import { applyChange } from '../../support/cluster-state.ts';
import type { History } from '../generators/changes.ts';
import type { Scenario } from '../generators/flows.ts';
import { printCase, saveCase } from './print-case.ts';
import type { Disagreement } from './print-case.ts';

/** How long and from where to search. */
export interface Search {
  /** Questions to judge at least. */
  readonly questions: number;
  /** The same seed makes the same search; left out, another one each time. */
  readonly seed?: number;
  /** Where a failure is saved as a fixture, if anywhere. */
  readonly saveTo?: string;
}

/** What a search without a finding has done. */
export interface Searched {
  readonly worlds: number;
  readonly questions: number;
}

/** Named judges to compare with the oracle. */
export type Judges = Readonly<Record<string, Judge>>;

/**
 * Asks the oracle and every judge about generated scenarios until enough questions are answered.
 *
 * Throws an error with the seed and the smallest case found if one disagrees or fails.
 */
export function searchScenarios(scenarios: fc.Arbitrary<Scenario>, judges: Judges, search: Search): Searched {
  return searchFor(scenarios, search, (scenario) => ({
    asked: scenario.questions.length,
    found: firstDisagreement(scenario.objects, scenario.questions, judges),
  }));
}

/** Like {@link searchScenarios}, over every state of generated histories; `judges` see each state afresh. */
export function searchHistories(histories: fc.Arbitrary<History>, judges: Judges, search: Search): Searched {
  return searchFor(histories, search, (history) => {
    let { objects } = history;
    let asked = history.questions.length;
    let found = firstDisagreement(objects, history.questions, judges);
    for (const [index, step] of history.steps.entries()) {
      if (found !== undefined) break;
      objects = applyChange(objects, step);
      asked += step.questions.length;
      const here = firstDisagreement(objects, step.questions, judges);
      found = here && { ...here, objects: history.objects, changes: history.steps.slice(0, index + 1) };
    }
    return { asked, found };
  });
}

/** The disagreement over the simplest question, if there is any. */
export function firstDisagreement(
  objects: readonly RawObject[],
  questions: readonly Question[],
  judges: Judges,
): Disagreement | undefined {
  const expectations = oracleJudge(objects, questions);
  const reading = hasUnseenNamespace(objects) ? closed : (answer: Answer): Answer => answer;
  const found: Disagreement[] = [];
  for (const [judge, ask] of Object.entries(judges)) {
    const answers = ask(objects, questions);
    if (answers.length !== questions.length) throw new Error(`${judge} left questions unanswered`);
    for (const [index, question] of questions.entries()) {
      const expected = expectations[index]!;
      const actual = reading(answers[index]!);
      if (!isSame(expected, actual)) found.push({ objects, question, expected, judge, actual });
    }
  }
  return found.toSorted((a, b) => JSON.stringify(a.question).length - JSON.stringify(b.question).length)[0];
}

/** What a judge makes of a selector over labels nobody has seen: an honest judge says unknown, the kernel drops. */
function closed(answer: Answer): Answer {
  const close = (side: Answer['verdict']): Answer['verdict'] => (side === 'unknown' ? 'deny' : side);
  return { verdict: close(answer.verdict), egress: close(answer.egress), ingress: close(answer.ingress) };
}

function hasUnseenNamespace(objects: readonly RawObject[]): boolean {
  const metadata = (object: RawObject, name: string): string | undefined =>
    text(field(field(object, 'metadata'), name));
  const seen = objects.filter((object) => object['kind'] === 'Namespace').map((object) => metadata(object, 'name'));
  return objects.some((object) => object['kind'] === 'Pod' && !seen.includes(metadata(object, 'namespace')));
}

function isSame(one: Answer, other: Answer): boolean {
  return one.verdict === other.verdict && one.egress === other.egress && one.ingress === other.ingress;
}

interface Outcome {
  readonly asked: number;
  readonly found: Disagreement | undefined;
}

/** Runs in rounds, because how many questions a scenario has is known only afterwards. */
function searchFor<T>(arbitrary: fc.Arbitrary<T>, search: Search, judge: (value: T) => Outcome): Searched {
  const roundSize = 50;
  const done = { worlds: 0, questions: 0 };
  for (let round = 0; done.questions < search.questions; round += 1) {
    const property = fc.property(arbitrary, (value) => {
      const { asked, found } = judge(value);
      done.worlds += 1;
      done.questions += asked;
      return found === undefined;
    });
    const seed = search.seed === undefined ? {} : { seed: search.seed + round };
    const details = fc.check(property, { numRuns: roundSize, ...seed });
    if (details.failed) throw new Error(report(details, search, judge));
  }
  return done;
}

/** Judges the smallest case once more, to say what is wrong with it. */
function report<T>(details: fc.RunDetails<[T]>, search: Search, judge: (value: T) => Outcome): string {
  const { counterexample, counterexamplePath, seed, numShrinks } = details;
  const head = `(seed ${seed}, path ${counterexamplePath}, shrunk ${numShrinks} times)`;
  if (counterexample === null) return `nothing was generated ${head}`;
  const [value] = counterexample;
  let found: Disagreement | undefined;
  try {
    found = judge(value).found;
  } catch (error) {
    return [`a judge failed ${head}`, error instanceof Error ? error.stack : String(error), JSON.stringify(value)].join(
      '\n',
    );
  }
  if (found === undefined) return `a judge disagrees only now and then ${head}\n${JSON.stringify(value)}`;
  const saved = search.saveTo === undefined ? [] : [`saved as ${saveCase(found, search.saveTo)}`];
  return [`the judges disagree ${head}`, printCase(found), ...saved].join('\n');
}
