import { NftError } from 'nftables-json';
import type {
  CallOptions,
  Executor,
  Listing,
  ListOptions,
  NamedMap,
  NamedSet,
  ObjectRef,
  TableRef,
  Transaction,
} from 'nftables-json';

/** One finished call of nft. */
export interface FinishedCall {
  readonly operation: 'run' | 'check' | 'list';
  /** `ok`, or the code of the NftError. */
  readonly result: string;
  readonly durationMs: number;
}

/** Passes calls on and knows how long the present one has been running. */
export class TimedExecutor implements Executor {
  readonly #inner: Executor;
  readonly #onFinished: (call: FinishedCall) => void;
  readonly #running = new Set<{ readonly startedAt: number }>();

  constructor(inner: Executor, onFinished: (call: FinishedCall) => void) {
    this.#inner = inner;
    this.#onFinished = onFinished;
  }

  /** How long the oldest call that has not ended has been running, in milliseconds; 0 if none is. */
  get runningMs(): number {
    let longest = 0;
    for (const { startedAt } of this.#running) longest = Math.max(longest, performance.now() - startedAt);
    return longest;
  }

  run(transaction: Transaction, options?: CallOptions): Promise<void> {
    return this.#timed('run', () => this.#inner.run(transaction, options));
  }

  check(transaction: Transaction, options?: CallOptions): Promise<void> {
    return this.#timed('check', () => this.#inner.check(transaction, options));
  }

  list(table: TableRef, options?: ListOptions): Promise<Listing | undefined> {
    return this.#timed('list', () => this.#inner.list(table, options));
  }

  listSet(set: ObjectRef, options?: CallOptions): Promise<NamedSet | undefined> {
    return this.#timed('list', () => this.#inner.listSet(set, options));
  }

  listMap(map: ObjectRef, options?: CallOptions): Promise<NamedMap | undefined> {
    return this.#timed('list', () => this.#inner.listMap(map, options));
  }

  async #timed<T>(operation: FinishedCall['operation'], call: () => Promise<T>): Promise<T> {
    const entry = { startedAt: performance.now() };
    this.#running.add(entry);
    let result = 'ok';
    try {
      return await call();
    } catch (error) {
      result = error instanceof NftError ? error.code : 'aborted';
      throw error;
    } finally {
      this.#running.delete(entry);
      this.#onFinished({ operation, result, durationMs: performance.now() - entry.startedAt });
    }
  }
}
