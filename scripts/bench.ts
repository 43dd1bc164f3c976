// Measurements, as ratios of one run: `npm run bench` runs all, `npm run bench -- packets` one. Nothing is asserted.
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

const directory = join(import.meta.dirname, '../bench');
const known = readdirSync(directory).flatMap((file) => (file.endsWith('.ts') ? [file.slice(0, -'.ts'.length)] : []));
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  console.error(`no such benchmark: ${unknown.join(', ')}; there are ${known.join(', ')}`);
  process.exit(2);
}
for (const name of wanted.length === 0 ? known : wanted) {
  console.log(`\n## ${name}\n`);
  const { status } = spawnSync('node', ['--expose-gc', join(directory, `${name}.ts`)], { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}
