/** An Executor without a kernel: in memory, documented, for tests and dry runs. */
import type { Listing } from './decode.ts';
import { NftError } from './errors.ts';
import type { CallOptions, Executor, ListOptions } from './executor.ts';
import type { ChainState, SetState } from './fake-objects.ts';
import { FakeState, tableKey } from './fake-state.ts';
import type {
  Command,
  KeyType,
  MapEntry,
  NamedMap,
  NamedSet,
  ObjectRef,
  Rule,
  Statement,
  TableRef,
} from './grammar.ts';
import type { Transaction } from './transaction.ts';
import { nameProblem } from './validate.ts';

/** What the next calls do instead of their work. */
interface Fault {
  readonly error: NftError;
  readonly applied: boolean;
}

/** Options of {@link FakeExecutor}. */
export interface FakeExecutorOptions {
  /** Called for every transaction that was applied, behind it. It may look at the fake but must not throw. */
  readonly onApplied?: (commands: readonly Command[]) => void;
}

/**
 * The kernel's answers, as measured with nft 1.0.6 on Linux 6.18 and held equal by the contract suite:
 * not-found, exists, busy, full, invalid; whole transactions or nothing; handles; chain policy updates; jump depth.
 *
 * What it does not have: packets, time (elements never expire), type checks of expressions, and nft's rewriting of
 * rules. Rules come back as they were added, except that counters start at zero. Addresses are compared as spelled:
 * give them in canonical form. Elements of a set that the same transaction flushes later are checked here, while nft
 * forgets them. An error names its command, which nft's do
 * not; of several faults nft may name another one.
 */
export class FakeExecutor implements Executor {
  readonly #state = new FakeState();
  readonly #faults: Fault[] = [];
  readonly #onApplied: ((commands: readonly Command[]) => void) | undefined;

  constructor(options: FakeExecutorOptions = {}) {
    this.#onApplied = options.onApplied;
  }

  /**
   * Makes the next `run` that is not empty fail with `error`; called twice, the next two. With `applied` the
   * transaction takes effect all the same, as when nft is killed behind its commit.
   */
  failNextRun(error: NftError, options: { readonly applied?: boolean } = {}): void {
    this.#faults.push({ error, applied: options.applied ?? false });
  }

  async run(transaction: Transaction, options: CallOptions = {}): Promise<void> {
    await this.#turn(options);
    transaction.assertValid();
    if (transaction.isEmpty) return;
    const fault = this.#faults.shift();
    if (fault === undefined || fault.applied) {
      this.#state.apply(transaction.commands, { keep: true });
      this.#onApplied?.(transaction.commands);
    }
    if (fault !== undefined) throw fault.error;
  }

  async check(transaction: Transaction, options: CallOptions = {}): Promise<void> {
    await this.#turn(options);
    transaction.assertValid();
    this.#state.apply(transaction.commands, { keep: false });
  }

  async list(table: TableRef, options: ListOptions = {}): Promise<Listing | undefined> {
    await this.#turn(options);
    assertNames([table.name]);
    const state = this.#state.tables.get(tableKey(table));
    if (state === undefined) return undefined;
    const chains = [...state.chains.values()];
    const sets = [...state.sets.values()];
    const plain = sets.filter((set) => set.shape.map === undefined).map(listedSet);
    if (options.takeSet !== undefined) plain.forEach(options.takeSet);
    return {
      table: state.table,
      sets: options.takeSet === undefined ? plain : [],
      maps: sets.flatMap((set) => (set.shape.map === undefined ? [] : [listedMap(set, set.shape.map)])),
      chains: chains.map(({ chain }) => chain),
      rules: chains.flatMap(listedRules),
      others: [],
    };
  }

  async listSet(set: ObjectRef, options: CallOptions = {}): Promise<NamedSet | undefined> {
    const state = await this.#find(set, options);
    return state === undefined || state.shape.map !== undefined ? undefined : listedSet(state);
  }

  async listMap(map: ObjectRef, options: CallOptions = {}): Promise<NamedMap | undefined> {
    const state = await this.#find(map, options);
    return state?.shape.map === undefined ? undefined : listedMap(state, state.shape.map);
  }

  async #find(ref: ObjectRef, options: CallOptions): Promise<SetState | undefined> {
    await this.#turn(options);
    assertNames([ref.table, ref.name]);
    return this.#state.tables.get(tableKey({ family: ref.family, name: ref.table }))?.sets.get(ref.name);
  }

  /** Answers never come within the call, as with a process; the order of calls is kept. */
  async #turn(options: CallOptions): Promise<void> {
    await Promise.resolve();
    options.signal?.throwIfAborted();
  }
}

function assertNames(names: readonly string[]): void {
  for (const name of names) {
    const reason = nameProblem(name);
    if (reason !== undefined) throw new NftError(reason, { code: 'invalid' });
  }
}

function listedSet(state: SetState): NamedSet {
  const elem = Array.from(state.elements.values(), ({ key }) => key);
  return elem.length === 0 ? state.shape : { ...state.shape, elem };
}

function listedMap(state: SetState, map: KeyType): NamedMap {
  const elem: MapEntry[] = [];
  for (const { key, value } of state.elements.values()) if (value !== undefined) elem.push([key, value]);
  return elem.length === 0 ? { ...state.shape, map } : { ...state.shape, map, elem };
}

function listedRules(chain: ChainState): readonly Rule[] {
  return chain.rules.map(({ rule }) => ({ ...rule, expr: rule.expr.map(listedStatement) }));
}

function listedStatement(statement: Statement): Statement {
  return 'counter' in statement ? { counter: statement.counter ?? { packets: 0, bytes: 0 } } : statement;
}
