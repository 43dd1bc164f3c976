// Kernel and end-to-end tests. They need root and nft, and a skipped one is a failure: REQUIRE_KERNEL=1.
// `--all` runs every public conformance case that one node can judge; other arguments go to vitest.
import { spawn } from 'node:child_process';

const args = process.argv.slice(2);
const all = args.includes('--all');
const rest = args.filter((arg) => arg !== '--all');
const env = { ...process.env, REQUIRE_KERNEL: '1', ...(all ? { KERNEL_CASES: 'all' } : {}) };

/** Runs vitest; its output is shown as it comes, or collected and shown at the end. */
async function vitest(options: readonly string[], show: 'live' | 'afterwards'): Promise<number> {
  const stdio = show === 'live' ? 'inherit' : 'pipe';
  const child = spawn('vitest', ['run', ...options], { stdio: ['ignore', stdio, stdio], env });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const status = await new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? 1)));
  process.stdout.write(output);
  return status;
}

// Both projects mostly wait for packets and processes, and use worlds of their own: side by side they take half the time.
const statuses =
  all || rest.length > 0
    ? [
        await vitest(
          [...(all ? ['--project', 'kernel', 'conformance'] : ['--project', 'kernel', '--project', 'e2e']), ...rest],
          'live',
        ),
      ]
    : await Promise.all([vitest(['--project', 'kernel'], 'live'), vitest(['--project', 'e2e'], 'afterwards')]);
process.exitCode = Math.max(...statuses);
