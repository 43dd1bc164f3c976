/** Who else writes to our tables: `nft monitor`, read as text. */
import { spawn } from 'node:child_process';
import type { ChildProcess, ChildProcessByStdio } from 'node:child_process';
import type { Readable } from 'node:stream';

import { tableName } from '../compiler/ruleset.ts';
import type { WriteListener } from './apply.ts';
import type { Clock } from './clock.ts';

/** Notices changes of our tables that are not ours. */
export interface Watcher extends WriteListener {
  /** Starts to watch; `onForeignChange` may be called at any time, also without a change. */
  start(onForeignChange: () => void): void;
  /** Whether changes are being noticed now; otherwise the tables must be listed often. */
  readonly healthy: boolean;
  /** Stops for good. */
  close(): Promise<void>;
}

/**
 * Tells our transactions from others' in the text of `nft monitor`. Every commit ends with a line
 * `# new generation N by process PID (NAME)`; a commit that touched our tables while one of ours was expected is
 * counted as ours. If it was not, ours follows, is one too many, and is reported: never too late by more than that.
 */
export class CommitLog {
  #expected = 0;
  #touched = false;
  /** Of a line whose end has not come. */
  #rest = '';
  #lastWriteAt = 0;

  /** One of our transactions begins. */
  expect(now: number): void {
    this.#expected++;
    this.#lastWriteAt = now;
  }

  /** One of our transactions ended; a failed one leaves no trace. */
  ended(applied: boolean, now: number): void {
    if (!applied) this.#expected = Math.max(0, this.#expected - 1);
    this.#lastWriteAt = now;
  }

  /**
   * Takes what `nft monitor` printed next; true when a stranger's commit touched our tables. A commit that is known to
   * touch them is skipped to its end: our first has a line for every element of every set.
   */
  take(chunk: string): boolean {
    const text = this.#rest + chunk;
    let foreign = false;
    let at = 0;
    for (;;) {
      if (this.#touched && !text.startsWith(remark, at)) {
        const before = text.indexOf(`\n${remark}`, at);
        at = before === -1 ? Math.max(at, text.lastIndexOf('\n') + 1) : before + 1;
        if (before === -1) break;
      }
      const end = text.indexOf('\n', at);
      if (end === -1) break;
      if (this.read(text.slice(at, end))) foreign = true;
      at = end + 1;
    }
    this.#rest = text.slice(at);
    return foreign;
  }

