/** An inclusive range of address numbers of one family. */
export interface AddressInterval {
  readonly first: bigint;
  readonly last: bigint;
}

/** The union of intervals: sorted, disjoint, neighbours joined. */
export function uniteIntervals(intervals: readonly AddressInterval[]): AddressInterval[] {
  const sorted = [...intervals].sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const united: { first: bigint; last: bigint }[] = [];
  for (const { first, last } of sorted) {
    const previous = united.at(-1);
    if (previous !== undefined && first <= previous.last + 1n) {
      if (last > previous.last) previous.last = last;
    } else {
      united.push({ first, last });
    }
  }
  return united;
}

/** What of `interval` is in none of `holes`: sorted and disjoint. Nested and overlapping holes are a union (semantics 34). */
export function subtractIntervals(interval: AddressInterval, holes: readonly AddressInterval[]): AddressInterval[] {
  const rest: AddressInterval[] = [];
  let next = interval.first;
  for (const hole of uniteIntervals(holes)) {
    if (hole.last < next) continue;
    if (hole.first > interval.last) break;
    if (hole.first > next) rest.push({ first: next, last: hole.first - 1n });
    next = hole.last + 1n;
  }
  if (next <= interval.last) rest.push({ first: next, last: interval.last });
  return rest;
}
