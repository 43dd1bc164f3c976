import { Alarm } from './alarm.ts';
import type { Diagnostic } from '../model/diagnostic.ts';
import type { ModelObject } from '../model/snapshot.ts';
import { listDirectory, sameListing } from './directory-listing.ts';
import type { DirectoryListing } from './directory-listing.ts';
import { DirectoryState } from './directory-state.ts';
import { DirectoryWatcher } from './directory-watcher.ts';
import { inputDiagnostic } from './manifests/input-diagnostic.ts';
import { readTextFile } from './manifests/read-file.ts';
import { resourceKinds } from './object-name.ts';
import type { Source, SourceHealth, SourceSink } from './source.ts';

/** Options of a {@link DirectorySource}; times in milliseconds. */
export interface DirectoryOptions {
  /** How long the directory must lie still before it is read: a file in the middle of being written is not a policy. */
  readonly settleMs?: number;
  /** How often to look without having been told. */
  readonly rescanMs?: number;
  /** How soon to look again for a directory that cannot be read. */
  readonly retryMs?: number;
  readonly nowMs?: () => number;
  /**
   * Whether to begin only when every file can be read that may hold policies. Asked while one cannot: what an earlier run
   * enforces must not be opened by a mistake in a file. Without it the source begins with what can be read.
   */
  readonly awaitsAll?: () => Promise<boolean>;
}

/** Looks at a directory that never lies still, after which it is read all the same. */
const maxSettleLooks = 20;
/** Longest rest between two looks, in milliseconds. */
const maxRestMs = 20;

/**
 * A directory of manifests as a source. It is watched, and also looked at from time to time, since not every file
 * system tells of changes. One look is one batch: only objects that changed are passed on, and an object that moved
 * between files stays. A directory that cannot be read is reported; what was read before stays in force.
 */
export class DirectorySource implements Source {
  readonly #directory: string;
  readonly #settleMs: number;
  readonly #rescanMs: number;
  readonly #retryMs: number;
  readonly #nowMs: () => number;
  readonly #awaitsAll: () => Promise<boolean>;
  readonly #state = new DirectoryState();
  #applied: ReadonlyMap<string, ModelObject> = new Map();
  readonly #reported = new Map<string, readonly Diagnostic[]>();
  #taken: DirectoryListing | undefined;
  #phase: SourceHealth['state'] = 'init';
  #synced = false;
  #problem: string | undefined;
  /** What the first delivery waits for. */
  #hidden: readonly string[] = [];
  #lastHeardAtMs: number | undefined;

  constructor(directory: string, options: DirectoryOptions = {}) {
    this.#directory = directory;
    this.#settleMs = options.settleMs ?? 50;
    this.#rescanMs = options.rescanMs ?? 5_000;
    this.#retryMs = options.retryMs ?? 500;
    this.#nowMs = options.nowMs ?? (() => performance.now());
    this.#awaitsAll = options.awaitsAll ?? (() => Promise.resolve(false));
  }

