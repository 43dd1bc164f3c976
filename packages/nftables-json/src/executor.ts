/** The one seam to the kernel. Implementations: `NftProcess` (the nft program) and `FakeExecutor` (in memory). */
import type { Listing } from './decode.ts';
import type { NamedMap, NamedSet, ObjectRef, TableRef } from './grammar.ts';
import type { Transaction } from './transaction.ts';

/** Options of every call. An aborted signal rejects with its reason; a transaction under way may or may not apply. */
export interface CallOptions {
  readonly signal?: AbortSignal;
}

/** Options of {@link Executor.list}. */
export interface ListOptions extends CallOptions {
  /**
   * Takes each set as soon as it is decoded. The listing then holds none: a table may have a million elements, which
   * need not be in memory at once.
   */
  readonly takeSet?: (set: NamedSet) => void;
}

/**
 * Applies transactions and lists tables. Calls run one after the other in the order in which they were made. Every
 * failure is an `NftError`, except the reason of an aborted signal.
 */
export interface Executor {
  /** Applies the transaction whole or not at all. Resolves without effect when it is empty. */
  run(transaction: Transaction, options?: CallOptions): Promise<void>;
  /** Asks the kernel whether the transaction would apply, and applies nothing. */
  check(transaction: Transaction, options?: CallOptions): Promise<void>;
  /** Everything in one table; undefined when there is no such table. */
  list(table: TableRef, options?: ListOptions): Promise<Listing | undefined>;
  /** One set with its elements; undefined when it or its table is absent. */
  listSet(set: ObjectRef, options?: CallOptions): Promise<NamedSet | undefined>;
  /** One map with its elements; undefined when it or its table is absent. */
  listMap(map: ObjectRef, options?: CallOptions): Promise<NamedMap | undefined>;
}

/** What reads tables only: a listing that was kept serves as well as the kernel. */
export type TableReader = Pick<Executor, 'list' | 'listSet'>;
