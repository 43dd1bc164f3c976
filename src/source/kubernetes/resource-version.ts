/**
 * Orders resource versions of one resource: decimal numbers of any size, as the API guarantees (KEP-5504).
 * Negative if `a` is older, 0 if they are equal or either is no number.
 */
export function compareVersions(a: string, b: string): number {
  if (a === b || !/^[1-9]\d*$/.test(a) || !/^[1-9]\d*$/.test(b)) return 0;
  if (a.length !== b.length) return a.length - b.length;
  return a < b ? -1 : 1;
}
