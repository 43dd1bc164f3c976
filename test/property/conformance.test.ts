import { describe, expect, test } from 'vitest';

import { caseStates, caseTopics, loadCases } from '../support/cases.ts';
import type { Judge } from '../oracle/question.ts';
import { oracleJudge } from '../oracle/oracle.ts';
import { evaluateJudge, simulateJudge } from './support/judges.ts';

const judges: readonly { readonly name: string; readonly judge: Judge }[] = [
  { name: 'oracle', judge: oracleJudge },
  { name: 'evaluator', judge: evaluateJudge },
  { name: 'simulated routed ruleset', judge: simulateJudge('routed') },
  { name: 'simulated bridged ruleset', judge: simulateJudge('bridged') },
];

describe.each(judges)('$name', ({ judge }) => {
  test.each(caseTopics())('answers every undisputed flow of %s as expected', (topic) => {
    const wrong: string[] = [];
    let flows = 0;
    for (const conformanceCase of loadCases(topic)) {
      for (const state of caseStates(conformanceCase)) {
        const answers = judge(state.objects, state.flows);
        for (const [index, flow] of state.flows.entries()) {
          if (flow.disputed !== undefined && flow.disputed.length > 0) continue;
          flows += 1;
          const answer = answers[index];
          const pass =
            answer?.verdict === flow.expect &&
            (flow.egress === undefined || flow.egress === answer.egress) &&
            (flow.ingress === undefined || flow.ingress === answer.ingress);
          if (!pass)
            wrong.push(`${conformanceCase.case} step ${state.step} #${index}: ${JSON.stringify({ flow, answer })}`);
        }
      }
    }
    expect(flows).toBeGreaterThan(0);
    expect(wrong.slice(0, 5)).toEqual([]);
  });
});
