import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';

/** A long-running program that may be ended and started again; what it says goes to a file. */
export class Daemon {
  readonly #program: string;
  readonly #args: readonly string[];
  readonly #logFile: string;
  #child: ChildProcess | undefined;

  constructor(program: string, args: readonly string[], logFile: string) {
    this.#program = program;
    this.#args = args;
    this.#logFile = logFile;
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What it said, over all its starts. */
  get log(): string {
    return readFileSync(this.#logFile, 'utf8');
  }

  start(): void {
    const log = openSync(this.#logFile, 'a');
    this.#child = spawn(this.#program, this.#args, { stdio: ['ignore', log, log] });
    closeSync(log);
  }

  /** Ends it and waits for the end; after 5 s by force. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === undefined || !this.running) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await gone;
    clearTimeout(timer);
  }
}
