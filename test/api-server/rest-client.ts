import type { KubeAccess, KubeRequest } from '../../src/source/kubernetes/access.ts';
import { readBody } from '../../src/source/kubernetes/access.ts';
import type { Json, Plural, StoredObject } from './truth.ts';
import { collections, pluralOf } from './truth.ts';

/** An answer that is no success. */
export class RestError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Plain verbs over an access: the same for a test server, one in another process, and a real one. */
export class RestClient {
  readonly #access: KubeAccess;

  constructor(access: KubeAccess) {
    this.#access = access;
  }

  async create(plural: Plural, object: Json): Promise<StoredObject> {
    const { namespace } = object['metadata'] as { readonly namespace?: string };
    return (await this.send('POST', pathOf(plural, namespace), object)) as StoredObject;
  }

  /** `undefined` if it is not there. */
  async get(plural: Plural, name: string, namespace?: string): Promise<StoredObject | undefined> {
    try {
      return (await this.send('GET', `${pathOf(plural, namespace)}/${name}`)) as StoredObject;
    } catch (error) {
      if (error instanceof RestError && error.status === 404) return undefined;
      throw error;
    }
  }

  /**
   * Creates or replaces, and reports a status as a kubelet or controller would. What a real server lets nobody change,
   * the spec of a pod, stays.
   */
  async apply(object: Json & { readonly kind: string }): Promise<StoredObject> {
    const plural = pluralOf(object.kind);
    const { status, ...rest } = object;
    const metadata = object['metadata'] as { readonly name: string; readonly namespace?: string };
    const { name, namespace } = metadata;
    const existing = await this.get(plural, name, namespace);
    const { uid, resourceVersion } = existing?.metadata ?? {};
    const spec = object.kind === 'Pod' && existing !== undefined ? { spec: existing['spec'] } : {};
    const stored =
      existing === undefined
        ? await this.create(plural, rest)
        : ((await this.send('PUT', `${pathOf(plural, namespace)}/${name}`, {
            ...rest,
            ...spec,
            metadata: { ...metadata, uid, resourceVersion },
          })) as StoredObject);
    return status === undefined ? stored : await this.patch(plural, name, namespace, { status }, 'status');
  }

  /** Merges `patch` into the object, or into its status only. */
  async patch(
    plural: Plural,
    name: string,
    namespace: string | undefined,
    patch: Json,
    subresource?: 'status',
  ): Promise<StoredObject> {
    const path = `${pathOf(plural, namespace)}/${name}${subresource === undefined ? '' : `/${subresource}`}`;
    return (await this.send('PATCH', path, patch)) as StoredObject;
  }

  /** Deletes, by default at once: without a kubelet nobody would end a graceful deletion. */
  async delete(plural: Plural, name: string, namespace?: string, graceSeconds = 0): Promise<void> {
    await this.send('DELETE', `${pathOf(plural, namespace)}/${name}?gracePeriodSeconds=${graceSeconds}`);
  }

  /** Everything in one page, with the kind that items lack. */
  async list(plural: Plural): Promise<Json[]> {
    const type = collections.get(plural);
    const list = (await this.send('GET', pathOf(plural, undefined))) as { readonly items: readonly Json[] };
    return list.items.map((item) => ({ ...item, kind: type?.kind, apiVersion: type?.apiVersion }));
  }

  /** Sends anything anywhere. Rejects with {@link RestError} unless that succeeds. */
  async send(method: KubeRequest['method'], target: string, body?: Json): Promise<unknown> {
    const [path = '', query] = target.split('?');
    const contentType = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const response = await this.#access.request({
      method,
      path,
      ...(query !== undefined && { query: new URLSearchParams(query) }),
      headers: { accept: 'application/json', ...(body !== undefined && { 'content-type': contentType }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(30_000),
    });
    const text = (await readBody(response, 64 * 1024 * 1024)).toString('utf8');
    if (response.status >= 300) throw new RestError(response.status, `${method} ${target}: ${response.status} ${text}`);
    return JSON.parse(text) as unknown;
  }
}

/** Where a collection is. */
export function pathOf(plural: Plural, namespace: string | undefined): string {
  const version = collections.get(plural)?.apiVersion ?? '';
  const root = `${version.includes('/') ? '/apis' : '/api'}/${version}`;
  return namespace === undefined ? `${root}/${plural}` : `${root}/namespaces/${namespace}/${plural}`;
}
