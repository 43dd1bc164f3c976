import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ChildProcess } from 'node:child_process';

import type { LabNode } from './node.ts';

/** One line of the agent's log. */
export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly [key: string]: unknown;
}

const policy = join(import.meta.dirname, '../../bin/policy.mjs');

/** A real `policy agent` on a lab node, as its own process in the node's network namespace. */
export class LabAgent {
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  readonly #lines: LogLine[] = [];
  readonly #raw: string[] = [];

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#exited = new Promise((resolve) => child.once('exit', () => resolve()));
    let rest = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) this.#take(line);
    });
  }

  /** Starts the agent on a directory of manifests; resolves once everything is in the kernel. */
  static async start(node: LabNode, manifests: string, args: readonly string[] = []): Promise<LabAgent> {
    const readyFile = join(node.directory, `ready-${performance.now()}`);
    const agent = new LabAgent(
      node.spawn([
        process.execPath,
        policy,
        'agent',
        `--manifests=${manifests}`,
        `--node=${node.name}`,
        `--ready-file=${readyFile}`,
        `--cni-conf-dir=${node.cni.configDirectory}`,
        `--cni-cache-dir=${join(node.cni.resultsDirectory, '..')}`,
        ...args,
      ]),
    );
    await agent.#until(() => isFile(readyFile), 'the ready file');
    return agent;
  }

  /** Everything logged so far. */
  get log(): readonly LogLine[] {
    return this.#lines;
  }

  /** Makes a change and waits until the agent has applied what came of it. */
  async applied(change: () => void): Promise<void> {
    const before = this.#count();
    change();
    await this.#until(() => this.#count() > before, 'the change to be applied');
    await this.settled();
  }

  /** Waits until nothing more is applied for a moment. */
  async settled(): Promise<void> {
    let count = -1;
    while (count !== this.#count()) {
      count = this.#count();
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  }

  /** Waits for a line of the log. */
  async logged(matches: (line: LogLine) => boolean): Promise<void> {
    await this.#until(() => this.#lines.some(matches), 'a line of the log');
  }

  /** Sends a signal and waits for the end. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    const { pid } = this.#child;
    if (this.#child.exitCode === null && pid !== undefined) this.#child.kill(signal);
    await this.#exited;
  }

  #take(line: string): void {
    this.#raw.push(line);
    if (line.startsWith('{')) this.#lines.push(JSON.parse(line) as LogLine);
  }

  #count(): number {
    return this.#lines.filter(({ msg }) => msg === 'applied').length;
  }

  async #until(condition: () => boolean, what: string): Promise<void> {
    const deadline = performance.now() + 20_000;
    while (!condition()) {
      if (this.#child.exitCode !== null || performance.now() > deadline) {
        throw new Error(`waited in vain for ${what}; the agent said:\n${this.#raw.slice(-30).join('\n')}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

function isFile(path: string): boolean {
  try {
    return readFileSync(path).length > 0;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  }
}
