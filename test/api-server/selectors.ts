import type { StoredObject } from './truth.ts';

/** Whether an object passes. */
export type Filter = (object: StoredObject) => boolean;

/** `a=b,c!=d` over fields, as `fieldSelector`; booleans compare as texts, a missing field as the empty text or `false`. */
export function fieldFilter(text: string | null): Filter {
  return all(text, (path) => (object) => {
    const value = path
      .split('.')
      .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], object);
    if (value === undefined || value === null) return path === 'spec.hostNetwork' ? 'false' : '';
    return typeof value === 'string' || typeof value === 'boolean' ? String(value) : '';
  });
}

/** `a=b,c!=d` over labels, as `labelSelector`; set-based forms are not understood. */
export function labelFilter(text: string | null): Filter {
  return all(text, (key) => (object) => object.metadata.labels?.[key] ?? '');
}

function all(text: string | null, read: (name: string) => (object: StoredObject) => string): Filter {
  const conditions = (text ?? '')
    .split(',')
    .filter((part) => part !== '')
    .map((part) => {
      const match = /^([^=!]+?)\s*(!=|==?)\s*(.*)$/.exec(part);
      if (match === null) throw new Error(`selector not understood: ${part}`);
      const [, name = '', operator = '=', value = ''] = match;
      const get = read(name);
      return (object: StoredObject) => (get(object) === value) === (operator !== '!=');
    });
  return (object) => conditions.every((condition) => condition(object));
}
