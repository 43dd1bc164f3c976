/** Faults in API, kernel and processes, by seed. A long run: `node scripts/reliability.ts chaos --seeds 200`. */
import { afterAll, beforeAll, expect, test } from 'vitest';

import { runChaos } from './support/chaos.ts';
import { Cluster } from './support/cluster.ts';

const only = process.env['CLUSTER_CHAOS_SEED'];
const seeds = only === undefined ? Array.from({ length: 10 }, (_, i) => i + 1) : [Number(only)];

let cluster: Cluster;

beforeAll(async () => {
  cluster = await Cluster.create({ network: 'routes', modes: ['routed', 'bridged'] });
}, 300_000);
afterAll(() => cluster?.[Symbol.asyncDispose]());

test.each(seeds)(
  'after chaos %i, packets, stores and rules are what the server says',
  { timeout: 900_000 },
  async (seed) => {
    const result = await runChaos(cluster, seed, 25);
    expect(result.violations).toEqual([]);
    expect(result.packets.denied).toBeGreaterThan(100);
  },
);
