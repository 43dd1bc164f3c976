import { field, text } from '../oracle/raw.ts';
import type { RawObject } from '../oracle/question.ts';

/** The name of an object to delete. */
export interface ObjectRef {
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
}

/** One change of a cluster: deletions come first, then `apply` creates or wholly replaces. */
export interface Change {
  readonly delete: readonly ObjectRef[];
  readonly apply: readonly RawObject[];
}

/** The cluster after the change; objects keep their order, new ones come last. */
export function applyChange(objects: readonly RawObject[], change: Change): readonly RawObject[] {
  const state = new Map(objects.map((object) => [keyOf(refOf(object)), object]));
  for (const ref of change.delete) state.delete(keyOf(ref));
  for (const object of change.apply) state.set(keyOf(refOf(object)), object);
  return [...state.values()];
}

/** What an object is called. */
export function refOf(object: RawObject): ObjectRef {
  const metadata = field(object, 'metadata');
  const namespace = text(field(metadata, 'namespace'));
  return {
    kind: String(object['kind']),
    ...(namespace === undefined ? {} : { namespace }),
    name: text(field(metadata, 'name')) ?? '',
  };
}

function keyOf(ref: ObjectRef): string {
  return `${ref.kind} ${ref.namespace ?? ''} ${ref.name}`;
}
