import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { oracleJudge } from '../oracle/oracle.ts';
import type { Answer, Judge, Question, RawObject } from '../oracle/question.ts';
import { field, items } from '../oracle/raw.ts';
import { refOf } from '../support/cluster-state.ts';
import { arbScenario } from './generators/flows.ts';
import type { Scenario } from './generators/flows.ts';
import { arbPolicy, policyObject } from './generators/policies.ts';
import { evaluateJudge } from './support/judges.ts';

// Laws that hold whatever the right answer is, so that no common misreading of all judges can hide behind agreement.

const runs = { numRuns: 60 };
const valid = { invalid: false };

/** A policy that admits everything of its namespace in both directions. */
function openPolicy(namespace: string): RawObject {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'open', namespace },
    spec: { podSelector: {}, policyTypes: ['Ingress', 'Egress'], ingress: [{}], egress: [{}] },
  };
}

function isPolicy(object: RawObject): boolean {
  return object['kind'] === 'NetworkPolicy';
}

/** One policy for each rule and direction, all named explicitly; and one that only isolates, for each direction. */
function split(policy: RawObject): readonly RawObject[] {
  const spec = field(policy, 'spec') ?? {};
  const podSelector = field(spec, 'podSelector') ?? {};
  const types = items(field(spec, 'policyTypes'));
  const egressRules = items(field(spec, 'egress'));
  const named = types.length > 0 ? types : ['Ingress', ...(egressRules.length > 0 ? ['Egress'] : [])];
  const { name, namespace } = refOf(policy);
  return named.flatMap((type) => {
    const section = type === 'Ingress' ? 'ingress' : 'egress';
    const parts = [[], ...items(field(spec, section)).map((rule) => [rule])];
    return parts.map((rules, index) => ({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: `${name}-${section}-${index}`, namespace },
      spec: { podSelector, policyTypes: [type], [section]: rules },
    }));
  });
}

/** Answers by end and direction, where an end is what the question calls it. */
function sides(questions: readonly Question[], answers: readonly Answer[]): [string, string][] {
  return questions.flatMap((question, index): [string, string][] => [
    [`${question.from} egress`, answers[index]!.egress],
    [`${question.to} ingress`, answers[index]!.ingress],
  ]);
}

describe.each<[string, Judge]>([
  ['oracle', oracleJudge],
  ['evaluate', evaluateJudge],
])('%s', (_name, judge) => {
  const check = (
    arbitrary: fc.Arbitrary<Scenario>,
    change: (objects: readonly RawObject[]) => readonly RawObject[],
    law: (after: readonly Answer[], before: readonly Answer[]) => void,
  ): void => {
    fc.assert(
      fc.property(arbitrary, ({ objects, questions }) => {
        law(judge(change(objects), questions), judge(objects, questions));
      }),
      runs,
    );
  };
  const same = (after: readonly Answer[], before: readonly Answer[]): void => expect(after).toEqual(before);
  const open = (after: readonly Answer[]): void =>
    expect(after.filter((answer) => answer.verdict !== 'allow')).toEqual([]);

  test('the order of objects means nothing', () => {
    check(arbScenario(100), (objects) => [...objects].reverse(), same);
  });

  test('without policies everything passes', () => {
    check(arbScenario(100), (objects) => objects.filter((object) => !isPolicy(object)), open);
  });

  test('policies that admit everything open every flow', () => {
    check(arbScenario(100), (objects) => [...objects, ...['x', 'y', 'z'].map(openPolicy)], open);
  });

  test('a policy means the same as its rules in policies of their own', () => {
    check(
      arbScenario(100, valid),
      (objects) => objects.flatMap((object) => (isPolicy(object) ? split(object) : [object])),
      same,
    );
  });

  test('a policy in a namespace without pods means nothing', () => {
    check(arbScenario(100), (objects) => [...objects, { ...openPolicy('nowhere'), spec: {} }], same);
  });

  test('one more policy closes nothing at a side that was isolated already', () => {
    const arbCase = fc.record({ scenario: arbScenario(150), draft: arbPolicy({ invalid: true }) });
    fc.assert(
      fc.property(arbCase, ({ scenario: { objects, questions }, draft }) => {
        const before = sides(questions, judge(objects, questions));
        const after = sides(questions, judge([...objects, policyObject(99, draft)], questions));
        // A side that denies something is isolated.
        const isolated = new Set(before.filter(([, verdict]) => verdict === 'deny').map(([side]) => side));
        const closed = before.filter(
          ([side, verdict], index) => isolated.has(side) && verdict === 'allow' && after[index]![1] === 'deny',
        );
        expect(closed).toEqual([]);
      }),
      runs,
    );
  });
});
