/** What the kernel really holds, and the values of ours in it. */
import { NftError } from 'nftables-json';
import type { CallOptions, Executor } from 'nftables-json';

import type { DesiredSet, DesiredTable, Ruleset, TableFamily } from '../compiler/ruleset.ts';
import { mapElements, mapShape, sameChain, setElements, setShape } from './dataplane.ts';
import type { Dataplane, DataplaneSet, DataplaneTable, ListedSet } from './dataplane.ts';
import { readDataplane } from './readback.ts';

/** The tables as they are, or that they are there and cannot be read: then they must be replaced whole. */
export type Resync =
  { readonly kind: 'read'; readonly dataplane: Dataplane } | { readonly kind: 'unreadable'; readonly error: NftError };

/**
 * Reads our tables and recognises in them what is already as desired.
 * @throws NftError when nft cannot be asked; `table-unreadable` is an answer, not an error.
 */
export async function resync(executor: Executor, desired: Ruleset, options: CallOptions = {}): Promise<Resync> {
  try {
    const keepSet = (family: TableFamily, set: ListedSet): DataplaneSet => {
      const wanted = desired.get(family)?.sets.get(set.name);
      return wanted !== undefined && isSameSet(set, wanted) ? wanted : set;
    };
    return { kind: 'read', dataplane: recognise(await readDataplane(executor, { ...options, keepSet }), desired) };
  } catch (error) {
    if (error instanceof NftError && error.code === 'table-unreadable') return { kind: 'unreadable', error };
    throw error;
  }
}

/** `dataplane` with every object that equals its desired value replaced by that value. */
export function recognise(dataplane: Dataplane, desired: Ruleset): Dataplane {
  const tables = new Map<TableFamily, DataplaneTable>();
  for (const [family, table] of dataplane) {
    const wanted = desired.get(family);
    tables.set(family, wanted === undefined ? table : recogniseTable(table, wanted));
  }
  return tables;
}

function recogniseTable(table: DataplaneTable, wanted: DesiredTable): DataplaneTable {
  return {
    family: table.family,
    ...(table.flagged && { flagged: true }),
    sets: exchange(table.sets, wanted.sets, isSameSet),
    maps: exchange(
      table.maps,
      wanted.maps,
      (a, b) => mapShape(a) === mapShape(b) && sameMap(mapElements(a), mapElements(b)),
    ),
    chains: exchange(table.chains, wanted.chains, (a, b) => sameChain(table.family, a, b)),
  };
}

function isSameSet(a: DataplaneSet, b: DesiredSet): boolean {
  return a === b || (setShape(a) === setShape(b) && sameSet(setElements(a), setElements(b)));
}

function exchange<T, D extends T>(
  present: ReadonlyMap<string, T>,
  wanted: ReadonlyMap<string, D>,
  same: (a: T, b: D) => boolean,
): Map<string, T> {
  const result = new Map<string, T>();
  for (const [name, value] of present) {
    const other = wanted.get(name);
    result.set(name, other !== undefined && same(value, other) ? other : value);
  }
  return result;
}

function sameSet(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  if (a === b) return true;
  if (a.size !== b.size) return false;
  // `a` is what was listed, a plain set; to look something up in a desired set may be dear.
  for (const text of b) if (!a.has(text)) return false;
  return true;
}

function sameMap(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  if (a.size !== b.size) return false;
  for (const [key, value] of a) if (b.get(key) !== value) return false;
  return true;
}
