// Kernel and end-to-end tests. They need root and nft, and a skipped one is a failure: REQUIRE_KERNEL=1.
// `--all` runs every public conformance case that one node can judge; other arguments go to vitest.
import { spawnSync } from 'node:child_process';

const args = process.argv.slice(2);
const all = args.includes('--all');
const rest = args.filter((arg) => arg !== '--all');
const projects = all ? ['--project', 'kernel'] : ['--project', 'kernel', '--project', 'e2e'];
const filter = all ? ['conformance'] : [];
const { status } = spawnSync('vitest', ['run', ...projects, ...filter, ...rest], {
  stdio: 'inherit',
  env: { ...process.env, REQUIRE_KERNEL: '1', ...(all ? { KERNEL_CASES: 'all' } : {}) },
});
process.exitCode = status ?? 1;
