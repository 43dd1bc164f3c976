import { describe, expect, test } from 'vitest';
import { generatorSeed } from '../support/generator-seed.ts';
import { arbHistory } from './generators/changes.ts';
import { arbScenario } from './generators/flows.ts';
import { searchHistories, searchScenarios } from './support/agreement.ts';
import type { Judges, Search } from './support/agreement.ts';
import { evaluateJudge, simulateJudge } from './support/judges.ts';

// FLOWS is the number of questions in each of the larger searches; SEED chooses them, SEED=random draws new
// ones; SAVE_FIXTURE is a directory for failures. Two million flows: FLOWS=1000000 npm run test:property

const questions = Number(process.env['FLOWS'] ?? 50_000);

const judges: Judges = {
  evaluate: evaluateJudge,
  routed: simulateJudge('routed'),
  bridged: simulateJudge('bridged'),
};

function search(share: number): Search {
  const { SAVE_FIXTURE: saveTo } = process.env;
  const seed = generatorSeed(process.env);
  return {
    questions: Math.ceil(questions * share),
    ...(seed !== undefined && { seed }),
    ...(saveTo === undefined ? {} : { saveTo }),
  };
}

describe('oracle, evaluator and both simulated rulesets give one answer', () => {
  test('for policies that the API server accepts', { timeout: 0 }, () => {
    const searched = searchScenarios(arbScenario(150, { invalid: false }), judges, search(1));
    expect(searched.questions).toBeGreaterThanOrEqual(questions);
  });

  test('for policies with invalid pieces', { timeout: 0 }, () => {
    const searched = searchScenarios(arbScenario(150), judges, search(0.5));
    expect(searched.questions).toBeGreaterThanOrEqual(questions * 0.5);
  });

  test('in every state of a changing cluster', { timeout: 0 }, () => {
    const searched = searchHistories(arbHistory(60), judges, search(0.5));
    expect(searched.questions).toBeGreaterThanOrEqual(questions * 0.5);
  });
});
