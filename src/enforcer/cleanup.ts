/** The one way our rules leave a node. */
import { Transaction, isNotFound } from 'nftables-json';
import type { CallOptions, Executor } from 'nftables-json';

import { tableName } from '../compiler/ruleset.ts';
import type { TableFamily } from '../compiler/ruleset.ts';

/**
 * Removes both of our tables and nothing else; a second call finds nothing to do. Answers the families removed.
 * The inet table goes first: without its tail the bridge guard alone cuts nothing that was allowed.
 * @throws NftError as `Executor.run`, except that a missing table is no error.
 */
export async function cleanup(executor: Executor, options: CallOptions = {}): Promise<readonly TableFamily[]> {
  const removed: TableFamily[] = [];
  for (const family of ['inet', 'bridge'] as const) {
    try {
      await executor.run(new Transaction().deleteTable({ family, name: tableName }), options);
      removed.push(family);
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
  return removed;
}
