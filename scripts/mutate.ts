// Plants one mistake at a time in a copy of the tree and requires the tests to notice. `npm run test:mutations`;
// with --every each suite judges each mistake (slower), with a text only mistakes whose name or file holds it;
// with --write their rows of the table in docs/mutations.md are replaced. FLOWS and SEED as in test/property/semantics.test.ts.
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { evaluationMutations } from './mutations/evaluation.ts';
import { loweringMutations } from './mutations/lowering.ts';
import type { Mutation } from './mutations/mutation.ts';
import { rulesetMutations } from './mutations/ruleset.ts';

interface Suite {
  readonly name: string;
  readonly args: readonly string[];
}

const generated: Suite = {
  name: 'generated flows',
  args: ['--project', 'property', 'test/property/semantics.test.ts'],
};
// The oracle does not know the code that is changed here.
const cases: Suite = {
  name: 'cases',
  args: ['--project', 'property', 'test/property/conformance.test.ts', '-t', 'evaluator|simulated'],
};
const unit: Suite = {
  name: 'unit tests',
  args: ['--project', 'unit', 'src/compiler', 'src/selector', 'test/golden.test.ts'],
};
const suites: readonly Suite[] = [generated, cases, unit];

const mutations: readonly Mutation[] = [...evaluationMutations, ...loweringMutations, ...rulesetMutations];

const root = join(import.meta.dirname, '..');
const timeLimitMs = 300_000;
const copied = ['src', 'packages', 'test', 'examples', 'package.json', 'tsconfig.json', 'vitest.config.ts'];

/** A scratch tree with its own sources; installed packages are linked, our own package is the copy. */
function makeTree(): string {
  const tree = mkdtempSync(join(tmpdir(), 'nftpolicy-mutations-'));
  for (const name of copied) cpSync(join(root, name), join(tree, name), { recursive: true });
  mkdirSync(join(tree, 'node_modules'));
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (name === '.vite' || name === '.vite-temp') continue;
    const target = name === 'nftables-json' ? join(tree, 'packages', name) : join(root, 'node_modules', name);
    symlinkSync(target, join(tree, 'node_modules', name));
  }
  return tree;
}

interface Report {
  readonly numTotalTests: number;
  readonly numFailedTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly fullName: string; readonly status: string }[];
  }[];
}

type Outcome =
  | { readonly kind: 'passed' }
  | { readonly kind: 'failed'; readonly test: string }
  /** It did not run as tests do: nothing is shown by that. */
  | { readonly kind: 'broken'; readonly why: string };

const running = new Set<number>();

async function runSuite(tree: string, suite: Suite): Promise<Outcome> {
  const report = join(tree, 'report.json');
  rmSync(report, { force: true });
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const args = [vitest, 'run', '--bail=1', '--reporter=json', `--outputFile=${report}`, ...suite.args];
  const child = spawn(process.execPath, args, {
    cwd: tree,
    stdio: 'ignore',
    detached: true,
    env: { ...process.env, FLOWS: process.env['FLOWS'] ?? '4000' },
  });
  const { pid } = child;
  if (pid === undefined) return { kind: 'broken', why: 'vitest does not start' };
  running.add(pid);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    killGroup(pid);
  }, timeLimitMs);
  const status = await new Promise<number | null>((resolve) => child.on('close', resolve));
  clearTimeout(timer);
  running.delete(pid);
  if (late) return { kind: 'broken', why: `no end after ${timeLimitMs / 1000} s` };
  return judge(JSON.parse(readFileSync(report, 'utf8')) as Report, status);
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // It has ended already.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

function judge(report: Report, status: number | null): Outcome {
  if (report.numTotalTests === 0) return { kind: 'broken', why: 'no test ran' };
  for (const { assertionResults } of report.testResults) {
    const failed = assertionResults.find(({ status }) => status === 'failed');
    if (failed !== undefined) return { kind: 'failed', test: failed.fullName };
  }
  // Files that were not reached after the first failure look like this too.
  const broken = report.testResults.find(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
  );
  if (broken !== undefined) return { kind: 'broken', why: `${broken.name} does not load` };
  return status === 0 ? { kind: 'passed' } : { kind: 'broken', why: `exit status ${status}` };
}

interface Verdict {
  readonly mutation: Mutation;
  readonly caughtBy: readonly { readonly suite: string; readonly test: string }[];
  readonly problems: readonly string[];
}

