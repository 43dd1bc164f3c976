import type { ServerResponse } from 'node:http';

import { jsonPatch } from './json-patch.ts';
import type { PatchStep } from './json-patch.ts';
import { sendJson, sendStatus } from './reply.ts';
import type { Route } from './route.ts';
import type { Json, StoredObject, Truth } from './truth.ts';
import { collections, WriteError } from './truth.ts';

/**
 * GET, POST, PUT, PATCH (a list is RFC 6902, all else is merged as RFC 7386) and DELETE of single objects. Unlike the real server it keeps
 * a `status` given to POST, deletes at once, and knows no finalizers.
 */
export function answerObject(response: ServerResponse, truth: Truth, method: string, route: Route, body: Json): void {
  const { plural, namespace, name, subresource } = route;
  try {
    switch (method) {
      case 'GET': {
        const found = truth.get(plural, name ?? '', namespace);
        if (found === undefined) throw new WriteError(404, 'NotFound', `${plural} "${name}" not found`);
        sendJson(response, 200, found);
        return;
      }
      case 'POST':
        sendJson(response, 201, truth.create(plural, withoutIdentity(inNamespace(body, namespace))));
        return;
      case 'PUT': {
        const previous = truth.get(plural, name ?? '', namespace);
        sendJson(response, 200, truth.update(plural, merge(inNamespace(body, namespace), previous, subresource)));
        return;
      }
      case 'PATCH':
        sendJson(response, 200, patched(truth, route, body));
        return;
      case 'DELETE':
        sendJson(response, 200, truth.delete(plural, name ?? '', namespace));
        return;
      default:
        sendStatus(response, 405, 'MethodNotAllowed', `no ${method} here`);
    }
  } catch (error) {
    if (!(error instanceof WriteError)) throw error;
    sendStatus(response, error.code, error.reason, error.message, {
      details: { kind: collections.get(plural)?.kind, name },
    });
  }
}

function patched(truth: Truth, { plural, namespace, name = '' }: Route, body: Json): StoredObject {
  if (!Array.isArray(body)) return truth.patch(plural, name, namespace, body);
  const found = truth.get(plural, name, namespace);
  if (found === undefined) throw new WriteError(404, 'NotFound', `${plural} "${name}" not found`);
  return truth.update(plural, jsonPatch(found, body as readonly PatchStep[]));
}

/** Identity is the server's to give. */
function withoutIdentity(body: Json): Json {
  const {
    uid: _uid,
    resourceVersion: _version,
    creationTimestamp: _time,
    ...metadata
  } = (body['metadata'] ?? {}) as Json;
  return { ...body, metadata };
}

function inNamespace(body: Json, namespace: string | undefined): Json {
  return namespace === undefined ? body : { ...body, metadata: { ...(body['metadata'] as Json), namespace } };
}

/** `/status` replaces the status only; a PUT of the object leaves the status as it is. */
function merge(body: Json, previous: StoredObject | undefined, subresource: string | undefined): Json {
  if (previous === undefined) return body;
  if (subresource === 'status') return { ...previous, status: body['status'] };
  return previous['status'] === undefined ? body : { ...body, status: previous['status'] };
}
