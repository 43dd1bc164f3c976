/** Exit codes, documented and stable. */
export const exitCode = {
  /** Allowed, expectations met, nothing found, applied. */
  ok: 0,
  /** Denied, an expectation failed, findings. */
  no: 1,
  /** Usage, unreadable input, or a failure of our own or of the world. */
  usage: 2,
  /** Facts are missing. */
  unknown: 3,
} as const;

/** One of {@link exitCode}. */
export type ExitCode = (typeof exitCode)[keyof typeof exitCode];
