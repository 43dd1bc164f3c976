import { describe, expect, test } from 'vitest';
import { caseStates, caseTopics, loadCases } from '../support/cases.ts';
import { printFlow } from '../support/flow-line.ts';
import type { ExpectedFlow } from '../support/flow-line.ts';
import { createOracle } from './oracle.ts';
import type { Answer } from './question.ts';

describe('the oracle agrees with every conformance case, disputed readings included', () => {
  test.each(caseTopics())('%s', (topic) => {
    const wrong = [];
    let judged = 0;
    for (const conformanceCase of loadCases(topic)) {
      for (const { step, objects, flows } of caseStates(conformanceCase)) {
        const oracle = createOracle(objects);
        for (const flow of flows) {
          judged += 1;
          const answer = oracle.ask(flow);
          if (!passes(flow, answer)) wrong.push([conformanceCase.case, step, printFlow(flow), answer]);
        }
      }
    }
    expect(wrong).toEqual([]);
    expect(judged).toBeGreaterThan(0);
  });
});

test('all cases are there', () => {
  const cases = loadCases();
  const flows = cases.flatMap(caseStates).flatMap((state) => state.flows);
  expect({
    cases: cases.length,
    flows: flows.length,
    denied: flows.filter((flow) => flow.expect === 'deny').length,
    disputed: flows.filter((flow) => flow.disputed !== undefined).length,
  }).toEqual({ cases: 384, flows: 47_253, denied: 20_451, disputed: 1_729 });
});

function passes(flow: ExpectedFlow, answer: Answer): boolean {
  return (
    answer.verdict === flow.expect &&
    (flow.egress ?? answer.egress) === answer.egress &&
    (flow.ingress ?? answer.ingress) === answer.ingress
  );
}
