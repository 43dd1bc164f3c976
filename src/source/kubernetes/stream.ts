import type { KubeAccess, KubeResponse } from './access.ts';
import { AccessError, readBody } from './access.ts';
import type { ApiStatus } from './api-status.ts';
import { readRefusal } from './api-status.ts';
import type { Clock } from './clock.ts';
import type { Codec, WatchEvent } from './codec.ts';
import { FrameError } from './codec.ts';
import { DecodeFailure } from './decode-failure.ts';
import type { Deadlines } from './deadlines.ts';
import type { Resource } from './resource.ts';

/** How an exchange with the API server ended. Nothing of the world is thrown past this. */
export type End =
  /** In order: the server's time limit, or the last page. */
  | { readonly kind: 'closed' }
  /** A refusal, as the answer's status or as an ERROR event. */
  | { readonly kind: 'refused'; readonly status: ApiStatus }
  | { readonly kind: 'broken'; readonly error: AccessError }
  | { readonly kind: 'undecodable'; readonly error: FrameError | DecodeFailure }
  | { readonly kind: 'overdue'; readonly deadline: 'headers' | 'stall' | 'initial' }
  | { readonly kind: 'aborted' };

/** One exchange: its parts, and who hears of its progress. */
export interface Exchange {
  readonly access: KubeAccess;
  readonly codec: Codec;
  readonly resource: Resource;
  readonly clock: Clock;
  readonly deadlines: Deadlines;
  readonly signal: AbortSignal;
  /** A byte of a body arrived. */
  readonly heard: () => void;
}

/** A refusal is a short Status, or the page of a proxy. */
const maxRefusalBytes = 1024 * 1024;

class Overdue extends Error {
  readonly deadline: 'headers' | 'stall' | 'initial';
  constructor(deadline: 'headers' | 'stall' | 'initial') {
    super(`nothing came within the ${deadline} deadline`);
    this.deadline = deadline;
  }
}

/** A running GET whose body is awaited under deadlines. */
export interface OpenBody {
  readonly response: KubeResponse;
  readonly contentType: string;
  /** To be called for each chunk: the stall deadline starts again. */
  heard(): void;
  /** Ends the exchange as `initial` overdue. */
  giveUpInitial(): void;
}

/** A refusal as an exception, within {@link exchange} only. */
class Refused extends Error {
  readonly status: ApiStatus;
  constructor(status: ApiStatus) {
    super(status.message);
    this.status = status;
  }
}

/** Sends one GET under its deadlines and hands the body of a 200 to `use`; every failure becomes an {@link End}. */
export async function exchange(
  options: Exchange,
  request: { readonly accept: string; readonly query: URLSearchParams },
  use: (body: OpenBody) => Promise<void>,
): Promise<End> {
  const { access, clock, deadlines, resource } = options;
  const attempt = new AbortController();
  const stop = (): void => attempt.abort();
  options.signal.addEventListener('abort', stop, { once: true });
  let deadline = clock.deadline(deadlines.headersMs, () => attempt.abort(new Overdue('headers')));
  try {
    if (options.signal.aborted) return { kind: 'aborted' };
    const response = await access.request({
      method: 'GET',
      path: resource.path,
      query: request.query,
      headers: { accept: request.accept },
      signal: attempt.signal,
    });
    deadline.cancel();
    deadline = clock.deadline(deadlines.stallMs, () => attempt.abort(new Overdue('stall')));
    if (response.status !== 200) {
      const body = await readBody(response, maxRefusalBytes);
      return { kind: 'refused', status: readRefusal(response.status, response.headers, body, Date.now()) };
    }
    const heard = (): void => {
      deadline.restart();
      options.heard();
    };
    await use({
      response,
      contentType: response.headers['content-type'] ?? '',
      heard,
      giveUpInitial: () => attempt.abort(new Overdue('initial')),
    });
    return { kind: 'closed' };
  } catch (error) {
    if (options.signal.aborted) return { kind: 'aborted' };
    const reason: unknown = attempt.signal.reason;
    if (reason instanceof Overdue) return { kind: 'overdue', deadline: reason.deadline };
    if (error instanceof Refused) return { kind: 'refused', status: error.status };
    if (error instanceof FrameError || error instanceof DecodeFailure) return { kind: 'undecodable', error };
    if (error instanceof AccessError) return { kind: 'broken', error };
    throw error;
  } finally {
    deadline.cancel();
    options.signal.removeEventListener('abort', stop);
    attempt.abort();
  }
}

/** Follows one watch until it ends. `apply` is called in order, once per event, and may throw {@link DecodeFailure}. */
export function watch(
  options: Exchange,
  query: URLSearchParams,
  use: {
    readonly opened: (body: OpenBody) => void;
    readonly apply: (event: Exclude<WatchEvent, { kind: 'error' }>) => void;
  },
): Promise<End> {
  return exchange(options, { accept: options.codec.acceptWatch, query }, async (body) => {
    const decoder = options.codec.watch(body.contentType);
    use.opened(body);
    for await (const chunk of body.response.body) {
      body.heard();
      for (const event of decoder.push(chunk)) {
        if (event.kind === 'error') throw new Refused(event.status);
        use.apply(event);
      }
    }
    decoder.end();
  });
}
