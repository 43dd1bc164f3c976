import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { elementChanges, ElementSet } from './element-set.ts';

const letters = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];

const set = (...elements: string[]): Set<string> => new Set(elements);
const sorted = (elements: Iterable<string>): string[] => [...elements].sort();

describe('ElementSet', () => {
  test('an older version keeps its elements', () => {
    const one = new ElementSet(set('a', 'b'));
    const two = one.with({ added: set('c'), removed: set('a') });
    expect([sorted(one), one.size, one.has('a'), one.has('c')]).toEqual([['a', 'b'], 2, true, false]);
    expect([sorted(two), two.size, two.has('a'), two.has('c')]).toEqual([['b', 'c'], 2, false, true]);
  });

  test('no change gives the same version', () => {
    const one = new ElementSet(set('a'));
    expect(one.with({ added: set(), removed: set() })).toBe(one);
  });

  test('an older version can have a second future', () => {
    const one = new ElementSet(set('a'));
    const two = one.with({ added: set('b'), removed: set() });
    const other = one.with({ added: set('c'), removed: set('a') });
    expect([sorted(one), sorted(two), sorted(other)]).toEqual([['a'], ['a', 'b'], ['c']]);
    expect(elementChanges(two, other)).toBeUndefined();
  });

  test('adding what is there or removing what is not is refused', () => {
    expect(() => new ElementSet(set('a')).with({ added: set('a'), removed: set() })).toThrow('exact');
    expect(() => new ElementSet(set('a')).with({ added: set(), removed: set('b') })).toThrow('exact');
  });

  test('changes back to an earlier version, or from a plain set, are not known', () => {
    const one = new ElementSet(set('a', 'b', 'c'));
    const two = one.with({ added: set('d'), removed: set() });
    expect(elementChanges(two, one)).toBeUndefined();
    expect(elementChanges(set('a'), two)).toBeUndefined();
    expect(elementChanges(one, set('a'))).toBeUndefined();
  });

  test('is readable as any set', () => {
    const one = new ElementSet(set('a', 'b'));
    const two = one.with({ added: set(), removed: set('b') });
    const visited: string[] = [];
    one.forEach((value, key, all) => visited.push(`${value} ${key} ${all === one}`));
    expect(visited.sort()).toEqual(['a a true', 'b b true']);
    expect([sorted(one.keys()), sorted(one.values()), [...two.entries()]]).toEqual([
      ['a', 'b'],
      ['a', 'b'],
      [['a', 'a']],
    ]);
  });
});

test('every version reads as what it was made of, and the changes between two lead from one to the other', () => {
  const arbElements = fc.uniqueArray(fc.constantFrom(...letters), { maxLength: 4 });
  let known = 0;
  fc.assert(
    fc.property(
      arbElements,
      fc.array(arbElements, { minLength: 1, maxLength: 12 }),
      fc.array(fc.tuple(fc.nat({ max: 12 }), fc.nat({ max: 12 }))),
      (start, toggles, pairs) => {
        const versions = [new ElementSet(new Set(start))];
        const plain = [new Set(start)];
        for (const toggle of toggles) {
          const before = plain.at(-1)!;
          const added = new Set(toggle.filter((element) => !before.has(element)));
          const removed = new Set(toggle.filter((element) => before.has(element)));
          versions.push(versions.at(-1)!.with({ added, removed }));
          plain.push(new Set([...before, ...added].filter((element) => !removed.has(element))));
        }
        for (const [i, j] of pairs) {
          const [from, to] = [Math.min(i, j), Math.max(i, j)];
          if (to >= versions.length) continue;
          const changes = elementChanges(versions[from]!, versions[to]!);
          if (changes === undefined) continue;
          known += 1;
          const { added, removed } = changes;
          expect(sorted(added)).toEqual(sorted([...plain[to]!].filter((element) => !plain[from]!.has(element))));
          expect(sorted(removed)).toEqual(sorted([...plain[from]!].filter((element) => !plain[to]!.has(element))));
        }
        for (const [i, version] of versions.entries()) {
          expect([sorted(version), version.size]).toEqual([sorted(plain[i]!), plain[i]!.size]);
          for (const element of letters) expect(version.has(element)).toBe(plain[i]!.has(element));
        }
      },
    ),
  );
  expect(known).toBeGreaterThan(50);
});
