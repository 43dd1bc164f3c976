/** Bounded runs of what `node scripts/reliability.ts leak` does a thousand times. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { seededRandom } from '../api-server/random.ts';
import { leakRuns } from '../support/leak-catalogue.ts';
import type { RunResult } from '../support/leak-runs.ts';
import { createLeakWorld } from '../support/leak-world.ts';
import type { LeakWorld } from '../support/leak-world.ts';

const seed = Number(process.env['LEAK_SEED'] ?? '7');

// A busy machine makes a run slow, not wrong.
describe.each(['routed', 'bridged'] as const)('on a %s node', { timeout: 600_000 }, (mode) => {
  let world: LeakWorld;

  beforeAll(async () => {
    world = await createLeakWorld({ mode });
  });
  afterAll(() => world?.[Symbol.asyncDispose]());

  async function measure(name: string, runs: number): Promise<RunResult> {
    const run = leakRuns.get(name);
    if (run === undefined) throw new Error(`no run ${name}`);
    return await run(world, { runs, rate: 250, random: seededRandom(seed) });
  }

  test.each([
    ['the agent is killed at any instant', 'kills', 4],
    ['policies and labels change', 'flips', 12],
    ['pods start before the API knows them', 'starts', 2],
    ['addresses get other owners', 'reuse', 3],
    ['the agent is replaced by the next one', 'upgrades', 1],
  ])('nothing leaks and nothing is lost while %s', async (_title, name, runs) => {
    const result = await measure(name, runs);
    expect(result.violations).toEqual([]);
    expect(result).toMatchObject({ runs, denied: { leaked: 0 }, allowed: { lost: 0 } });
    expect(result.denied.sent).toBeGreaterThan(1_000);
    expect(result.allowed.sent).toBeGreaterThan(500);
  });

  test('what leaks after a stranger took the rules away ends with their repair', async () => {
    const result = await measure('deletions', 6);
    expect(result.violations).toEqual([]);
    expect(result.denied.leaked).toBe(0);
    expect(result.figures['packetsInWindows']).toBeGreaterThan(0);
  });
});
