import type { ApiStatus } from './api-status.ts';

/** An object as it came, with what the transport needs of it. */
export interface WireObject {
  readonly uid: string;
  readonly version: string;
  /** `''` for kinds without namespace. */
  readonly namespace: string;
  readonly name: string;
  /** Shaped like the API's JSON; untrusted. */
  readonly raw: unknown;
}

/** One event of a watch. */
export type WatchEvent =
  | { readonly kind: 'changed'; readonly object: WireObject }
  /** Its object is the *last matching* state: good for its identity only. */
  | { readonly kind: 'deleted'; readonly object: WireObject }
  | { readonly kind: 'bookmark'; readonly version: string; readonly initialEnd: boolean }
  | { readonly kind: 'error'; readonly status: ApiStatus };

/** One page of a list. */
export interface ListPage {
  readonly objects: readonly WireObject[];
  readonly version: string;
  /** Absent on the last page. */
  readonly continueToken?: string;
}

/** The bytes mean nothing: the stream ends here, and nothing after this point may be believed. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

/** Cuts the bytes of one watch into events. */
export interface WatchDecoder {
  /** Events completed by these bytes, lazily: those before a bad frame come out first, then it throws {@link FrameError}. */
  push(chunk: Uint8Array): Iterable<WatchEvent>;
  /** The stream ended in order; throws {@link FrameError} if it did so within a frame. */
  end(): void;
}

/** One encoding of the API: bytes in, events and pages out. */
export interface Codec {
  /** `Accept` of a watch and of a list. */
  readonly acceptWatch: string;
  readonly acceptList: string;
  /** A decoder for an answer of this content type; throws {@link FrameError} for a type it does not know. */
  watch(contentType: string): WatchDecoder;
  /** Throws {@link FrameError}. */
  list(contentType: string, body: Buffer): ListPage;
}
