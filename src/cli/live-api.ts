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
export async function readCollection(
  access: KubeAccess,
  collection: Collection,
  signal: AbortSignal,
): Promise<ReadAnswer> {
  const codec = jsonCodec({ kind: collection.kind, apiVersion: collection.apiVersion });
  const path = collectionPath(collection);
  let objects: Readonly<Record<string, unknown>>[] = [];
  let token: string | undefined;
  let restarted = false;
  for (;;) {
    const query = new URLSearchParams({ limit: String(pageSize), ...(token === undefined ? {} : { continue: token }) });
    const answer = await get(access, path, query, signal);
    if (!answer.ok) {
      if (answer.status.code === 403) return { kind: 'forbidden' };
      if (answer.status.code === 404) return { kind: 'not-found' };
      // The list took longer than the server keeps its version: once more from the start.
      if (token === undefined || !isExpired(answer.status) || restarted) throw refusal(access, path, answer.status);
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
export async function readObject(
  access: KubeAccess,
  collection: Collection,
  name: string,
  signal: AbortSignal,
): Promise<ReadAnswer> {
  const path = `${collectionPath(collection)}/${encodeURIComponent(name)}`;
  const answer = await get(access, path, new URLSearchParams(), signal);
  if (answer.ok)
    return { kind: 'read', objects: [JSON.parse(answer.body.toString('utf8')) as Readonly<Record<string, unknown>>] };
  if (answer.status.code === 403) return { kind: 'forbidden' };
  if (answer.status.code === 404) return { kind: 'not-found' };
  throw refusal(access, path, answer.status);
}

type Got = { readonly ok: true; readonly body: Buffer } | { readonly ok: false; readonly status: ApiStatus };

async function get(access: KubeAccess, path: string, query: URLSearchParams, signal: AbortSignal): Promise<Got> {
  for (let tries = 1; ; tries += 1) {
    let status: ApiStatus;
    try {
      const headers = { accept: 'application/json' };
      const response = await access.request({ method: 'GET', path, query, headers, signal });
      const body = await readBody(response, maxAnswerBytes);
      if (response.status === 200) return { ok: true, body };
      status = readRefusal(response.status, response.headers, body, Date.now());
    } catch (error) {
      throw unreachable(access, error, signal);
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

function unreachable({ server }: KubeAccess, error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted || !(error instanceof AccessError)) return error;
  if (error.code === 'aborted')
    return new LiveError('unreachable', `${server} did not answer in time (--request-timeout)`, error);
  return new LiveError('unreachable', `cannot ask ${server}: ${error.message}`, error);
}
