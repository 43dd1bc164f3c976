import type { SourceHealth, SourceSink } from '../source.ts';
import type { KubeAccess } from './access.ts';
import { isExpired, isVersionTooLarge, refusesFieldSelector, refusesWatchList } from './api-status.ts';
import type { ApiStatus } from './api-status.ts';
import { Backoff } from './backoff.ts';
import type { Clock } from './clock.ts';
import type { Codec, WatchEvent } from './codec.ts';
import type { ReflectorCounters, ResyncReason } from './counters.ts';
import { Counters } from './counters.ts';
import type { Deadlines } from './deadlines.ts';
import { describeEnd, errorCode, missingPermission } from './describe-end.ts';
import { Intake } from './intake.ts';
import type { Decode } from './intake.ts';
import { PagedList, streamList } from './list.ts';
import type { ListReceiver } from './list.ts';
import type { Resource } from './resource.ts';
import { compareVersions } from './resource-version.ts';
import type { End, Exchange } from './stream.ts';
import { watch } from './stream.ts';

/** What a {@link Reflector} is made of. */
export interface ReflectorOptions {
  readonly resource: Resource;
  readonly access: KubeAccess;
  readonly codec: Codec;
  readonly decode: Decode;
  readonly sink: SourceSink;
  readonly clock: Clock;
  /** A number in [0, 1). */
  readonly random: () => number;
  readonly deadlines: Deadlines;
  readonly pageSize: number;
}

/** Undecodable at one version this often: the stream is not believed any longer. */
const decodeAttempts = 3;
/** Streamed lists that broke off in a row before pages are used. */
const streamedListAttempts = 3;

type Failure = Exclude<End, { kind: 'closed' | 'aborted' }>;

/**
 * Follows one collection: INIT -> SYNCING -> WATCHING <-> BACKOFF. It owns transport and versions.
 *
 * Resume first: after nearly every failure it watches again from the last version it applied. A new list is read only
 * if that version is useless (expired, or newer than the server), if watches were silent since they began, or if one
 * version could not be decoded three times.
 */
export class Reflector {
  readonly counters: ReflectorCounters;
  readonly #options: ReflectorOptions;
  readonly #counters = new Counters();
  readonly #intake: Intake;
  readonly #backoff: Backoff;
  readonly #receiver: ListReceiver;
  #state: SourceHealth['state'] = 'init';
  #synced = false;
  #problem: string | undefined;
  #forbidden = false;
  /** What a watch may resume from: every event up to here has been applied. Absent: a list is due. */
  #version: string | undefined;
  #fieldSelector: string | undefined;
  /** The list being read comes in pages. */
  #paged = false;
  #pages: PagedList | undefined;
  #pagesUntilMs = 0;
  #brokenLists = 0;
  #undecodable: { readonly version: string; readonly count: number } | undefined;
  #openedAtMs: number | undefined;
  /** How long watches have been open since the last byte of one. */
  #silentMs = 0;

