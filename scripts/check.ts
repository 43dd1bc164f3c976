// The one gate: types, lint, format, unused code, unit and property tests. Prints what failed and how long each took.
import { spawnSync } from 'node:child_process';

const steps: readonly (readonly [name: string, ...command: string[]])[] = [
  ['types', 'tsc', '-p', '.'],
  ['lint', 'oxlint', '--type-aware', '--deny-warnings', '.'],
  ['format', 'prettier', '--check', '--log-level', 'warn', '.'],
  ['unused', 'knip'],
  ['tests', 'vitest', 'run', '--project', 'unit', '--project', 'property', '--maxWorkers=100%'],
];

const only = process.argv.slice(2);
const unknown = only.filter((name) => !steps.some(([known]) => known === name));
if (unknown.length > 0) {
  console.log(`no such step: ${unknown.join(', ')}; there are ${steps.map(([name]) => name).join(', ')}`);
  process.exit(2);
}
// The gate judges fewer generated flows than `npm test` does.
const env = { FLOWS: '20000', ...process.env };
let failed = 0;
for (const [name, command = '', ...args] of steps) {
  if (only.length > 0 && !only.includes(name)) continue;
  const begin = performance.now();
  const { status } = spawnSync(command, args, { stdio: 'inherit', env });
  const seconds = ((performance.now() - begin) / 1000).toFixed(1);
  console.log(`${status === 0 ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`);
  if (status !== 0) failed += 1;
}
process.exitCode = failed === 0 ? 0 : 1;
