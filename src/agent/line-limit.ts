/** How many lines there may be: a burst at once, then one for each pause. Times in milliseconds. */
export interface LineLimitOptions {
  readonly burst: number;
  readonly pauseMs: number;
  readonly nowMs?: () => number;
}

/** Lines about what may happen many times a second for ever: a log must not fill a disk. */
export class LineLimit {
  readonly #options: Required<LineLimitOptions>;
  #left: number;
  #sinceMs: number;
  #skipped = 0;

  constructor(options: LineLimitOptions) {
    this.#options = { nowMs: () => performance.now(), ...options };
    this.#left = options.burst;
    this.#sinceMs = this.#options.nowMs();
  }

  /** Says a line, or counts it: `say` is told how many were left out since the last one. */
  take(say: (skipped: number) => void): void {
    const { burst, pauseMs, nowMs } = this.#options;
    const earned = Math.floor((nowMs() - this.#sinceMs) / pauseMs);
    this.#left = Math.min(burst, this.#left + earned);
    this.#sinceMs += earned * pauseMs;
    if (this.#left === 0) {
      this.#skipped += 1;
      return;
    }
    this.#left -= 1;
    const skipped = this.#skipped;
    this.#skipped = 0;
    say(skipped);
  }
}
