import { seededRandom, shuffled } from '../../api-server/random.ts';
import { caseStates } from '../../support/cases.ts';
import type { ConformanceCase } from '../../support/cases.ts';
import { generatorSeed } from '../../support/generator-seed.ts';
import { enforcingNodes } from './placement.ts';
import type { Job } from './run-case.ts';
import type { Mode } from './rig.ts';

/** Both ways to attach pods. */
export const modes: readonly Mode[] = ['routed', 'bridged'];

/** Which cases a run sends packets for, each on the kinds of node it is to run on. */
export interface Selection {
  /** How to get the same selection again. */
  readonly title: string;
  readonly complete: boolean;
  readonly cases: readonly { readonly conformanceCase: ConformanceCase; readonly modes: readonly Mode[] }[];
}

/** How many cases a sample has. */
const sampleSize = 64;
/** Of every topic at least one case on each kind of node. */
const perTopic = modes.length;

/**
 * Reads what is wanted: `KERNEL_CASES` is `all`, or topics and cases separated by commas; without it a sample is drawn
 * by `SEED`. In a sample each case runs on one kind of node.
 *
 * @throws Error when nothing is selected.
 */
export function selectCases(
  all: readonly ConformanceCase[],
  env: Readonly<Record<string, string | undefined>>,
): Selection {
  const { KERNEL_CASES: wanted } = env;
  if (wanted !== undefined) {
    const names = wanted.split(',');
    const chosen = all.filter(
      ({ case: name }) => wanted === 'all' || names.includes(name) || names.includes(topicOf(name)),
    );
    if (chosen.length === 0) throw new Error(`no case is called ${wanted}`);
    const cases = chosen.map((conformanceCase) => ({ conformanceCase, modes }));
    return { title: `KERNEL_CASES=${wanted}`, complete: wanted === 'all', cases };
  }
  const seed = generatorSeed(env) ?? Math.trunc(Math.random() * 2 ** 31);
  return { title: `SEED=${String(seed)}`, complete: false, cases: drawSample(all, seed) };
}

/** The part of a case's name that is its topic. */
export function topicOf(name: string): string {
  return name.replace(/\/.*/, '');
}

/** The cases on all of their nodes; those with many states first, so that no worker ends long after the others. */
export function jobsOf({ cases }: Selection): readonly Job[] {
  return cases
    .flatMap(({ conformanceCase, modes }) =>
      modes.flatMap((mode) =>
        enforcingNodes(caseStates(conformanceCase)).map((node) => ({ conformanceCase, node, mode })),
      ),
    )
    .toSorted((a, b) => (b.conformanceCase.steps?.length ?? 1) - (a.conformanceCase.steps?.length ?? 1));
}

function drawSample(all: readonly ConformanceCase[], seed: number): Selection['cases'] {
  const order = shuffled(seededRandom(seed), all);
  const byTopic = Map.groupBy(order, ({ case: name }) => topicOf(name));
  const sure = [...byTopic.values()].flatMap((cases) => cases.slice(0, perTopic));
  const rest = order.filter((conformanceCase) => !sure.includes(conformanceCase));
  // Cases of a topic stand in pairs here, so that alternating gives each topic both kinds of node.
  return [...sure, ...rest.slice(0, sampleSize - sure.length)].map((conformanceCase, index) => ({
    conformanceCase,
    modes: [modes[index % modes.length]!],
  }));
}
