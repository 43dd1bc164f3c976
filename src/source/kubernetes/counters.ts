/** Why a list was read anew. */
export type ResyncReason = 'expired' | 'version-too-large' | 'silent' | 'decode';

/** What one reflector did so far; times are on the clock of `performance.now()`. For metrics. */
export interface ReflectorCounters {
  readonly resyncs: ReadonlyMap<ResyncReason, number>;
  /** By HTTP status (`429`) or by what broke (`reset`, `stall`, `headers`, `frame`). */
  readonly watchErrors: ReadonlyMap<string, number>;
  readonly decodeErrors: number;
  readonly staleIgnored: number;
  /** Objects a complete list no longer held. */
  readonly syntheticDeletes: number;
  readonly quarantined: number;
  /** The pause in force, 0 if none. */
  readonly backoffMs: number;
  readonly lastByteAtMs: number | undefined;
  readonly lastBookmarkAtMs: number | undefined;
}

/** The writing side of {@link ReflectorCounters}. */
export class Counters implements ReflectorCounters {
  readonly resyncs: Map<ResyncReason, number> = new Map();
  readonly watchErrors: Map<string, number> = new Map();
  decodeErrors = 0;
  staleIgnored = 0;
  syntheticDeletes = 0;
  quarantined = 0;
  backoffMs = 0;
  lastByteAtMs: number | undefined;
  lastBookmarkAtMs: number | undefined;

  resync(reason: ResyncReason): void {
    this.resyncs.set(reason, (this.resyncs.get(reason) ?? 0) + 1);
  }

  watchError(code: string): void {
    this.watchErrors.set(code, (this.watchErrors.get(code) ?? 0) + 1);
  }
}