  /** Reads one line; true when a stranger's commit touched our tables, or may have. */
  read(line: string): boolean {
    if (line.startsWith(lostEvents)) {
      // Commits of ours may be among them: what is still expected would hide the next stranger.
      this.reset();
      return true;
    }
    if (!line.startsWith(generation)) {
      if (ownTable.test(line) && !deniedElement.test(line)) this.#touched = true;
      return false;
    }
    const touched = this.#touched;
    this.#touched = false;
    if (!touched) return false;
    if (this.#expected === 0) return true;
    this.#expected--;
    return false;
  }

  /** Whether an expected commit has not shown up for two seconds: the log lost something. Forgets it. */
  isStale(now: number): boolean {
    if (this.#expected === 0 || now - this.#lastWriteAt < 2_000) return false;
    this.#expected = 0;
    return true;
  }

  /** Forgets everything: the log starts anew. */
  reset(): void {
    this.#expected = 0;
    this.#touched = false;
    this.#rest = '';
  }
}

/** How every line begins that is no change. */
const remark = '# ';
const generation = `${remark}new generation `;
/** The kernel had more to tell than nft could take. */
const lostEvents = `${remark}ERROR: We lost some netlink events`;

const ownTable = new RegExp(
  `^(?:add|delete|insert|replace|flush|create|destroy) \\S+ (?:inet|bridge) ${tableName}(?: |$)`,
);
const deniedElement = new RegExp(`^\\S+ element inet ${tableName} (?:denied|audited)-`);

/** Options of {@link NftMonitor}. */
export interface NftMonitorOptions {
  /** The program and its first arguments; default `['nft']`. */
  readonly command?: readonly string[];
  readonly clock: Clock;
}

const startDelayMs = 300;
const healthyAfterMs = 2_000;

/**
 * Runs `nft monitor` and starts it again, with growing delays, when it ends. nft 1.0.6 ends with a segmentation fault
 * when elements of a concatenated interval set change, or when another program wrote a set with nft >= 1.1.2; then
 * {@link healthy} is false until it has held out for two seconds, and the owner lists the tables instead.
 */
export class NftMonitor implements Watcher {
  readonly #command: readonly string[];
  readonly #clock: Clock;
  readonly #log = new CommitLog();
  readonly #stop = new AbortController();
  #child: ChildProcess | undefined;
  #startedAt: number | undefined;
  #run: Promise<void> | undefined;

  constructor(options: NftMonitorOptions) {
    this.#command = options.command ?? ['nft'];
    this.#clock = options.clock;
  }

  get healthy(): boolean {
    return this.#startedAt !== undefined && this.#clock.now() - this.#startedAt >= healthyAfterMs;
  }

  start(onForeignChange: () => void): void {
    this.#run ??= this.#keepRunning(onForeignChange);
  }

  willWrite(): void {
    if (this.#child !== undefined) this.#log.expect(this.#clock.now());
  }

  didWrite(applied: boolean): void {
    this.#log.ended(applied, this.#clock.now());
  }

  async close(): Promise<void> {
    this.#stop.abort();
    this.#child?.kill('SIGTERM');
    await this.#run;
  }

  async #keepRunning(onForeignChange: () => void): Promise<void> {
    let delayMs = startDelayMs;
    while (!this.#stop.signal.aborted) {
      const startedAt = this.#clock.now();
      await this.#runOnce(onForeignChange);
      this.#child = undefined;
      this.#startedAt = undefined;
      this.#log.reset();
      if (this.#stop.signal.aborted) return;
      // What happened since the last line is not known.
      onForeignChange();
      delayMs = this.#clock.now() - startedAt > 60_000 ? startDelayMs : Math.min(30_000, delayMs * 2);
      await this.#clock.sleep(delayMs, this.#stop.signal);
    }
  }

  async #runOnce(onForeignChange: () => void): Promise<void> {
    const child = this.#spawn();
    if (child === undefined) return;
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    child.on('error', () => resolve());
    child.on('close', () => resolve());
    this.#child = child;
    this.#startedAt = this.#clock.now();
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      if (this.#log.take(chunk)) onForeignChange();
    });
    const beat = this.#watchLog(onForeignChange, ended);
    await ended;
    await beat;
  }

  /** Undefined if there are no processes, memory or file descriptors for it now. */
  #spawn(): ChildProcessByStdio<null, Readable, null> | undefined {
    // Without core dumps: see the class comment.
    const args = ['-c', 'ulimit -c 0; exec "$@"', 'sh', ...this.#command, 'monitor'];
    try {
      const child = spawn('/bin/sh', args, {
        stdio: ['ignore', 'pipe', 'ignore'],
        env: { ...process.env, LC_ALL: 'C' },
      });
      if (child.pid !== undefined) return child;
      // Told by an event, which somebody must hear.
      child.on('error', () => undefined);
    } catch (error) {
      if (!(error instanceof Error && 'syscall' in error)) throw error;
    }
    return undefined;
  }

  /** Looks once a second whether the log lost a commit of ours; ends with the child. */
  async #watchLog(onForeignChange: () => void, ended: Promise<void>): Promise<void> {
    const over = new AbortController();
    const closing = ended.then(() => over.abort());
    while (!over.signal.aborted) {
      await this.#clock.sleep(1_000, over.signal);
      if (this.#log.isStale(this.#clock.now())) onForeignChange();
    }
    await closing;
  }
}
