/** Labels of an object. A `Map`, because a key may be called `__proto__`. */
export type Labels = ReadonlyMap<string, string>;

/** No labels. */
export const noLabels: Labels = new Map();
