import { isDeepStrictEqual } from 'node:util';

import { elementChanges } from '../compiler/element-set.ts';
import type { DesiredSet, DesiredTable, Ruleset, TableFamily } from '../compiler/ruleset.ts';

/**
 * The ruleset `next` with every object that says the same as in `previous` replaced by the previous one: set, map,
 * chain, collection, table and the ruleset itself. Whoever compares by reference then sees only changes.
 */
export function shareRuleset(previous: Ruleset | undefined, next: Ruleset): Ruleset {
  if (previous === undefined) return next;
  return shareMap<TableFamily, DesiredTable>(previous, next, shareTable);
}

function shareTable(previous: DesiredTable, next: DesiredTable): DesiredTable {
  const table: DesiredTable = {
    family: next.family,
    sets: shareMap(previous.sets, next.sets, shareSet),
    maps: shareMap(previous.maps, next.maps, shareEqual),
    chains: shareMap(previous.chains, next.chains, shareEqual),
  };
  const same = table.sets === previous.sets && table.maps === previous.maps && table.chains === previous.chains;
  return same ? previous : table;
}

/** The elements of a set of peers know how they changed, so they are seldom compared; there and back is no change. */
export function shareSet(previous: DesiredSet, next: DesiredSet): DesiredSet {
  const { elements: before } = previous;
  const { elements: after } = next;
  const sameElements = before === after || isUnchanged(before, after);
  if (!sameElements || previous.interval !== next.interval) return next;
  return isDeepStrictEqual([previous.type, previous.dynamic], [next.type, next.dynamic]) ? previous : next;
}

function isUnchanged(before: ReadonlySet<string>, after: ReadonlySet<string>): boolean {
  if (isPlain(before) && isPlain(after)) return isDeepStrictEqual(before, after);
  if (before.size !== after.size) return false;
  const changes = elementChanges(before, after);
  // Unknown: a set of few elements that changed often, or one that was given up and built again.
  if (changes === undefined) return [...before].every((element) => after.has(element));
  return changes.added.size === 0 && changes.removed.size === 0;
}

function isPlain(elements: ReadonlySet<string>): boolean {
  return elements instanceof Set;
}

function shareEqual<T>(previous: T, next: T): T {
  return previous === next || isDeepStrictEqual(previous, next) ? previous : next;
}

/** Keeps the previous map if it has the same keys in the same order and all values are shared. */
function shareMap<K, V>(
  previous: ReadonlyMap<K, V>,
  next: ReadonlyMap<K, V>,
  share: (previous: V, next: V) => V,
): ReadonlyMap<K, V> {
  const shared = new Map<K, V>();
  const order = previous.keys();
  let same = previous.size === next.size;
  for (const [key, value] of next) {
    const known = previous.get(key);
    const kept = known === undefined ? value : share(known, value);
    if (kept !== known || order.next().value !== key) same = false;
    shared.set(key, kept);
  }
  return same ? previous : shared;
}