  constructor(options: ReflectorOptions) {
    this.#options = options;
    this.counters = this.#counters;
    const { resource, sink, decode, deadlines, random } = options;
    this.#fieldSelector = resource.fieldSelector;
    const intake = new Intake({ kind: resource.kind, sink, decode, counters: this.#counters });
    this.#intake = intake;
    this.#backoff = new Backoff({ firstMs: deadlines.backoffFirstMs, maxMs: deadlines.backoffMaxMs, random });
    this.#receiver = {
      beginList: () => intake.beginList(),
      upsert: (object) => intake.upsert(object),
      remove: (object) => intake.remove(object),
      pageTaken: () => this.#backoff.reset(),
      endList: (version) => {
        intake.endList();
        this.#version = version;
        this.#synced = true;
        this.#brokenLists = 0;
        this.#undecodable = undefined;
        this.#counters.lastBookmarkAtMs = options.clock.now();
        this.#progress();
        // A streamed list is a watch already; pages are not.
        if (!this.#paged) this.#state = 'watching';
      },
    };
  }

  /** Follows the collection until aborted. Whatever the world does, it goes on; only a defect of ours rejects. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, deadlines } = this.#options;
    await clock.sleep(random() * deadlines.spreadMs, signal);
    while (!signal.aborted) {
      const listing = this.#version === undefined;
      const paged = listing && clock.now() < this.#pagesUntilMs;
      this.#paged = paged;
      const end = listing ? await this.#sync(signal, paged) : await this.#watch(signal, this.#version ?? '');
      if (end.kind === 'aborted') return;
      // A list that arrived in pages has no watch yet, and a server that streams no lists is well: nothing to pause for.
      if (paged && this.#version !== undefined) continue;
      if (listing && !paged && end.kind === 'refused' && refusesWatchList(end.status)) {
        this.#preferPages();
        continue;
      }
      if (listing && end.kind === 'refused' && refusesFieldSelector(end.status) && this.#widen()) continue;
      const pauseMs = end.kind === 'closed' ? this.#afterClose() : this.#afterFailure(end, paged ? 'list' : 'watch');
      this.#state = 'backoff';
      this.#counters.backoffMs = pauseMs;
      await clock.sleep(pauseMs, signal);
      this.#counters.backoffMs = 0;
    }
  }

  /** How well the collection is followed. */
  health(): SourceHealth {
    const lastHeardAtMs = this.#counters.lastByteAtMs;
    return {
      kind: this.#options.resource.kind,
      state: this.#state,
      synced: this.#synced,
      ...(lastHeardAtMs !== undefined && { lastHeardAtMs }),
      ...(this.#version !== undefined && { version: this.#version }),
      ...(this.#problem !== undefined && { problem: this.#problem }),
    };
  }

  #sync(signal: AbortSignal, paged: boolean): Promise<End> {
    this.#state = 'syncing';
    const exchange = this.#exchange(signal);
    if (paged) {
      this.#pages ??= new PagedList();
      return this.#pages.read(exchange, (token) => this.#pageQuery(token), this.#receiver);
    }
    this.#pages = undefined;
    return streamList(exchange, this.#watchQuery(), this.#receiver, (event) => this.#apply(event));
  }

  async #watch(signal: AbortSignal, version: string): Promise<End> {
    const { clock, deadlines } = this.#options;
    const query = this.#watchQuery();
    query.set('resourceVersion', version);
    this.#openedAtMs = undefined;
    const end = await watch(this.#exchange(signal), query, {
      opened: () => {
        this.#openedAtMs = clock.now();
        this.#state = 'watching';
        this.#problem = undefined;
      },
      apply: (event) => this.#apply(event),
    });
    if (this.#openedAtMs !== undefined) {
      const stalled = end.kind === 'overdue' && end.deadline === 'stall';
      this.#silentMs += stalled ? deadlines.stallMs : clock.now() - this.#openedAtMs;
    }
    return end;
  }

  #apply(event: Exclude<WatchEvent, { kind: 'error' }>): void {
    switch (event.kind) {
      case 'changed':
        this.#intake.upsert(event.object);
        this.#advance(event.object.version);
        return;
      case 'deleted':
        this.#intake.remove(event.object);
        this.#advance(event.object.version);
        return;
      case 'bookmark':
        this.#counters.lastBookmarkAtMs = this.#options.clock.now();
        this.#advance(event.version);
        return;
    }
  }

  /** A repeated or stale event does not take the version back. */
  #advance(version: string): void {
    if (this.#version !== undefined && compareVersions(version, this.#version) < 0) return;
    this.#version = version;
    this.#progress();
  }

  #progress(): void {
    this.#backoff.reset();
    this.#problem = undefined;
    if (!this.#forbidden) return;
    this.#forbidden = false;
    this.#options.sink.report(this.#scope(), []);
  }

  #afterClose(): number {
    if (this.#version === undefined) this.#listBroke();
    else if (this.#silentMs >= this.#options.deadlines.stallMs) this.#resync('silent');
    return this.#pauseMs();
  }

  /** Decides what to do after a failure, and answers how long to wait before it. */
  #afterFailure(end: Failure, verb: 'list' | 'watch'): number {
    const hadVersion = this.#version !== undefined;
    this.#problem = describeEnd(end);
    this.#counters.watchError(errorCode(end));
    switch (end.kind) {
      case 'refused':
        this.#afterRefusal(end.status, verb);
        break;
      case 'undecodable':
        this.#afterUndecodable();
        break;
      case 'overdue':
        if (end.deadline === 'initial') this.#preferPages();
        else if (!hadVersion) this.#listBroke();
        break;
      case 'broken':
        if (!hadVersion) this.#listBroke();
        break;
    }
    if (this.#version !== undefined && this.#silentMs >= this.#options.deadlines.stallMs) this.#resync('silent');
    return this.#pauseMs(end.kind === 'refused' ? end.status.retryAfterMs : undefined);
  }

  #afterRefusal(status: ApiStatus, verb: 'list' | 'watch'): void {
    if (status.code === 401) this.#options.access.refreshCredentials();
    if (status.code === 403) {
      this.#forbidden = true;
      this.#options.sink.report(this.#scope(), [missingPermission(this.#options.resource, verb, status.message)]);
    }
    if (this.#version === undefined) return;
    if (isExpired(status)) this.#resync('expired');
    else if (isVersionTooLarge(status)) this.#resync('version-too-large');
  }

  #afterUndecodable(): void {
    if (this.#version === undefined) return this.#listBroke();
    const count = this.#undecodable?.version === this.#version ? this.#undecodable.count + 1 : 1;
    this.#undecodable = { version: this.#version, count };
    if (count >= decodeAttempts) this.#resync('decode');
  }

  #resync(reason: ResyncReason): void {
    this.#version = undefined;
    this.#counters.resync(reason);
    this.#silentMs = 0;
  }

  /** A streamed list broke off. Something between us and the server may not bear long answers. */
  #listBroke(): void {
    this.#brokenLists += 1;
    if (this.#brokenLists >= streamedListAttempts) this.#preferPages();
  }

  /** Asks for more than is needed; false if that is being done, or cannot be. */
  #widen(): boolean {
    const { widerFieldSelector } = this.#options.resource;
    if (widerFieldSelector === undefined || this.#fieldSelector === widerFieldSelector) return false;
    this.#fieldSelector = widerFieldSelector;
    return true;
  }

  #preferPages(): void {
    this.#pagesUntilMs = this.#options.clock.now() + this.#options.deadlines.preferPagesMs;
  }

