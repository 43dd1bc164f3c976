/** How long the reflector waits, in milliseconds. Parameters, so that tests need not wait as long. */
export interface Deadlines {
  /** Spread of the very first request, and of resyncs forced by the server: a restart hits every node at once. */
  readonly spreadMs: number;
  /** For the head of an answer. */
  readonly headersMs: number;
  /** Without a byte. Bookmarks come every 60 s, even on a quiet watch. */
  readonly stallMs: number;
  /** For the next unseen object, or the end bookmark, of a streamed list. */
  readonly initialIdleMs: number;
  /** For a streamed list as a whole. */
  readonly initialMs: number;
  /** After a streamed list failed in a way that will recur, pages are used for this long. */
  readonly preferPagesMs: number;
  readonly backoffFirstMs: number;
  readonly backoffMaxMs: number;
  /** Asked of the server, between one and two times this. */
  readonly watchSeconds: number;
}

/** What fits a kube-apiserver. */
export const defaultDeadlines: Deadlines = {
  spreadMs: 5000,
  headersMs: 60_000,
  stallMs: 150_000,
  initialIdleMs: 20_000,
  initialMs: 120_000,
  preferPagesMs: 3_600_000,
  backoffFirstMs: 800,
  backoffMaxMs: 30_000,
  watchSeconds: 300,
};