  health(): readonly SourceHealth[] {
    return resourceKinds.map((kind) => ({
      kind,
      state: this.#phase,
      synced: this.#synced,
      ...(this.#lastHeardAtMs === undefined ? {} : { lastHeardAtMs: this.#lastHeardAtMs }),
      ...(this.#problem === undefined ? {} : { problem: this.#problem }),
    }));
  }

  async run(sink: SourceSink, signal: AbortSignal): Promise<void> {
    const alarm = new Alarm(signal);
    const watcher = new DirectoryWatcher(this.#directory, () => alarm.ring());
    if (!this.#synced) this.#phase = 'syncing';
    try {
      while (!signal.aborted) {
        alarm.reset();
        const read = await this.#look(watcher, signal);
        if (signal.aborted) return;
        this.#hidden = read ? await this.#missing() : [];
        if (signal.aborted) return;
        if (read && this.#hidden.length === 0) this.#deliver(sink);
        else if (read) this.#reportFiles(sink);
        this.#reportDirectory(sink);
        await alarm.wait(read ? this.#rescanMs : this.#retryMs);
        // A flood of events costs one look per interval.
        await new Alarm(signal).wait(Math.min(this.#settleMs, maxRestMs));
      }
    } finally {
      watcher.close();
    }
  }

  /** Reads what changed, once the directory lies still; false if it cannot be read. */
  async #look(watcher: DirectoryWatcher, signal: AbortSignal): Promise<boolean> {
    let last = this.#taken;
    for (let look = 0; ; look += 1) {
      const listing = listDirectory(this.#directory);
      if (!listing.ok) {
        this.#problem = listing.error;
        return false;
      }
      watcher.follow(listing.value.identity);
      const still = last !== undefined && sameListing(last, listing.value);
      if ((still || look >= maxSettleLooks) && this.#read(listing.value, look >= maxSettleLooks)) {
        this.#problem = undefined;
        this.#lastHeardAtMs = this.#nowMs();
        return true;
      }
      last = listing.value;
      await new Alarm(signal).wait(this.#settleMs);
      if (signal.aborted) return false;
    }
  }

  /** Takes a listing unless the directory changed while its files were read. */
  #read(listing: DirectoryListing, force: boolean): boolean {
    if (this.#taken !== undefined && sameListing(this.#taken, listing)) return true;
    const texts = new Map(this.#state.changedFiles(listing).map((path) => [path, readTextFile(path)]));
    const after = listDirectory(this.#directory);
    if (!force && !(after.ok && sameListing(listing, after.value))) return false;
    this.#state.update(listing, texts);
    this.#taken = listing;
    return true;
  }

  /** Files that the first delivery waits for. */
  async #missing(): Promise<readonly string[]> {
    if (this.#synced) return [];
    const hiding = this.#state.hiding();
    return hiding.length > 0 && (await this.#awaitsAll()) ? hiding : [];
  }

  #deliver(sink: SourceSink): void {
    const { objects } = this.#state.desired();
    if (this.#synced) this.#deliverChanges(objects, sink);
    else {
      for (const kind of resourceKinds) {
        sink.beginList(kind);
        for (const object of objects.values()) if (object.kind === kind) sink.upsert(object);
        sink.endList(kind);
      }
    }
    this.#synced = true;
    this.#phase = 'watching';
    this.#applied = objects;
    this.#reportFiles(sink);
  }

  #reportFiles(sink: SourceSink): void {
    const { reports } = this.#state.desired();
    for (const path of this.#reported.keys()) if (!reports.has(path)) this.#report(sink, path, []);
    for (const [path, diagnostics] of reports) this.#report(sink, path, diagnostics);
  }

  /** New and changed objects first: an object that took another's place is there before the other goes. */
  #deliverChanges(objects: ReadonlyMap<string, ModelObject>, sink: SourceSink): void {
    if (objects === this.#applied) return;
    for (const [title, object] of objects) if (this.#applied.get(title) !== object) sink.upsert(object);
    const uids = new Set([...objects.values()].map((object) => `${object.kind} ${object.uid}`));
    for (const [title, object] of this.#applied) {
      // An object that was renamed keeps its uid, and its upsert has replaced the old name.
      if (!objects.has(title) && !uids.has(`${object.kind} ${object.uid}`)) sink.remove(object.kind, object.uid);
    }
  }

  #reportDirectory(sink: SourceSink): void {
    if (this.#hidden.length > 0) {
      this.#problem = `what cannot be read of ${this.#hidden.join(', ')} may be policies`;
      const help = 'The rules of an earlier run stay in the kernel until it can be read: repair it, or take it away.';
      this.#phase = 'backoff';
      this.#report(sink, this.#directory, [
        inputDiagnostic('I001', 'error', `cannot begin with ${this.#directory}: ${this.#problem}`, help),
      ]);
      return;
    }
    if (this.#problem === undefined) {
      this.#report(sink, this.#directory, []);
      return;
    }
    this.#phase = 'backoff';
    const kept = this.#synced ? 'what was read from it before stays in force' : 'nothing was read from it yet';
    this.#report(sink, this.#directory, [
      inputDiagnostic(
        'I001',
        'error',
        `cannot read ${this.#directory}: ${this.#problem}`,
        `${kept}; it is tried again`,
      ),
    ]);
  }

  #report(sink: SourceSink, scope: string, diagnostics: readonly Diagnostic[]): void {
    const before = this.#reported.get(scope);
    if (diagnostics.length === 0 && before === undefined) return;
    if (before !== undefined && JSON.stringify(before) === JSON.stringify(diagnostics)) return;
    if (diagnostics.length === 0) this.#reported.delete(scope);
    else this.#reported.set(scope, diagnostics);
    sink.report(scope, diagnostics);
  }
}
