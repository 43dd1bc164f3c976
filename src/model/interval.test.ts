import * as fc from 'fast-check';
import { expect, test } from 'vitest';

import { subtractIntervals, uniteIntervals } from './interval.ts';
import type { AddressInterval } from './interval.ts';

const size = 24;
const interval: fc.Arbitrary<AddressInterval> = fc
  .tuple(fc.nat(size - 1), fc.nat(size - 1))
  .map(([a, b]) => ({ first: BigInt(Math.min(a, b)), last: BigInt(Math.max(a, b)) }));

const members = (intervals: readonly AddressInterval[]): number[] =>
  Array.from({ length: size }, (_, n) => n).filter((n) =>
    intervals.some(({ first, last }) => first <= BigInt(n) && BigInt(n) <= last),
  );

function expectSortedAndApart(intervals: readonly AddressInterval[], gap: bigint): void {
  for (const [index, { first, last }] of intervals.entries()) {
    expect(first <= last).toBe(true);
    const previous = intervals[index - 1];
    if (previous !== undefined) expect(first > previous.last + gap).toBe(true);
  }
}

test('a union has the same members, sorted, with neighbours joined', () => {
  fc.assert(
    fc.property(fc.array(interval, { maxLength: 8 }), (intervals) => {
      const united = uniteIntervals(intervals);
      expect(members(united)).toEqual(members(intervals));
      expectSortedAndApart(united, 1n);
    }),
  );
});

test('a difference has exactly the members in no hole, sorted and disjoint', () => {
  fc.assert(
    fc.property(interval, fc.array(interval, { maxLength: 8 }), (whole, holes) => {
      const rest = subtractIntervals(whole, holes);
      const inHoles = new Set(members(holes));
      expect(members(rest)).toEqual(members([whole]).filter((n) => !inHoles.has(n)));
      expectSortedAndApart(rest, 0n);
    }),
  );
});

test('inputs are not changed', () => {
  const holes = Object.freeze([Object.freeze({ first: 5n, last: 6n }), Object.freeze({ first: 1n, last: 5n })]);
  expect(uniteIntervals(holes)).toEqual([{ first: 1n, last: 6n }]);
  expect(subtractIntervals({ first: 0n, last: 9n }, holes)).toEqual([
    { first: 0n, last: 0n },
    { first: 7n, last: 9n },
  ]);
});
