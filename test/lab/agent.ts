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
    return await LabAgent.launch(node, [`--manifests=${manifests}`, ...args]);
  }

  /** Starts the agent with the lab node's places; resolves once everything is in the kernel, or at once. */
  static async launch(
    node: LabNode,
    args: readonly string[],
    options: {
      /** Put before the command line, for instance to drop capabilities. */
      readonly wrapper?: readonly string[];
      readonly env?: Readonly<Record<string, string>>;
      readonly waitForReady?: boolean;
    } = {},
  ): Promise<LabAgent> {
    const readyFile = join(node.directory, `ready-${performance.now()}`);
    const command = [
      ...(options.wrapper ?? []),
      process.execPath,
      policy,
      'agent',
      `--node=${node.name}`,
      `--ready-file=${readyFile}`,
      `--cni-conf-dir=${node.cni.configDirectory}`,
      `--cni-cache-dir=${join(node.cni.resultsDirectory, '..')}`,
      ...args,
    ];
    const agent = new LabAgent(node.spawn(command, options.env === undefined ? {} : { env: options.env }));
    if (options.waitForReady !== false) await agent.#until(() => isFile(readyFile), 'the ready file');
    return agent;
  }

  /** Everything logged so far. */
  get log(): readonly LogLine[] {
    return this.#lines;
  }

  /** Whatever it wrote that is no line of the log. */
  get text(): string {
    return this.#raw.filter((line) => !line.startsWith('{')).join('\n');
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

  /** Waits until it has ended by itself; answers the exit code. */
  async exited(): Promise<number | null> {
    await this.#exited;
    return this.#child.exitCode;
  }

  /** Sends a signal and waits for the end; answers the exit code. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<number | null> {
    const { pid } = this.#child;
    if (this.#child.exitCode === null && pid !== undefined) this.#child.kill(signal);
    await this.#exited;
    return this.#child.exitCode;
  }

  #take(line: string): void {
    this.#raw.push(line);
    if (line.startsWith('{')) this.#lines.push(JSON.parse(line) as LogLine);
  }

  #count(): number {
    return this.#lines.filter(({ msg }) => msg === 'applied').length;
  }

  async #until(condition: () => boolean, what: string): Promise<void> {
    const deadline = performance.now() + 60_000;
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
