/** Starts one command after another from a small process: to fork costs time by the memory of the process that forks. */
import { spawn } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { constants } from 'node:os';
import process from 'node:process';
import type { Readable, Writable } from 'node:stream';

/** What a command that has ended left behind. */
export interface Finished {
  readonly exitCode: number;
  /** The name of the signal that ended it, if the exit code says so as a shell does: 128 and the signal's number. */
  readonly signal: string | undefined;
  readonly stdout: Buffer;
  /** Its beginning, at most 64 KiB. */
  readonly stderr: string;
}

/** A command that did not end by itself, and what it had said. */
export interface Unfinished {
  /**
   * `flood`: it printed too much. `lost`: there is no shell for it; with `cause`, what the system said of that, it has not
   * begun, and without, somebody killed the shell.
   */
  readonly why: 'timeout' | 'aborted' | 'flood' | 'lost';
  readonly stderr: string;
  readonly cause?: Error;
}

/** How long and until when a command may run. */
export interface LaunchOptions {
  readonly timeoutMs: number;
  /** Of standard output. Default: without limit. */
  readonly maxStdoutBytes?: number;
  readonly signal?: AbortSignal | undefined;
}

const maxStderrBytes = 64 * 1024;
/**
 * Both streams end with the mark, so that what the command has written is known to have come whole; where that cannot be
 * said, nothing is known. What the shell itself has to say of signals is left out.
 */
const script = `ulimit -c 0
exec 3>&2 2>/dev/null
nl='
'
while IFS= read -r line; do
  (eval "exec $line") </dev/null 2>&3 3>&-
  status=$?
  printf '%s %s\\n' "$1" "$status" && printf '%s\\n' "$1" >&3 || kill -KILL $$
done`;

/**
 * Runs commands without core dumps, in English, with nothing to read. Each goes to a shell that is idle, or a new one;
 * shells end with the process that owns them, behind a command that runs.
 */
export class Launcher {
  readonly #idle: Shell[] = [];

  /** Runs a command to its end; what is left of it and its children is killed when it takes too long or prints too much. */
  async run(command: readonly string[], options: LaunchOptions): Promise<Finished | Unfinished> {
    let shell: Shell;
    try {
      shell = await this.#takeShell();
    } catch (cause) {
      return { why: 'lost', stderr: '', cause: cause as Error };
    }
    const aborted = options.signal?.aborted === true;
    const ended = aborted ? notBegun : await shell.run(command.map(quoted).join(' '), options);
    if (!shell.lost) this.#idle.push(shell);
    return ended;
  }

  async #takeShell(): Promise<Shell> {
    for (let shell = this.#idle.pop(); shell !== undefined; shell = this.#idle.pop()) if (!shell.lost) return shell;
    return await Shell.start();
  }
}

const notBegun: Unfinished = { why: 'aborted', stderr: '' };

type ShellProcess = ChildProcessByStdio<Writable, Readable, Readable>;

/** Runs one command at a time. */
class Shell {
  readonly #mark: string;
  readonly #child: ShellProcess;
  #failed: Error | undefined;
  #lost = false;

