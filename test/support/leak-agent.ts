import type { ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import type { LabNode } from '../lab/node.ts';

const policy = join(import.meta.dirname, '../../bin/policy.mjs');
let starts = 0;

/** A `policy agent` that may be killed at any instant, also while it starts. */
export class AgentProcess {
  readonly startedAt: number = performance.now();
  readonly #child: ChildProcess;
  readonly #readyFile: string;
  readonly #exited: Promise<void>;
  readonly #said: string[] = [];
  #applied = 0;

  /** Starts it; `args` say where objects come from. */
  constructor(node: LabNode, args: readonly string[]) {
    starts += 1;
    this.#readyFile = join(node.directory, `ready-${process.pid}-${starts}`);
    this.#child = node.spawn([
      process.execPath,
      policy,
      'agent',
      `--node=${node.name}`,
      `--ready-file=${this.#readyFile}`,
      `--cni-conf-dir=${node.cni.configDirectory}`,
      `--cni-cache-dir=${join(node.cni.resultsDirectory, '..')}`,
      ...args,
    ]);
    this.#exited = new Promise((resolve) => this.#child.once('exit', () => resolve()));
    this.#child.stdout?.resume();
    let rest = '';
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#take(line);
    });
  }

  /** How often it said that a new ruleset is in the kernel. */
  get applied(): number {
    return this.#applied;
  }

  /** Whether everything was in the kernel once. */
  get isReady(): boolean {
    return existsSync(this.#readyFile);
  }

  /** The last lines of its log. */
  get log(): readonly string[] {
    return this.#said;
  }

  /** Waits for the first complete apply. */
  async ready(): Promise<void> {
    await this.until(() => this.isReady, 'the ready file');
  }

  /** Waits until a condition holds; a look every 2 ms. */
  async until(condition: () => boolean, what: string, timeoutMs = 30_000): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!condition()) {
      if (this.#child.exitCode !== null || this.#child.signalCode !== null || performance.now() > deadline) {
        throw new Error(`waited in vain for ${what}; the agent said:\n${this.#said.slice(-30).join('\n')}`);
      }
      await sleep(2);
    }
  }

  /**
   * Ends it and waits for the end. With `group` its children die at the same instant, as with a container; else what
   * they had begun goes on for a moment.
   */
  async end(signal: 'SIGTERM' | 'SIGKILL', options: { readonly group?: boolean } = {}): Promise<void> {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error('the agent did not start');
    const running = this.#child.exitCode === null && this.#child.signalCode === null;
    if (running) process.kill(options.group === true ? -pid : pid, signal);
    await this.#exited;
    if (signal !== 'SIGKILL') return;
    await sleep(30);
    try {
      process.kill(-pid, 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  }

  #take(line: string): void {
    this.#said.push(line);
    if (this.#said.length > 200) this.#said.splice(0, 100);
    if (line.includes('"msg":"applied"')) this.#applied += 1;
  }
}
