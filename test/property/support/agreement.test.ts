import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createOracle, oracleJudge } from '../../oracle/oracle.ts';
import type { Judge, Question, RawObject } from '../../oracle/question.ts';
import { applyChange } from '../../support/cluster-state.ts';
import type { Change } from '../../support/cluster-state.ts';
import type { ExpectedFlow } from '../../support/flow-line.ts';
import { arbHistory } from '../generators/changes.ts';
import { arbScenario } from '../generators/flows.ts';
import { searchHistories, searchScenarios } from './agreement.ts';

let directory = '';
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'found-'));
});
afterAll(() => {
  rmSync(directory, { recursive: true });
});

/** Reads UDP as TCP: an engine that forgot a protocol. */
const forgetful: Judge = (objects, questions) =>
  oracleJudge(
    objects,
    questions.map((question): Question => (question.protocol === 'UDP' ? { ...question, protocol: 'TCP' } : question)),
  );

function searchError(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error('nothing was found');
}

function savedCase(message: string): { cluster: { items: RawObject[] }; flows: unknown } {
  const folder = /^saved as (.*)$/m.exec(message)![1]!;
  const read = (file: string): unknown => JSON.parse(readFileSync(join(folder, file), 'utf8'));
  return { cluster: read('cluster.json') as { items: RawObject[] }, flows: read('flows.json') };
}

describe('a judge that disagrees', () => {
  test('is found, and the world shrinks to one policy', () => {
    const message = searchError(() =>
      searchScenarios(arbScenario(100), { forgetful }, { questions: 20_000, seed: 1, saveTo: directory }),
    );
    expect(message).toMatch(/^the judges disagree \(seed \d+, path [\d:]+, shrunk \d+ times\)$/m);
    expect(message).toMatch(/^forgetful: (allow|deny) \(egress (allow|deny), ingress (allow|deny)\)$/m);
    const { cluster, flows } = savedCase(message);
    const count = (kind: string): number => cluster.items.filter((object) => object['kind'] === kind).length;
    expect(count('NetworkPolicy')).toBe(1);
    expect(count('Pod')).toBeLessThanOrEqual(2);
    expect(message).toContain(JSON.stringify(cluster.items.at(-1)));
    const [flow] = (flows as { flows: ExpectedFlow[] }).flows;
    expect(flow!.protocol).toBe('UDP');
    expect(createOracle(cluster.items).ask(flow!).verdict).toBe(flow!.expect);
  });

  test('in a later state is found with the changes that lead there', () => {
    const histories = arbHistory(60).map((history) => ({ ...history, questions: [] }));
    const message = searchError(() =>
      searchHistories(histories, { forgetful }, { questions: 20_000, seed: 3, saveTo: directory }),
    );
    const { cluster, flows } = savedCase(message);
    const { steps } = flows as { steps: (Change & { flows: ExpectedFlow[] })[] };
    const last = steps.at(-1)!;
    expect(last.flows).toHaveLength(1);
    const state = steps.reduce<readonly RawObject[]>(applyChange, cluster.items);
    expect(createOracle(state).ask(last.flows[0]!).verdict).toBe(last.flows[0]!.expect);
  });

  test('by failing is reported with its stack', () => {
    const broken: Judge = () => {
      throw new RangeError('out of order');
    };
    const message = searchError(() => searchScenarios(arbScenario(10), { broken }, { questions: 100, seed: 1 }));
    expect(message).toMatch(/^a judge failed/);
    expect(message).toContain('RangeError: out of order');
  });
});
