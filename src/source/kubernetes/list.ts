import { isExpired, isVersionTooLarge } from './api-status.ts';
import type { ListPage, WatchEvent, WireObject } from './codec.ts';
import type { Deadline } from './clock.ts';
import type { End, Exchange, OpenBody } from './stream.ts';
import { exchange, watch } from './stream.ts';
import { readBody } from './access.ts';

/** Who receives a list. */
export interface ListReceiver {
  beginList(): void;
  /** Answers whether the list had not shown this object before. */
  upsert(object: WireObject): boolean;
  remove(object: WireObject): void;
  /** All objects of a page have been received. */
  pageTaken(): void;
  /** The list is complete as of `version`. */
  endList(version: string): void;
}

/** A page of 500 objects of 512 KiB: beyond it something else is wrong. */
const maxPageBytes = 256 * 1024 * 1024;

/**
 * Reads the collection as the beginning of a watch, then follows that watch: every later event goes to `apply`.
 * The initial events come in no order, so no version is good for resuming before the end bookmark names one.
 * A server (or a proxy) that holds the end bookmark back makes it overdue as `initial`.
 */
export async function streamList(
  options: Exchange,
  query: URLSearchParams,
  receiver: ListReceiver,
  apply: (event: Exclude<WatchEvent, { kind: 'error' }>) => void,
): Promise<End> {
  query.set('sendInitialEvents', 'true');
  query.set('resourceVersionMatch', 'NotOlderThan');
  const { clock, deadlines } = options;
  let complete = false;
  const running: Deadline[] = [];
  let idle: Deadline | undefined;
  const opened = (body: OpenBody): void => {
    receiver.beginList();
    idle = clock.deadline(deadlines.initialIdleMs, () => body.giveUpInitial());
    running.push(
      idle,
      clock.deadline(deadlines.initialMs, () => body.giveUpInitial()),
    );
  };
  try {
    return await watch(options, query, { opened, apply: receive });
  } finally {
    for (const deadline of running) deadline.cancel();
  }

  function receive(event: Exclude<WatchEvent, { kind: 'error' }>): void {
    if (complete) return apply(event);
    if (event.kind === 'changed' && receiver.upsert(event.object)) idle?.restart();
    if (event.kind === 'deleted') receiver.remove(event.object);
    if (event.kind !== 'bookmark' || !event.initialEnd) return;
    complete = true;
    for (const deadline of running) deadline.cancel();
    receiver.endList(event.version);
  }
}

/** Failures in a row at one page, after which the list begins anew. */
const attemptsPerPage = 5;

/**
 * The collection page by page, without a `resourceVersion`, so that every page belongs to one consistent read. What
 * breaks off between two pages goes on there: where a few pages in a hundred fail, a list of hundreds would never end.
 */
export class PagedList {
  #token: string | undefined;
  #begun = false;
  #failures = 0;

  /** Reads on; ends as `closed` when the last page has been received. */
  async read(
    options: Exchange,
    query: (continueToken: string | undefined) => URLSearchParams,
    receiver: ListReceiver,
  ): Promise<End> {
    for (;;) {
      let page: ListPage | undefined;
      const request = { accept: options.codec.acceptList, query: query(this.#token) };
      const end = await exchange(options, request, async (body) => {
        const bytes = await readBody(body.response, maxPageBytes, () => body.heard());
        page = options.codec.list(body.contentType, bytes);
      });
      if (end.kind !== 'closed' || page === undefined) {
        this.#failures += 1;
        if (!mayPass(end) || this.#failures >= attemptsPerPage) this.#restart();
        return end;
      }
      this.#failures = 0;
      if (!this.#begun) receiver.beginList();
      this.#begun = true;
      for (const object of page.objects) receiver.upsert(object);
      receiver.pageTaken();
      this.#token = page.continueToken;
      if (this.#token !== undefined) continue;
      this.#restart();
      receiver.endList(page.version);
      return end;
    }
  }

  #restart(): void {
    this.#token = undefined;
    this.#begun = false;
    this.#failures = 0;
  }
}

/** Whether the same page may be had later. */
function mayPass(end: End): boolean {
  if (end.kind !== 'refused') return end.kind === 'broken' || end.kind === 'overdue';
  const { code } = end.status;
  if (isExpired(end.status) || isVersionTooLarge(end.status)) return false;
  return code === 401 || code === 403 || code === 429 || code >= 500;
}
