import { watch } from 'node:fs';
import type { FSWatcher } from 'node:fs';

/**
 * Hears of changes in a directory. It tells only that something happened: what, the next listing shows. Where watching
 * is impossible it stays silent and says so by {@link DirectoryWatcher.problem}.
 */
export class DirectoryWatcher {
  /** Why changes are not heard of, if they are not. */
  problem: string | undefined;
  readonly #directory: string;
  readonly #changed: () => void;
  #watcher: FSWatcher | undefined;
  #identity: string | undefined;

  constructor(directory: string, changed: () => void) {
    this.#directory = directory;
    this.#changed = changed;
  }

  /** Watches the directory that has this identity now; a directory that was replaced is watched anew. */
  follow(identity: string): void {
    if (this.#watcher !== undefined && this.#identity === identity) return;
    this.close();
    try {
      const watcher = watch(this.#directory, { persistent: true }, () => this.#changed());
      watcher.on('error', (error) => {
        if (this.#watcher === watcher) this.#lose(error);
      });
      this.#watcher = watcher;
      this.#identity = identity;
      this.problem = undefined;
    } catch (error) {
      this.#lose(error);
    }
  }

  /** Stops watching. */
  close(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    this.#identity = undefined;
  }

  #lose(error: unknown): void {
    this.close();
    this.problem = error instanceof Error ? error.message : String(error);
  }
}
