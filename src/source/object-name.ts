import type { ModelObject } from '../model/snapshot.ts';
import type { ResourceKind } from './source.ts';

/** Every kind a source delivers, in the order in which lists are given: what others refer to comes first. */
export const resourceKinds: readonly ResourceKind[] = ['Namespace', 'Node', 'Pod', 'Service', 'NetworkPolicy'];

/** The name of an object within its kind: `namespace/name`, or the name alone for kinds without namespace. */
export function objectName(object: ModelObject): string {
  switch (object.kind) {
    case 'Namespace':
    case 'Node':
      return object.name;
    case 'Pod':
    case 'Service':
    case 'NetworkPolicy':
      return object.key;
  }
}

/** `NetworkPolicy default/database`: unique among all objects. */
export function objectTitle(object: ModelObject): string {
  return `${object.kind} ${objectName(object)}`;
}
