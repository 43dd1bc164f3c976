import { setTimeout as delay } from 'node:timers/promises';

import { AccessError, readBody } from '../source/kubernetes/access.ts';
import type { KubeAccess } from '../source/kubernetes/access.ts';
import { isExpired, readRefusal } from '../source/kubernetes/api-status.ts';
import type { ApiStatus } from '../source/kubernetes/api-status.ts';
import { jsonCodec } from '../source/kubernetes/json-codec.ts';

/** A collection, or the part of it in one namespace. */
export interface Collection {
  readonly kind: string;
  /** `v1` or `GROUP/VERSION`. */
  readonly apiVersion: string;
  readonly plural: string;
  readonly namespace?: string;
  /** Only objects with these labels, or fields that the server can select by. */
  readonly selector?: { readonly labels?: string; readonly fields?: string };
}

/** An API server, and how long one answer of it may take. */
export interface LiveApi {
  readonly access: KubeAccess;
  /** Milliseconds; 0 for as long as it takes. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** What a read came to: objects, or that this identity may not read them, or that the server has no such collection. */
export type ReadAnswer =
  | { readonly kind: 'read'; readonly objects: readonly Readonly<Record<string, unknown>>[] }
  | { readonly kind: 'forbidden' }
  | { readonly kind: 'not-found' };

/** The API server refused a read for another reason than permission, or did not answer. */
export class LiveError extends Error {
  override readonly name = 'LiveError';
  readonly code: 'refused' | 'unreachable';

  constructor(code: LiveError['code'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

const pageSize = 500;
const maxAnswerBytes = 256 * 1024 * 1024;
/** Tries of one page while the server is overloaded. */
const maxTries = 4;
/** Longest pause the server may ask for, in milliseconds. */
const maxPauseMs = 10_000;

/** Where a collection is: `/api/v1/namespaces/shop/pods`. */
export function collectionPath({ apiVersion, plural, namespace }: Collection): string {
  const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  return namespace === undefined
    ? `${root}/${plural}`
    : `${root}/namespaces/${encodeURIComponent(namespace)}/${plural}`;
}

/** Reads a collection page by page. Throws {@link LiveError}. */
export async function readCollection(api: LiveApi, collection: Collection): Promise<ReadAnswer> {
  const codec = jsonCodec({ kind: collection.kind, apiVersion: collection.apiVersion });
  const path = collectionPath(collection);
  let objects: Readonly<Record<string, unknown>>[] = [];
  let token: string | undefined;
  let restarted = false;
  for (;;) {
    const query = new URLSearchParams({
      limit: String(pageSize),
      ...(collection.selector?.labels === undefined ? {} : { labelSelector: collection.selector.labels }),
      ...(collection.selector?.fields === undefined ? {} : { fieldSelector: collection.selector.fields }),
      ...(token === undefined ? {} : { continue: token }),
    });
    const answer = await get(api, path, query);
    if (!answer.ok) {
      if (isForbidden(answer.status)) return { kind: 'forbidden' };
      if (answer.status.code === 404) return { kind: 'not-found' };
      // The list took longer than the server keeps its version: once more from the start.
      if (token === undefined || !isExpired(answer.status) || restarted) throw refusal(api.access, path, answer.status);
      restarted = true;
      objects = [];
      token = undefined;
      continue;
    }
    const page = codec.list('application/json', answer.body);
    for (const { raw } of page.objects) objects.push(raw as Readonly<Record<string, unknown>>);
    token = page.continueToken;
    if (token === undefined) return { kind: 'read', objects };
  }
}

/** Reads one object. Throws {@link LiveError}. */
export async function readObject(api: LiveApi, collection: Collection, name: string): Promise<ReadAnswer> {
  const path = `${collectionPath(collection)}/${encodeURIComponent(name)}`;
  const answer = await get(api, path, new URLSearchParams());
  if (answer.ok)
    return { kind: 'read', objects: [JSON.parse(answer.body.toString('utf8')) as Readonly<Record<string, unknown>>] };
  if (isForbidden(answer.status)) return { kind: 'forbidden' };
  if (answer.status.code === 404) return { kind: 'not-found' };
  throw refusal(api.access, path, answer.status);
}

/** Not to speak as somebody else (`--as`) is another refusal: no right to read would help. */
function isForbidden({ code, message }: ApiStatus): boolean {
  return code === 403 && !message.includes('cannot impersonate');
}

type Got = { readonly ok: true; readonly body: Buffer } | { readonly ok: false; readonly status: ApiStatus };

async function get({ access, timeoutMs, signal }: LiveApi, path: string, query: URLSearchParams): Promise<Got> {
  for (let tries = 1; ; tries += 1) {
    let status: ApiStatus;
    const late = timeoutMs === 0 ? undefined : AbortSignal.timeout(timeoutMs);
    try {
      const headers = { accept: 'application/json' };
      const response = await access.request({
        method: 'GET',
        path,
        query,
        headers,
        signal: late === undefined ? signal : AbortSignal.any([signal, late]),
      });
      const body = await readBody(response, maxAnswerBytes);
      if (response.status === 200) return { ok: true, body };
      status = readRefusal(response.status, response.headers, body, Date.now());
    } catch (error) {
      if (signal.aborted || !(error instanceof AccessError)) throw error;
      if (late?.aborted === true)
        throw new LiveError('unreachable', `${access.server} did not answer in time (--request-timeout)`, error);
      throw new LiveError('unreachable', `cannot ask ${access.server}: ${error.message}`, error);
    }
    if (tries >= maxTries) return { ok: false, status };
    if (status.code === 401 && tries === 1) access.refreshCredentials();
    else if (status.code === 429 || status.code >= 500)
      await delay(Math.min(status.retryAfterMs ?? 250 * tries, maxPauseMs), undefined, { signal });
    else return { ok: false, status };
  }
}

function refusal({ server }: KubeAccess, path: string, { code, message }: ApiStatus): LiveError {
  const why = code === 401 ? `${server} does not know these credentials` : `${server} answered ${code} to ${path}`;
  return new LiveError('refused', message === '' ? why : `${why}: ${message}`);
}
