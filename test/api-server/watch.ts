import type { ServerResponse } from 'node:http';

import type { Encoding } from './encoding.ts';
import type { Fault } from './faults.ts';
import type { Random } from './random.ts';
import { shuffled } from './random.ts';
import { reset, statusBody, trickle } from './reply.ts';
import { fieldFilter, labelFilter } from './selectors.ts';
import type { Filter } from './selectors.ts';
import type { LogEntry, Plural, StoredObject, Truth } from './truth.ts';
import { collections } from './truth.ts';

/** What a watch is opened with. */
export interface WatchOptions {
  readonly truth: Truth;
  readonly plural: Plural;
  readonly namespace: string | undefined;
  readonly query: URLSearchParams;
  readonly response: ServerResponse;
  readonly fault: Fault | undefined;
  /** Between bookmarks, if the client wants them. */
  readonly bookmarkMs: number;
  readonly encoding: Encoding;
  /** Orders initial events, which have no order by contract; left out, they come by key, as newer servers send them. */
  readonly random: Random | undefined;
}

/** Initial events that are sent at once. */
const sliceLength = 200;

/** Serves one watch until either side ends it. */
export class WatchStream {
  readonly #options: WatchOptions;
  readonly #passes: Filter;
  /** Sent so far, bookmarks included. */
  #events = 0;
  #ended = false;
  /** Nothing more will be sent, though the connection stays. */
  #mute = false;
  readonly #cleanup: (() => void)[] = [];
  /** Writes one after the other, however slow the stream is. */
  #writing: Promise<void> = Promise.resolve();
  #lastSent: StoredObject | undefined;
  /** Writes that came while initial events are being sent. */
  #waiting: LogEntry[] | undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
    const fields = fieldFilter(options.query.get('fieldSelector'));
    const labels = labelFilter(options.query.get('labelSelector'));
    const { namespace } = options;
    this.#passes = (object) =>
      (namespace === undefined || object.metadata.namespace === namespace) && fields(object) && labels(object);
  }

  /** Begins to answer. */
  start(): void {
    const { truth, query, response, fault, encoding } = this.#options;
    response.on('close', () => this.#finish());
    response.writeHead(200, { 'content-type': encoding.watchType });
    response.flushHeaders();
    this.#mute = fault?.kind === 'silence';
    const version = query.get('resourceVersion') ?? '';
    const initial = query.get('sendInitialEvents') === 'true' || version === '' || version === '0';
    const from = initial ? truth.revision : Number(version);
    if (!initial && from < truth.compacted) {
      this.#send('ERROR', statusBody(410, 'Expired', `too old resource version: ${from} (${truth.compacted})`));
      this.end();
      return;
    }
    if (initial) this.#sendInitial(query.get('sendInitialEvents') === 'true');
    for (const entry of initial ? [] : truth.since(from)) this.#forward(entry);
    // A version from the future hears of nothing until the server's has passed it.
    this.#cleanup.push(truth.subscribe((entry) => entry.revision > from && this.#forward(entry)));
    if (query.get('allowWatchBookmarks') === 'true') {
      const timer = setInterval(() => this.#bookmark(from), this.#options.bookmarkMs);
      this.#cleanup.push(() => clearInterval(timer));
    }
    const seconds = Number(query.get('timeoutSeconds') ?? '0');
    if (seconds > 0) {
      const timer = setTimeout(() => this.end(), seconds * 1000);
      this.#cleanup.push(() => clearTimeout(timer));
    }
  }

  /** Ends in order, behind what is being written. */
  end(): void {
    if (this.#ended) return;
    this.#finish();
    void this.#writing.then(() => this.#options.response.end());
  }

  #sendInitial(streamedList: boolean): void {
    const { truth, plural, random, fault } = this.#options;
    const { revision } = truth;
    const listed = truth.list(plural);
    const ordered = random === undefined ? listed : shuffled(random, listed);
    const objects = ordered.filter((object) => this.#passes(object));
    const finish = (): void => {
      if (streamedList && fault?.kind !== 'withhold-end') this.#send('BOOKMARK', this.#emptyObject(revision, true));
    };
    if (objects.length <= sliceLength) {
      for (const object of objects) this.#send('ADDED', object);
      finish();
      return;
    }
    this.#waiting = [];
    void this.#sendSlices(objects).then(() => {
      finish();
      const waiting = this.#waiting ?? [];
      this.#waiting = undefined;
      for (const entry of waiting) this.#forward(entry);
    });
  }

  /** No faster than the client reads: the initial events of a large cluster are a gigabyte. */
  async #sendSlices(objects: readonly StoredObject[]): Promise<void> {
    const { response } = this.#options;
    for (let at = 0; at < objects.length && !this.#ended; at += sliceLength) {
      for (const object of objects.slice(at, at + sliceLength)) this.#send('ADDED', object);
      while (response.writableNeedDrain && !this.#ended) await new Promise((resolve) => setTimeout(resolve, 1));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  #bookmark(from: number): void {
    const { truth, fault } = this.#options;
    if (truth.revision < from || fault?.kind === 'withhold-end') return;
    this.#send('BOOKMARK', this.#emptyObject(truth.revision, false));
  }

  /** What the API server sends as a bookmark: a typed object with nothing in it. */
  #emptyObject(revision: number, initialEnd: boolean): object {
    const { plural } = this.#options;
    const type = collections.get(plural);
    const annotations = initialEnd ? { annotations: { 'k8s.io/initial-events-end': 'true' } } : {};
    return {
      kind: type?.kind,
      apiVersion: type?.apiVersion,
      metadata: { resourceVersion: String(revision), creationTimestamp: null, ...annotations },
      ...(plural === 'pods' && { spec: { containers: null }, status: {} }),
    };
  }

  /** An object that stops to match is DELETED, in its last matching state. */
  #forward(entry: LogEntry): void {
    if (entry.plural !== this.#options.plural || this.#ended) return;
    if (this.#waiting !== undefined) {
      this.#waiting.push(entry);
      return;
    }
    const before = entry.previous !== undefined && this.#passes(entry.previous);
    const after = entry.type !== 'DELETED' && this.#passes(entry.object);
    if (after) this.#send(before ? 'MODIFIED' : 'ADDED', entry.object);
    else if (before && entry.previous !== undefined) {
      const metadata = { ...entry.previous.metadata, resourceVersion: String(entry.revision) };
      this.#send('DELETED', { ...entry.previous, metadata });
    }
  }

  #send(type: string, object: object): void {
    if (this.#mute || this.#ended) return;
    const { fault, encoding } = this.#options;
    const line = encoding.event(type, object);
    if (fault !== undefined && 'after' in fault && fault.after === this.#events) {
      this.#events += 1;
      if (this.#play(fault, type, object, line)) return;
    } else {
      this.#events += 1;
    }
    // Not of a deleted object: a past state would bring it back to life.
    if (type === 'DELETED') this.#lastSent = undefined;
    else if (type !== 'BOOKMARK' && type !== 'ERROR') this.#lastSent = object as StoredObject;
    this.#write(line);
  }

  /** Plays a fault in the place of an event. Answers whether the event is not to be sent. */
  #play(fault: Fault, type: string, object: object, line: Buffer): boolean {
    const { encoding } = this.#options;
    switch (fault.kind) {
      case 'reset':
        this.#finish();
        void this.#writing.then(() => reset(this.#options.response));
        return true;
      case 'truncate':
        this.#write(line.subarray(0, line.length >> 1));
        this.end();
        return true;
      case 'garbage':
        this.#write(encoding.garbage);
        return true;
      case 'corrupt': {
        const metadata = (object as StoredObject).metadata;
        const broken = { ...object, metadata: { ...metadata, ...encoding.brokenMetadata } };
        this.#write(encoding.event(type, type === 'BOOKMARK' ? object : broken));
        return true;
      }
      case 'stall':
        this.#mute = true;
        return true;
      case 'close':
        this.end();
        return true;
      case 'error-event':
        this.#write(encoding.event('ERROR', statusBody(fault.code, fault.reason, 'injected')));
        this.end();
        return true;
      case 'stale': {
        const past = this.#pastState();
        if (past !== undefined) this.#write(encoding.event('MODIFIED', past));
        return false;
      }
      default:
        return false;
    }
  }

  /** A state the last object had before what was sent of it. */
  #pastState(): StoredObject | undefined {
    const uid = this.#lastSent?.metadata.uid;
    const version = Number(this.#lastSent?.metadata.resourceVersion);
    const past = this.#options.truth
      .since(0)
      .findLast(({ previous, revision }) => previous?.metadata.uid === uid && revision <= version);
    return past?.previous;
  }

  #write(bytes: Buffer): void {
    const { response, fault } = this.#options;
    if (fault?.kind === 'slow') this.#writing = this.#writing.then(() => trickle(response, bytes, fault));
    else if (!response.destroyed) response.write(bytes);
  }

  #finish(): void {
    this.#ended = true;
    for (const undo of this.#cleanup.splice(0)) undo();
  }
}
