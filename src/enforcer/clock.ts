/** Time as the enforcer sees it, so that tests own it. */
export interface Clock {
  /** Milliseconds on a clock that does not jump. */
  now(): number;
  /** Resolves after `ms` (at most 24 days) or as soon as `signal` is aborted; never rejects. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

const maxTimeoutMs = 2 ** 31 - 1;

/** The monotonic clock of this process. */
export const systemClock: Clock = {
  now: () => performance.now(),
  sleep: async (ms, signal) => {
    if (signal?.aborted === true) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    // A longer delay would overflow to none; whoever waits looks at the time again.
    const timer = setTimeout(resolve, Math.min(ms, maxTimeoutMs));
    const wake = (): void => resolve();
    signal?.addEventListener('abort', wake, { once: true });
    await promise;
    clearTimeout(timer);
    signal?.removeEventListener('abort', wake);
  },
};
