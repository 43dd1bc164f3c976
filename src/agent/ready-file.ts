import { rename, rm, writeFile } from 'node:fs/promises';

import type { Clock } from '../enforcer/clock.ts';
import type { EnforcerStatus } from '../enforcer/enforcer.ts';
import type { Logger } from './logger.ts';

/** Parts of a {@link ReadyFile}. */
export interface ReadyFileOptions {
  readonly path: string;
  readonly node: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Ends the attempts to write it. */
  readonly signal: AbortSignal;
}

/** Before the next attempt to write a file that could not be written, in milliseconds. */
const retryMs = 5_000;

/**
 * Tells other programs that this node is enforced: written once, whole, after the first complete apply. What keeps it
 * from being written is told and tried again, and stops nothing else.
 */
export class ReadyFile {
  readonly #options: ReadyFileOptions;
  #writing: Promise<void> | undefined;

  constructor(options: ReadyFileOptions) {
    this.#options = options;
  }

  /** Removes what an agent before us left. Rejects if that is impossible: it would say that this node is enforced. */
  async remove(): Promise<void> {
    await rm(this.#options.path, { force: true });
  }

  /** Takes the enforcer's news. */
  update(status: Pick<EnforcerStatus, 'lastApply'>): void {
    if (status.lastApply?.ok !== true || this.#writing !== undefined) return;
    this.#writing = this.#writeAtLast();
  }

  /** Resolves when no write is in progress any more. */
  async written(): Promise<void> {
    await this.#writing;
  }

  async #writeAtLast(): Promise<void> {
    const { path, clock, logger, signal } = this.#options;
    let said = false;
    while (!signal.aborted) {
      try {
        await this.#write();
        return;
      } catch (error) {
        if (!said) logger.error({ err: error, path }, 'the ready file cannot be written; enforcing all the same');
        said = true;
        await clock.sleep(retryMs, signal);
      }
    }
  }

  async #write(): Promise<void> {
    const { path, node } = this.#options;
    const temporary = `${path}.${process.pid}.tmp`;
    try {
      await writeFile(temporary, `${JSON.stringify({ node, readyAt: new Date().toISOString() })}\n`);
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }
}
