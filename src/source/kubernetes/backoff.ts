/** Delays in milliseconds; `random` answers a number in [0, 1). */
export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
  readonly random: () => number;
}

/** A server that asks for a longer pause than this is taken to be wrong: nobody would notice that it came back. */
export const maxRetryAfterMs = 300_000;

/**
 * Pauses between attempts: doubling from the first to the greatest, each between half and one and a half of itself,
 * so that many clients of a restarted server do not return together. Only progress starts it again.
 */
export class Backoff {
  readonly #options: BackoffOptions;
  #nextMs: number;

  constructor(options: BackoffOptions) {
    this.#options = options;
    this.#nextMs = options.firstMs;
  }

  /** The next pause. What the server asked for is its floor, spread by up to a half. */
  next(retryAfterMs = 0): number {
    const { maxMs, random } = this.#options;
    const ownMs = this.#nextMs * (0.5 + random());
    this.#nextMs = Math.min(this.#nextMs * 2, maxMs);
    const floorMs = Math.min(retryAfterMs, maxRetryAfterMs);
    return Math.max(ownMs, floorMs * (1 + random() / 2));
  }

  /** Something new arrived: the next failure is the first one again. */
  reset(): void {
    this.#nextMs = this.#options.firstMs;
  }
}