  /** Throws what the system says where it has no process for it. */
  static async start(): Promise<Shell> {
    const mark = randomBytes(16).toString('hex');
    // A process group of its own, so that a command that forks can be killed whole.
    const child = spawn('/bin/sh', ['-c', script, 'sh', mark], {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, LC_ALL: 'C' },
      detached: true,
    });
    // Without a process there need not even be streams.
    if (child.pid === undefined) throw (await once(child, 'error'))[0];
    return new Shell(child, mark);
  }

  private constructor(child: ShellProcess, mark: string) {
    this.#child = child;
    this.#mark = mark;
    child.on('error', (error) => this.#lose(error));
    // It ends by itself only where it cannot start the command.
    child.on('close', (code) => this.#lose(code === null ? undefined : new Error(`it ended with ${code}`)));
    for (const stream of this.#streams()) stream.on('error', (error: Error) => this.#lose(error));
    this.#idle(true);
  }

  /** It cannot take another command. */
  get lost(): boolean {
    return this.#lost;
  }

  async run(line: string, options: LaunchOptions): Promise<Finished | Unfinished> {
    const { timeoutMs, maxStdoutBytes = Number.POSITIVE_INFINITY, signal } = options;
    const { stdin, stdout, stderr } = this.#child;
    const output = new Output(`${this.#mark} `);
    const errors = new Output(this.#mark, maxStderrBytes);
    let why: Unfinished['why'] = 'lost';
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = (reason: Unfinished['why']): void => {
      why = reason;
      this.#kill();
    };
    const onAbort = (): void => stop('aborted');
    const onClose = (): void => resolve();
    const onOutput = (chunk: Buffer): void => take(output, chunk);
    const onErrors = (chunk: Buffer): void => take(errors, chunk);
    const take = (stream: Output, chunk: Buffer): void => {
      stream.push(chunk);
      if (output.length > maxStdoutBytes) stop('flood');
      else if (output.ended !== undefined && errors.ended !== undefined) resolve();
    };
    const timer = setTimeout(() => stop('timeout'), timeoutMs);
    signal?.addEventListener('abort', onAbort, { once: true });
    stdout.on('data', onOutput);
    stderr.on('data', onErrors);
    this.#child.once('close', onClose);
    this.#child.once('error', onClose);
    this.#idle(false);
    try {
      stdin.write(`${line}\n`);
      await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      stdout.off('data', onOutput);
      stderr.off('data', onErrors);
      this.#child.off('close', onClose);
      this.#child.off('error', onClose);
      this.#idle(true);
    }
    const said = errors.text().toString('utf8');
    if (why !== 'lost' || output.ended === undefined || errors.ended === undefined)
      return { why, stderr: said, ...(this.#failed !== undefined && { cause: this.#failed }) };
    const exitCode = Number(output.ended);
    return { exitCode, signal: signalName(exitCode), stdout: output.text(), stderr: said };
  }

  #streams(): readonly (Writable | Readable)[] {
    return [this.#child.stdin, this.#child.stdout, this.#child.stderr];
  }

  /** A shell that waits for the next command keeps no process alive. */
  #idle(idle: boolean): void {
    for (const handle of [this.#child, ...this.#streams()] as { ref?(): void; unref?(): void }[]) {
      if (idle) handle.unref?.();
      else handle.ref?.();
    }
  }

  #lose(error?: Error): void {
    this.#lost = true;
    this.#failed ??= error;
  }

  #kill(): void {
    this.#lose();
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, 'SIGKILL');
    } catch (error) {
      // ESRCH: it ended by itself in the meantime.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }
}

/** Of what follows the mark: three digits and a newline. */
const endLength = 4;

/** What comes through a pipe until the line with the mark. */
class Output {
  readonly #mark: string;
  readonly #limit: number;
  readonly #chunks: Buffer[] = [];
  #kept = 0;
  #length = 0;
  /** The last bytes, in which the mark will stand. */
  #tail = Buffer.alloc(0);
  #ended: string | undefined;

  constructor(mark: string, limit = Number.POSITIVE_INFINITY) {
    this.#mark = mark;
    this.#limit = limit;
  }

  /** What stands behind the mark; undefined before it. */
  get ended(): string | undefined {
    return this.#ended;
  }

  /** Bytes so far. */
  get length(): number {
    return this.#length;
  }

  push(chunk: Buffer): void {
    this.#length += chunk.length;
    const longest = this.#mark.length + endLength;
    if (this.#kept < this.#limit + longest) {
      this.#chunks.push(chunk);
      this.#kept += chunk.length;
    }
    this.#tail = Buffer.concat([this.#tail, chunk.subarray(-longest)]).subarray(-longest);
    const tail = this.#tail.toString('latin1');
    const at = tail.lastIndexOf(this.#mark);
    if (at >= 0 && tail.endsWith('\n')) this.#ended = tail.slice(at + this.#mark.length, -1);
  }

  /** What came before the mark, within the limit. */
  text(): Buffer {
    const all = Buffer.concat(this.#chunks);
    const at = this.#ended === undefined ? -1 : all.lastIndexOf(this.#mark);
    return (at < 0 ? all : all.subarray(0, at)).subarray(0, this.#limit);
  }
}

/** A word of a shell's command line, which is one line. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`).replaceAll('\n', `'"$nl"'`)}'`;
}

function signalName(exitCode: number): string | undefined {
  if (exitCode <= 128 || exitCode >= 255) return undefined;
  const found = Object.entries(constants.signals).find(([, number]) => number === exitCode - 128);
  return found?.[0];
}
