/** A wait that can be cut short: by ringing, or by the abort of a signal. */
export class Alarm {
  readonly #signal: AbortSignal;
  #rung = false;
  #wake: (() => void) | undefined;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
  }

  /** Ends the present wait, or the next one at once. */
  ring(): void {
    this.#rung = true;
    this.#wake?.();
  }

  /** Forgets earlier rings. */
  reset(): void {
    this.#rung = false;
  }

  /** Waits for a ring, the abort, or the time. */
  wait(ms: number): Promise<void> {
    if (this.#rung || this.#signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#signal.removeEventListener('abort', done);
        this.#wake = undefined;
        resolve();
      };
      const timer = setTimeout(done, ms);
      this.#signal.addEventListener('abort', done, { once: true });
      this.#wake = done;
    });
  }
}
