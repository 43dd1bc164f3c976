// Measures what docs/reliability.md states: leaks under kills, changes and strangers, and chaos from seeds.
//
//   node scripts/reliability.ts leak --what kills --mode routed --runs 1000 --seed 1 --rate 250
//   node scripts/reliability.ts chaos --seeds 200 --steps 25
//
// `--minutes` ends a run early; the line says how many repetitions there were. Needs root; everything happens in network namespaces of its own. Prints one line of JSON per run; exit status 1 if
// anything leaked or was lost.
import { execFileSync } from 'node:child_process';
import { release } from 'node:os';
import { parseArgs } from 'node:util';

import { seededRandom } from '../test/api-server/random.ts';
import { leakRuns } from '../test/support/leak-catalogue.ts';
import { runChaos } from '../test/e2e/support/chaos.ts';
import { Cluster } from '../test/e2e/support/cluster.ts';
import { createLeakWorld } from '../test/support/leak-world.ts';

const usage = `usage: node scripts/reliability.ts leak [--what NAME,...] [--mode routed,bridged] [--runs N] [--seed N] [--minutes N]
       node scripts/reliability.ts chaos [--seeds N] [--seed FIRST] [--steps N] [--network routes|vxlan] [--minutes N]`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    what: { type: 'string', default: [...leakRuns.keys()].join(',') },
    mode: { type: 'string', default: 'routed,bridged' },
    runs: { type: 'string', default: '100' },
    seed: { type: 'string', default: '1' },
    seeds: { type: 'string', default: '10' },
    steps: { type: 'string', default: '25' },
    network: { type: 'string', default: 'routes' },
    rate: { type: 'string', default: '250' },
    minutes: { type: 'string', default: 'Infinity' },
  },
});

const numbers = { runs: Number(values.runs), seed: Number(values.seed), rate: Number(values.rate) };
let failed = false;

if (positionals[0] === 'leak') {
  for (const mode of values.mode.split(',')) for (const what of values.what.split(',')) await leak(what, mode);
} else if (positionals[0] === 'chaos') await chaos();
else {
  process.stderr.write(`${usage}\n`);
  process.exit(2);
}
process.exitCode = failed ? 1 : 0;

async function leak(what: string, mode: string): Promise<void> {
  const run = leakRuns.get(what);
  if (run === undefined || (mode !== 'routed' && mode !== 'bridged')) {
    process.stderr.write(`${usage}\n  NAME: ${[...leakRuns.keys()].join(', ')}\n`);
    process.exit(2);
  }
  await using world = await createLeakWorld({ mode });
  const { runs, seed, rate } = numbers;
  const step = Math.max(1, Math.floor(runs / 20));
  const until = performance.now() + Number(values.minutes) * 60_000;
  const result = await run(world, {
    runs,
    rate,
    random: seededRandom(seed),
    onProgress: (done) => {
      if (done % step === 0) process.stderr.write(`${what} ${mode}: ${done} of ${runs}\n`);
      return performance.now() < until;
    },
  });
  failed ||= result.violations.length > 0;
  print({ what, mode, seed, rate, ...result });
}

function print(result: object): void {
  const nft = execFileSync('nft', ['--version'], { encoding: 'utf8' }).trim();
  const where = { date: new Date().toISOString().slice(0, 10), kernel: release(), nft, node: process.version };
  process.stdout.write(`${JSON.stringify({ ...result, ...where })}\n`);
}

async function chaos(): Promise<void> {
  const network = values.network === 'vxlan' ? 'vxlan' : 'routes';
  const until = performance.now() + Number(values.minutes) * 60_000;
  await using cluster = await Cluster.create({ network, modes: ['routed', 'bridged'] });
  const total = { seeds: 0, passed: 0, denied: 0, leaked: 0, allowed: 0, lost: 0, seconds: 0 };
  const steps: Record<string, number> = {};
  for (let at = 0; at < Number(values.seeds) && performance.now() < until; at++) {
    const result = await runChaos(cluster, numbers.seed + at, Number(values.steps));
    process.stderr.write(`${JSON.stringify(result)}\n`);
    total.seeds += 1;
    total.passed += result.violations.length === 0 ? 1 : 0;
    total.seconds += result.seconds;
    for (const [name, count] of Object.entries(result.steps)) steps[name] = (steps[name] ?? 0) + count;
    if (result.strangers) continue;
    total.denied += result.packets.denied;
    total.leaked += result.packets.leaked;
    total.allowed += result.packets.allowed;
    total.lost += result.packets.lost;
  }
  failed ||= total.passed < total.seeds;
  print({ what: 'chaos', network, firstSeed: numbers.seed, ...total, steps });
}
