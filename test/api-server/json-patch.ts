import { isDeepStrictEqual } from 'node:util';

import { WriteError } from './truth.ts';
import type { Json } from './truth.ts';

/** One step of RFC 6902; only these are known here. */
export interface PatchStep {
  readonly op: 'test' | 'remove';
  readonly path: string;
  readonly value?: unknown;
}

/** Applies the steps to a copy. Throws {@link WriteError} 422 as the real server does when a test fails or a place is missing. */
export function jsonPatch(object: Json, steps: readonly PatchStep[]): Json {
  const copy = structuredClone(object);
  for (const { op, path, value } of steps) {
    const names = path.split('/').slice(1);
    const last = names.pop() ?? '';
    let parent: unknown = copy;
    for (const name of names) parent = (parent as Record<string, unknown> | undefined)?.[name];
    const present = (parent as Record<string, unknown> | undefined)?.[last];
    if (present === undefined || (op === 'test' && !isDeepStrictEqual(present, value)))
      throw new WriteError(422, 'Invalid', 'the server rejected our request due to an error in our request');
    if (op === 'test') continue;
    if (Array.isArray(parent)) parent.splice(Number(last), 1);
    else delete (parent as Record<string, unknown>)[last];
  }
  return copy;
}
