// The image without a container engine: the last stage of the Dockerfile in a directory, from the same packages, and
// its test on a lab node. Needs root, nft and mmdebstrap (apt-get install mmdebstrap), and Debian's archive.
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const repository = join(import.meta.dirname, '..');
const parent = mkdtempSync(join(tmpdir(), 'image-'));
const root = join(parent, 'root');
let status: number | null = 1;
try {
  build(readFileSync(join(repository, 'Dockerfile'), 'utf8'));
  const env = { ...process.env, REQUIRE_KERNEL: '1', IMAGE_ROOT: root };
  const tests = ['run', '--project', 'kernel', 'test/kernel/image.test.ts'];
  status = spawnSync('vitest', tests, { cwd: repository, stdio: 'inherit', env }).status;
} finally {
  rmSync(parent, { recursive: true });
}
process.exitCode = status ?? 1;

/** Obeys the instructions of the last stage; one that it does not know is an error, so that it cannot fall behind. */
function build(dockerfile: string): void {
  const lines = dockerfile.replaceAll(/\\\n/g, ' ').split('\n');
  const lastStage = lines.slice(lines.findLastIndex((line) => line.startsWith('FROM ')));
  let directory = '/';
  for (const line of lastStage) {
    const [instruction = '', ...words] = line.trim().split(/\s+/);
    const text = words.join(' ');
    if (instruction === 'FROM' || instruction.startsWith('#')) continue;
    if (instruction === 'RUN' && text.startsWith('apt-get update')) bootstrap(suiteOf(lastStage[0]), packagesOf(text));
    else if (instruction === 'WORKDIR') directory = text;
    else if (instruction === 'COPY' && words[0] === '--from=build')
      copy(words[1] ?? '', join(directory, words[2] ?? ''));
    else if (instruction === 'RUN' && words[0] === 'ln') symlinkSync(words[2] ?? '', join(root, words[3] ?? ''));
    else if (!['ENV', 'ENTRYPOINT', 'CMD', ''].includes(instruction)) throw new Error(`cannot follow: ${line}`);
  }
}

/** `node:24-trixie-slim` is Debian's minimal system with Node.js in /usr/local. */
function suiteOf(from = ''): string {
  const suite = /^FROM node:\d+-(\w+)-slim$/.exec(from)?.[1];
  if (suite === undefined) throw new Error(`cannot follow: ${from}`);
  return suite;
}

function packagesOf(run: string): readonly string[] {
  return (/--no-install-recommends ([^&]*)/.exec(run)?.[1] ?? '').trim().split(/\s+/);
}

function bootstrap(suite: string, packages: readonly string[]): void {
  const include = `--include=${packages.join(',')}`;
  execFileSync('mmdebstrap', ['--quiet', '--variant=minbase', include, suite, root], { stdio: 'inherit' });
  cpSync(process.execPath, join(root, 'usr/local/bin/node'), { dereference: true });
}

function copy(from: string, to: string): void {
  const source = join(repository, from.replace(/^\/src\//, ''));
  if (from === '/src/dist')
    execFileSync('rolldown', ['-c', 'rolldown.config.ts'], { cwd: repository, stdio: 'ignore' });
  const target = to.endsWith('/') ? join(root, to, source.slice(dirname(source).length)) : join(root, to);
  mkdirSync(dirname(target), { recursive: true });
  cpSync(source, target, { recursive: true });
}
