/**
 * Real packets for the public conformance cases: on a rotating sample, or on all with `KERNEL_CASES=all`, which is
 * what `npm run test:kernel -- --all` sets. `SEED` repeats a sample; `KERNEL_CASES=hand/hand-001,steps` runs some.
 * A full run with UPDATE_GOLDENS=1 writes its result into docs/conformance.md.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadCases } from '../support/cases.ts';
import { recordResult } from './support/record.ts';
import { Rig } from './support/rig.ts';
import { misjudged } from './support/misjudged.ts';
import { runCase } from './support/run-case.ts';
import type { Job, JobResult } from './support/run-case.ts';
import { jobsOf, modes, selectCases, topicOf } from './support/selection.ts';
import { coverage, printCoverage, printTallies, tally } from './support/tally.ts';
import { Workers } from './support/workers.ts';

const selection = selectCases(loadCases(), process.env);
const topics = [...new Set(selection.cases.map(({ conformanceCase }) => topicOf(conformanceCase.case)))].sort();
const timeout = selection.complete ? 60 * 60_000 : 10 * 60_000;
const startedAt = performance.now();

let workers: Workers | undefined;
let done: ReadonlyMap<Job, Promise<JobResult>>;

async function resultsOf(topic?: string): Promise<readonly JobResult[]> {
  const wanted = [...done].filter(([job]) => topic === undefined || topicOf(job.conformanceCase.case) === topic);
  return await Promise.all(wanted.map(([, result]) => result));
}

beforeAll(async () => {
  console.log(`conformance cases: ${selection.title} (${String(selection.cases.length)} cases)`);
  workers = await Workers.create();
  done = workers.start(jobsOf(selection));
  // Each test asks for its own results; a failure in another topic's is not unhandled meanwhile.
  void Promise.allSettled(done.values());
});

afterAll(async () => {
  await workers?.[Symbol.asyncDispose]();
}, 60_000);

test.each(topics)('every packet of %s ends as the case says', { timeout }, async (topic) => {
  const results = await resultsOf(topic);
  const wrong = results.flatMap((result) => result.wrong);
  expect(wrong.slice(0, 5), `${String(wrong.length)} wrong, ${selection.title}`).toEqual([]);
  expect(results.flatMap((result) => result.states).length).toBeGreaterThan(0);
});

test.each(modes)('a wrong expectation shows on %s pods, with its packet and its path', async (mode) => {
  const rig = await Rig.create(mode);
  try {
    const result = await runCase(rig, { conformanceCase: misjudged, node: 'n1', mode });
    expect(result.controls).toBe(2);
    expect(result.wrong.map(({ index, got }) => [index, got.outcome])).toEqual([
      [0, 'timeout'],
      [1, 'open'],
      [2, 'timeout'],
    ]);
    expect(result.wrong[0]?.path.join()).toContain('forward-ingress');
  } finally {
    await rig.lab.close();
  }
});

test('both kinds of node were asked about both families and all protocols', { timeout }, async (context) => {
  const results = await resultsOf();
  const counts = coverage(results);
  const tallies = topics.flatMap((topic) => modes.map((mode) => tally(topic, mode, selection, results)));
  const tables = [printTallies(tallies.filter((one) => one.cases > 0)), printCoverage(counts)];
  console.log([selection.title, ...tables].join('\n\n'));
  const isWhole = process.env['KERNEL_CASES'] === undefined || selection.complete;
  if (!isWhole) context.skip('only some cases were asked for');
  for (const mode of modes) {
    for (const family of ['IPv4', 'IPv6']) {
      for (const protocol of ['TCP', 'UDP', 'SCTP']) {
        expect(counts.get(`${mode} ${family} ${protocol}`) ?? 0, `${mode} ${family} ${protocol}`).toBeGreaterThan(0);
      }
    }
    const own = tallies.filter((one) => one.mode === mode);
    expect(own.reduce((total, one) => total + one.allowed, 0)).toBeGreaterThan(0);
    expect(own.reduce((total, one) => total + one.controls, 0)).toBeGreaterThan(0);
  }
  expect(selection.cases.length).toBeGreaterThanOrEqual(60);
  const wrong = tallies.reduce((total, one) => total + one.wrong, 0);
  expect(wrong).toBe(0);
  if (selection.complete && process.env['UPDATE_GOLDENS'] === '1') {
    recordResult(tables, (performance.now() - startedAt) / 60_000);
  }
});
