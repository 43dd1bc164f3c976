/** The one way our rules leave a node. */
import { Transaction, isNotFound } from 'nftables-json';
import type { CallOptions, Executor } from 'nftables-json';

import { tableName } from '../compiler/ruleset.ts';
import type { TableFamily } from '../compiler/ruleset.ts';
import { traceTableName } from './trace.ts';

/**
 * Removes both of our tables, and the helper tables that a killed trace left; a second call finds nothing to do.
 * Answers the families whose table it removed.
 * The inet table goes first: without its tail the bridge guard alone cuts nothing that was allowed.
 * @throws NftError as `Executor.run`, except that a missing table is no error.
 */
export async function cleanup(executor: Executor, options: CallOptions = {}): Promise<readonly TableFamily[]> {
  const removed: TableFamily[] = [];
  for (const family of ['inet', 'bridge'] as const) {
    if (await removeTable(executor, family, tableName, options)) removed.push(family);
    await removeTable(executor, family, traceTableName, options);
  }
  return removed;
}

/** Whether it was there. */
async function removeTable(
  executor: Executor,
  family: TableFamily,
  name: string,
  options: CallOptions,
): Promise<boolean> {
  try {
    await executor.run(new Transaction().deleteTable({ family, name }), options);
    return true;
  } catch (error) {
    if (!isNotFound(error)) throw error;
    return false;
  }
}
