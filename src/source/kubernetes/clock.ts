/** Time as the reflector uses it, so that tests decide how fast it goes. */
export interface Clock {
  /** Milliseconds on the clock of `performance.now()`, which does not jump when somebody sets the time. */
  now(): number;
  /** Resolves after `delayMs`, or at once when aborted. Never rejects. */
  sleep(delayMs: number, signal: AbortSignal): Promise<void>;
  /** Calls `expire` once `delayMs` have passed since the start or the last {@link Deadline.restart}. */
  deadline(delayMs: number, expire: () => void): Deadline;
}

/** A running deadline. */
export interface Deadline {
  restart(): void;
  cancel(): void;
}

/** The clock of this machine. Its timers keep the process alive: a source is what the process lives for. */
export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: (delayMs, signal) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    if (signal.aborted) {
      resolve();
      return promise;
    }
    const timer = setTimeout(done, delayMs);
    signal.addEventListener('abort', done, { once: true });
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    return promise;
  },
  deadline: (delayMs, expire) => {
    const timer = setTimeout(expire, delayMs);
    return { restart: () => void timer.refresh(), cancel: () => clearTimeout(timer) };
  },
};
