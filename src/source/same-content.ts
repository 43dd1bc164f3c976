/**
 * Whether two model values say the same, whatever their `source`: where an object was read, and its version, mean
 * nothing to policy. Knows plain objects, arrays, maps and sets.
 */
export function sameContent(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => sameContent(item, b[index]));
  }
  if (a instanceof Map) return b instanceof Map && sameMap(a, b);
  if (a instanceof Set) return b instanceof Set && a.size === b.size && [...a].every((item) => b.has(item));
  if (Array.isArray(b) || b instanceof Map || b instanceof Set) return false;
  return sameFields(a as Record<string, unknown>, b as Record<string, unknown>);
}

function sameMap(a: ReadonlyMap<unknown, unknown>, b: ReadonlyMap<unknown, unknown>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (!b.has(key) || !sameContent(value, b.get(key))) return false;
  return true;
}

function sameFields(a: Record<string, unknown>, b: Record<string, unknown>): boolean {
  let fields = 0;
  for (const key in a) {
    if (key === 'source') continue;
    fields += 1;
    if (!Object.hasOwn(b, key) || !sameContent(a[key], b[key])) return false;
  }
  for (const key in b) if (key !== 'source') fields -= 1;
  return fields === 0;
}
