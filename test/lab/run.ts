import { spawn } from 'node:child_process';

/** A command of the lab that failed: what was run, how it ended and what it said. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly command: readonly string[];
  readonly exitCode: number | null;
  readonly stderr: string;

  constructor(command: readonly string[], exitCode: number | null, output: string, cause?: unknown) {
    super(`${command.join(' ')}: exit ${String(exitCode)}: ${output.trim()}`, { cause });
    this.command = command;
    this.exitCode = exitCode;
    this.stderr = output;
  }
}

/** Options of {@link run}. */
export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * Runs a command to its end and returns what it printed.
 *
 * @throws CommandError when it cannot start or does not exit with 0.
 */
export function run(command: readonly string[], options: RunOptions = {}): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const [program, ...args] = command;
  const child = spawn(program ?? '', args, {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.once('error', (error) => reject(new CommandError(command, null, error.message, error)));
  child.once('close', (code) => {
    // CNI plugins describe their errors on stdout.
    if (code === 0) resolve(stdout);
    else reject(new CommandError(command, code, stderr + stdout));
  });
  // A program that ends without reading its input is judged by its exit status alone.
  child.stdin.once('error', (error) => (stderr += `stdin: ${error.message}\n`));
  child.stdin.end(options.input ?? '');
  return promise;
}

/** Runs many `ip` commands in one process, in a network namespace or (`undefined`) outside. */
export async function ipBatch(netns: string | undefined, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  const where = netns === undefined ? [] : ['-n', netns];
  await run(['ip', ...where, '-batch', '-'], { input: `${lines.join('\n')}\n` });
}
