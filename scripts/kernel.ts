// Kernel and end-to-end tests. They need root and nft, and a skipped one is a failure: REQUIRE_KERNEL=1.
// `--all` runs every public conformance case that one node can judge, `--nft PATH` uses that nft instead of the
// system's; other arguments go to vitest.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const args = process.argv.slice(2);
const all = args.includes('--all');
const at = args.indexOf('--nft');
const nft = at < 0 ? undefined : args[at + 1];
const rest = args.filter((arg, index) => arg !== '--all' && (at < 0 || (index !== at && index !== at + 1)));
const path = process.env['PATH'] ?? '';
// First in the search path of everything the tests start: two versions of nft must not meet in one namespace.
const first = nft === undefined ? undefined : mkdtempSync(join(tmpdir(), 'kernel-nft-'));
if (first !== undefined && nft !== undefined) symlinkSync(resolve(nft), join(first, 'nft'));
const env = {
  ...process.env,
  REQUIRE_KERNEL: '1',
  ...(all && { KERNEL_CASES: 'all' }),
  ...(first !== undefined && { PATH: `${first}:${path}`, OTHER_NFT: systemNft() }),
};
console.log(execFileSync('nft', ['--version'], { env, encoding: 'utf8' }).trim());

/** For the tests of two versions on one node. */
function systemNft(): string {
  return execFileSync('sh', ['-c', 'command -v nft'], { encoding: 'utf8' }).trim();
}

/** Runs vitest; its output is shown as it comes, or collected and shown at the end. */
async function vitest(options: readonly string[], show: 'live' | 'afterwards'): Promise<number> {
  const stdio = show === 'live' ? 'inherit' : 'pipe';
  const child = spawn('vitest', ['run', ...options], { stdio: ['ignore', stdio, stdio], env });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => (output += text));
  }
  const status = await new Promise<number>((ended) => child.once('close', (code) => ended(code ?? 1)));
  process.stdout.write(output);
  return status;
}

// All of them mostly wait for packets and processes, and use worlds of their own: side by side they take half the time.
const statuses =
  all || rest.length > 0
    ? [
        await vitest(
          [...(all ? ['--project', 'kernel', 'conformance'] : ['--project', 'kernel', '--project', 'e2e']), ...rest],
          'live',
        ),
      ]
    : await Promise.all([
        vitest(['--project', 'kernel', '--shard', '1/2'], 'live'),
        vitest(['--project', 'kernel', '--shard', '2/2'], 'afterwards'),
        vitest(['--project', 'e2e'], 'afterwards'),
      ]);
process.exitCode = Math.max(...statuses);
if (first !== undefined) rmSync(first, { recursive: true });
