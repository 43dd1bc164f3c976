/** Labels of an object. A `Map`, because a key may be called `__proto__`. */
export type Labels = ReadonlyMap<string, string>;

/** No labels. */
export const noLabels: Labels = new Map();

/** `key=value` pairs sorted by key, for people. */
export function formatLabels(labels: Labels): string {
  return [...labels]
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(',');
}
