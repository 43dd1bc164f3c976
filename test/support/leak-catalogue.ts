import { runPodStarts, runReuse } from './leak-pods.ts';
import type { RunOptions, RunResult } from './leak-runs.ts';
import { runDeletions, runFlips, runKills, runUpgrades } from './leak-runs.ts';
import type { LeakWorld } from './leak-world.ts';

/** Every leak run by the name that the command line knows it by. */
export const leakRuns: ReadonlyMap<string, (world: LeakWorld, options: RunOptions) => Promise<RunResult>> = new Map([
  ['kills', runKills],
  ['flips', runFlips],
  ['deletions', runDeletions],
  ['starts', runPodStarts],
  ['reuse', runReuse],
  ['upgrades', runUpgrades],
]);
