import type { Diagnostic } from '../model/diagnostic.ts';
import type { ModelObject } from '../model/snapshot.ts';

/** Kinds of objects a source delivers. */
export type ResourceKind = ModelObject['kind'];

/**
 * Where a source puts what it reads. Calls are synchronous and never throw into the source.
 * Objects are known by uid; the same name with a new uid is a removal and an addition.
 */
export interface SourceSink {
  upsert(object: ModelObject): void;
  remove(kind: ResourceKind, uid: string): void;
  /** A complete list of `kind` begins: what is not upserted before {@link SourceSink.endList} is gone (mark and sweep). */
  beginList(kind: ResourceKind): void;
  /** The list is complete; the first time, `kind` is in sync. */
  endList(kind: ResourceKind): void;
  /** Replaces everything reported under `scope` (a file, an object) before; an empty list clears it. */
  report(scope: string, diagnostics: readonly Diagnostic[]): void;
}

/** How well one kind of object is being followed. */
export interface SourceHealth {
  readonly kind: ResourceKind;
  readonly state: 'init' | 'syncing' | 'watching' | 'backoff';
  readonly synced: boolean;
  /** When something was last heard, on the clock of `performance.now()`. */
  readonly lastHeardAtMs?: number;
  /** Resource version up to which everything is known; only API servers have one. */
  readonly version?: string;
  /** Why it is not watching, for people. */
  readonly problem?: string;
}

/** Where objects come from: an API server, or a directory of manifests. */
export interface Source {
  /** Feeds the sink until aborted. Problems of the world are retried and reported, never thrown. */
  run(sink: SourceSink, signal: AbortSignal): Promise<void>;
  health(): readonly SourceHealth[];
}
