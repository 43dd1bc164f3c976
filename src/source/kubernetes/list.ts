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

/**
 * Reads the collection page by page, without a `resourceVersion`, so that every page belongs to one consistent read.
 * It ends as `closed` when the last page has been received; an expired token ends it as any refusal does, and the
 * next attempt begins anew.
 */
export async function listPages(
  options: Exchange,
  query: (continueToken: string | undefined) => URLSearchParams,
  receiver: ListReceiver,
): Promise<End> {
  let token: string | undefined;
  let first = true;
  for (;;) {
    let page: ListPage | undefined;
    const request = { accept: options.codec.acceptList, query: query(token) };
    const end = await exchange(options, request, async (body) => {
      const bytes = await readBody(body.response, maxPageBytes, () => body.heard());
      page = options.codec.list(body.contentType, bytes);
    });
    if (end.kind !== 'closed' || page === undefined) return end;
    if (first) receiver.beginList();
    first = false;
    for (const object of page.objects) receiver.upsert(object);
    token = page.continueToken;
    if (token !== undefined) continue;
    receiver.endList(page.version);
    return end;
  }
}