  /** A server that came back is met by every node at once: lists are spread wider than watches. */
  #pauseMs(retryAfterMs?: number): number {
    const pauseMs = this.#backoff.next(retryAfterMs);
    if (this.#version !== undefined || !this.#synced) return pauseMs;
    return Math.max(pauseMs, this.#options.random() * this.#options.deadlines.spreadMs);
  }

  #exchange(signal: AbortSignal): Exchange {
    const { access, codec, resource, clock, deadlines } = this.#options;
    const heard = (): void => {
      this.#counters.lastByteAtMs = clock.now();
      this.#silentMs = 0;
      this.#openedAtMs = undefined;
    };
    return { access, codec, resource, clock, deadlines, signal, heard };
  }

  #watchQuery(): URLSearchParams {
    const { random, deadlines } = this.#options;
    const query = this.#query();
    query.set('watch', '1');
    query.set('allowWatchBookmarks', 'true');
    query.set('timeoutSeconds', String(Math.ceil(deadlines.watchSeconds * (1 + random()))));
    return query;
  }

  #pageQuery(continueToken: string | undefined): URLSearchParams {
    const query = this.#query();
    query.set('limit', String(this.#options.pageSize));
    if (continueToken !== undefined) query.set('continue', continueToken);
    return query;
  }

  #query(): URLSearchParams {
    const query = new URLSearchParams();
    if (this.#fieldSelector !== undefined) query.set('fieldSelector', this.#fieldSelector);
    return query;
  }

  #scope(): string {
    return `watch ${this.#options.resource.kind}`;
  }
}
