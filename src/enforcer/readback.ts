/** Reads our own tables back, and nothing else: never the whole ruleset. */
import type { CallOptions, TableReader } from 'nftables-json';

import { tableName } from '../compiler/ruleset.ts';
import type { TableFamily } from '../compiler/ruleset.ts';
import { decodeListedSet, decodeTable } from './dataplane.ts';
import type { Dataplane, DataplaneSet, DataplaneTable, ListedSet } from './dataplane.ts';

const families: readonly TableFamily[] = ['inet', 'bridge'];

/** Options of {@link readDataplane}. */
export interface ReadOptions extends CallOptions {
  /** What to keep of a set that was read, before the next is: a million elements need not be held at once. */
  readonly keepSet?: (family: TableFamily, set: ListedSet) => DataplaneSet;
}

/**
 * Lists our two tables. A table that does not exist is absent.
 * @throws NftError as `Executor.list`; `table-unreadable` when a table cannot be decoded.
 */
export async function readDataplane(reader: TableReader, options: ReadOptions = {}): Promise<Dataplane> {
  const { keepSet = (_family, set) => set, ...call } = options;
  const tables = new Map<TableFamily, DataplaneTable>();
  for (const family of families) {
    const sets = new Map<string, DataplaneSet>();
    const listing = await reader.list(
      { family, name: tableName },
      { ...call, takeSet: (set) => void sets.set(set.name, keepSet(family, decodeListedSet(set))) },
    );
    if (listing === undefined) continue;
    const table = decodeTable(family, listing);
    tables.set(family, { ...table, sets: new Map([...table.sets, ...sets]) });
  }
  return tables;
}
