import { rename, rm, writeFile } from 'node:fs/promises';

import type { EnforcerStatus } from '../enforcer/enforcer.ts';

/** Tells other programs that this node is enforced: written once, whole, after the first complete apply. */
export class ReadyFile {
  readonly #path: string;
  readonly #node: string;
  #writing: Promise<void> | undefined;

  constructor(path: string, node: string) {
    this.#path = path;
    this.#node = node;
  }

  /** Removes what an agent before us left. */
  async remove(): Promise<void> {
    await rm(this.#path, { force: true });
  }

  /** Takes the enforcer's news. */
  update(status: EnforcerStatus): void {
    if (status.lastApply?.ok !== true || this.#writing !== undefined) return;
    this.#writing = this.#write();
  }

  /** Resolves when a write in progress has ended; rejects if it failed. */
  async written(): Promise<void> {
    await this.#writing;
  }

  async #write(): Promise<void> {
    const temporary = `${this.#path}.${process.pid}.tmp`;
    await writeFile(temporary, `${JSON.stringify({ node: this.#node, readyAt: new Date().toISOString() })}\n`);
    await rename(temporary, this.#path);
  }
}
