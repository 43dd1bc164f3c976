import type { Plural } from './truth.ts';
import { collections } from './truth.ts';

/** What a path names. */
export interface Route {
  readonly plural: Plural;
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
}

/** Reads `/api/v1/...` and `/apis/GROUP/VERSION/...`. `undefined`: nothing this server has. */
export function parseRoute(path: string): Route | undefined {
  const parts = path
    .split('/')
    .filter((part) => part !== '')
    .map(decodeURIComponent);
  const group =
    parts[0] === 'api' ? parts.slice(1, 2).join('/') : parts[0] === 'apis' ? parts.slice(1, 3).join('/') : undefined;
  if (group === undefined) return undefined;
  const rest = parts.slice(parts[0] === 'api' ? 2 : 3);
  // `/namespaces/NAME` is a namespace, `/namespaces/NAME/PLURAL` a collection in one; `status` is no collection.
  const nested = rest[0] === 'namespaces' && rest.length >= 3 && rest[2] !== 'status';
  const [plural = '', name, subresource] = nested ? rest.slice(2) : rest;
  const type = collections.get(plural as Plural);
  if (type === undefined || type.apiVersion !== group) return undefined;
  return {
    plural: plural as Plural,
    ...(nested && rest[1] !== undefined && { namespace: rest[1] }),
    ...(name !== undefined && { name }),
    ...(subresource !== undefined && { subresource }),
  };
}
