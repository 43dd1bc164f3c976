/** Faults in API, kernel and processes, by seed. A long run: `node scripts/reliability.ts chaos --seeds 200`. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { whyNoRealServer } from '../api-server/real-server.ts';
import { runChaos } from './support/chaos.ts';
import { Cluster } from './support/cluster.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const why = whyNoRealServer(assets);
const only = process.env['CLUSTER_CHAOS_SEED'];
const seeds = (count: number): readonly number[] =>
  only === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [Number(only)];

describe('on the API server made for tests', () => describeChaos(undefined, seeds(10)));

// A real server takes seconds to come back: fewer seeds.
describe.skipIf(why !== undefined)(`on a real kube-apiserver${why === undefined ? '' : ` (skipped: ${why})`}`, () =>
  describeChaos(assets, seeds(4)),
);

function describeChaos(binaries: string | undefined, run: readonly number[]): void {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.create({ network: 'routes', modes: ['routed', 'bridged'], assets: binaries });
  }, 300_000);
  afterAll(() => cluster?.[Symbol.asyncDispose]());

  test.each(run)(
    'after chaos %i, packets, stores and rules are what the server says',
    { timeout: 900_000 },
    async (seed) => {
      const result = await runChaos(cluster, seed, 25);
      expect(result.violations).toEqual([]);
      expect(result.packets.denied).toBeGreaterThan(100);
    },
  );
}
