/** Reads our own tables back, and nothing else: never the whole ruleset. */
import type { CallOptions, Executor } from 'nftables-json';

import { tableName } from '../compiler/ruleset.ts';
import type { TableFamily } from '../compiler/ruleset.ts';
import { decodeTable } from './dataplane.ts';
import type { Dataplane, DataplaneTable } from './dataplane.ts';

const families: readonly TableFamily[] = ['inet', 'bridge'];

/**
 * Lists our two tables. A table that does not exist is absent.
 * @throws NftError as `Executor.list`; `table-unreadable` when a table cannot be decoded.
 */
export async function readDataplane(executor: Executor, options: CallOptions = {}): Promise<Dataplane> {
  const tables = new Map<TableFamily, DataplaneTable>();
  for (const family of families) {
    const listing = await executor.list({ family, name: tableName }, options);
    if (listing !== undefined) tables.set(family, decodeTable(family, listing));
  }
  return tables;
}