/** Changes the file in the tree, asks the suites in turn, and puts the file back. */
async function tryMutation(tree: string, mutation: Mutation, every: boolean): Promise<Verdict> {
  const file = join(tree, mutation.file);
  const text = readFileSync(file, 'utf8');
  const places = text.split(mutation.from).length - 1;
  if (places !== 1) {
    return { mutation, caughtBy: [], problems: [`the text occurs ${places} times in ${mutation.file}`] };
  }
  const caughtBy: { readonly suite: string; readonly test: string }[] = [];
  const problems: string[] = [];
  writeFileSync(
    file,
    text.replace(mutation.from, () => mutation.to),
  );
  try {
    for (const suite of mutation.besideFlows === true ? [unit, generated, cases] : suites) {
      const outcome = await runSuite(tree, suite);
      if (outcome.kind === 'failed') caughtBy.push({ suite: suite.name, test: outcome.test });
      if (outcome.kind === 'broken') problems.push(`${suite.name}: ${outcome.why}`);
      if (caughtBy.length > 0 && !every) break;
    }
  } finally {
    writeFileSync(file, text);
  }
  return { mutation, caughtBy, problems };
}

function table(verdicts: readonly Verdict[], every: boolean): string {
  const mark = (verdict: Verdict, suite: Suite): string =>
    verdict.caughtBy.some((one) => one.suite === suite.name) ? 'caught' : '-';
  const head = ['mistake', 'in', 'plausible because', ...(every ? suites.map(({ name }) => name) : ['caught by'])];
  const rows = verdicts.map((verdict) => [
    verdict.mutation.name,
    verdict.mutation.file.slice(verdict.mutation.file.lastIndexOf('/') + 1),
    verdict.mutation.why,
    ...(every
      ? suites.map((suite) => mark(verdict, suite))
      : [verdict.caughtBy[0] === undefined ? 'NOBODY' : verdict.caughtBy[0].suite]),
  ]);
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |\n`).join('');
}

async function main(): Promise<void> {
  const flags = process.argv.slice(2);
  const every = flags.includes('--every');
  const text = flags.find((flag) => !flag.startsWith('--')) ?? '';
  const chosen = mutations.filter(({ name, file }) => name.includes(text) || file.includes(text));
  const trees = [makeTree(), makeTree()];
  const clean = (): void => {
    for (const pid of running) killGroup(pid);
    // A process that is being killed may still write.
    for (const tree of trees) rmSync(tree, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      clean();
      process.exit(130);
    });
  }
  try {
    const [first = ''] = trees;
    for (const suite of suites) {
      const outcome = await runSuite(first, suite);
      if (outcome.kind !== 'passed') {
        console.log(`${suite.name} must pass without a mistake first: ${JSON.stringify(outcome)}`);
        process.exitCode = 1;
        return;
      }
    }
    const verdicts = await tryAll(trees, chosen, every);
    const escaped = verdicts.filter(({ caughtBy, problems }) => caughtBy.length === 0 || problems.length > 0);
    const result = table(verdicts, every);
    console.log(`\n${result}`);
    console.log(`${chosen.length - escaped.length} of ${chosen.length} mistakes caught`);
    if (flags.includes('--write')) writeTable(result);
    process.exitCode = chosen.length > 0 && escaped.length === 0 ? 0 : 1;
  } finally {
    clean();
  }
}

/** One worker per tree; verdicts in the order of the list. */
async function tryAll(trees: readonly string[], chosen: readonly Mutation[], every: boolean): Promise<Verdict[]> {
  const verdicts = new Map<Mutation, Verdict>();
  const waiting = chosen.values();
  const worker = async (tree: string): Promise<void> => {
    for (const mutation of waiting) {
      const begin = performance.now();
      const verdict = await tryMutation(tree, mutation, every);
      verdicts.set(mutation, verdict);
      const seconds = ((performance.now() - begin) / 1000).toFixed(0);
      const by = verdict.caughtBy.map(({ suite, test }) => `${suite} (${test})`).join('; ');
      const word = verdict.caughtBy.length === 0 ? 'ESCAPED' : 'caught ';
      console.log(`${word} ${mutation.name} [${seconds} s] ${[by, ...verdict.problems].join(' ')}`);
    }
  };
  await Promise.all(trees.map(worker));
  return chosen.flatMap((mutation) => verdicts.get(mutation) ?? []);
}

/** Replaces the rows of these mistakes; rows of others stay, those of mistakes that are gone do not. */
function writeTable(text: string): void {
  const file = join(root, 'docs/mutations.md');
  const page = readFileSync(file, 'utf8');
  const [, old = ''] = /<!-- table -->\n([^]*)<!-- end -->/.exec(page) ?? [];
  const nameOf = (row: string): string => row.split(' | ')[0]?.slice('| '.length) ?? '';
  const rows = new Map([...old.split('\n'), ...text.split('\n')].map((row) => [nameOf(row), row]));
  const head = text.split('\n').slice(0, 2);
  const body = mutations.map(({ name }) => rows.get(name) ?? `| ${name} | not asked yet |`);
  const table = [...head, ...body].map((row) => `${row}\n`).join('');
  writeFileSync(
    file,
    page.replace(/<!-- table -->[^]*<!-- end -->/, () => `<!-- table -->\n${table}<!-- end -->`),
  );
}

await main();
