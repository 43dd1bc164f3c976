/**
 * From what the kernel holds to what it should hold, as transactions in safe order (dataplane, section 9).
 *
 * - `prepare`: everything new that no packet reaches yet.
 * - `fill`: elements of new maps, so that none points to a chain of the same transaction.
 * - `switch`: every change a packet can notice, in one transaction: what neither the old nor the new state allows is
 *   allowed at no time. On a first start this is where base chains appear, with all pods bound already.
 * - `unbind`, `sweep`: maps, then chains and sets that nothing names any more.
 *
 * Pure. The work is a comparison of references for what did not change.
 */
import { Transaction } from 'nftables-json';

import { tableName } from '../compiler/ruleset.ts';
import type { DesiredTable, Ruleset, TableFamily } from '../compiler/ruleset.ts';
import { isBase } from './dataplane.ts';
import type { Dataplane, DataplaneTable } from './dataplane.ts';
import { diffTable } from './table-diff.ts';
import type { StepKind, StepWriter } from './table-diff.ts';

/** One transaction of a plan. */
export interface Step {
  readonly kind: StepKind;
  readonly transaction: Transaction;
}

const stepOrder: readonly StepKind[] = ['prepare', 'fill', 'switch', 'unbind', 'sweep'];

// inet first: within a transaction the order of tables does not matter, in listings of a plan it reads better.
const families: readonly TableFamily[] = ['inet', 'bridge'];

const emptyTable = (family: TableFamily): DataplaneTable => ({
  family,
  sets: new Map(),
  maps: new Map(),
  chains: new Map(),
});

/** The transactions that turn `current` into `desired`, in order; none when they are equal. */
export function plan(current: Dataplane, desired: Ruleset): readonly Step[] {
  const transactions = new Map<StepKind, Transaction>();
  const writer: StepWriter = (kind) => {
    let transaction = transactions.get(kind);
    if (transaction === undefined) transactions.set(kind, (transaction = new Transaction()));
    return transaction;
  };
  for (const family of families) {
    const from = current.get(family);
    const to = desired.get(family);
    if (to === undefined) {
      if (from !== undefined) writer('sweep').deleteTable({ family, name: tableName });
    } else if (from !== to) planTable(from, to, writer);
  }
  return stepOrder.flatMap((kind) => {
    const transaction = transactions.get(kind);
    return transaction === undefined || transaction.isEmpty ? [] : [{ kind, transaction }];
  });
}

function planTable(from: DataplaneTable | undefined, to: DesiredTable, writer: StepWriter): void {
  const table = { family: to.family, name: tableName };
  if (from === undefined) {
    writer('prepare').addTable(table);
    diffTable(emptyTable(to.family), to, { cold: true, writer });
  } else if (hasKindConflict(from, to)) {
    const transaction = writer('switch').deleteTable(table).addTable(table);
    diffTable(emptyTable(to.family), to, { cold: true, writer: () => transaction });
  } else {
    // Adding a table without flags takes them away: a dormant one wakes.
    if (from.flagged === true) writer('switch').addTable(table);
    diffTable(from, to, { cold: false, writer });
  }
}

/**
 * A name changed its kind: a called chain and a base chain, or a set and a map. It cannot be taken apart in place
 * while others name it. Happens only when a stranger or another schema used our names: the table is replaced whole.
 */
function hasKindConflict(from: DataplaneTable, to: DesiredTable): boolean {
  for (const [name, chain] of to.chains) {
    const present = from.chains.get(name);
    if (present !== undefined && present !== chain && isBase(present) !== isBase(chain)) return true;
  }
  for (const name of to.sets.keys()) if (from.maps.has(name)) return true;
  for (const name of to.maps.keys()) if (from.sets.has(name)) return true;
  return false;
}

/**
 * One transaction that replaces every table, for tables that cannot be read. Packets that arrive while it commits
 * may miss the dispatch maps and are dropped by the tail; nothing leaks.
 */
export function planReplacement(desired: Ruleset): Step {
  const transaction = new Transaction();
  for (const family of families) {
    // nft 1.0.6 has no `destroy`: adding first makes the deletion succeed in any case.
    transaction.addTable({ family, name: tableName });
    transaction.deleteTable({ family, name: tableName });
    const to = desired.get(family);
    if (to !== undefined) planTable(undefined, to, () => transaction);
  }
  return { kind: 'switch', transaction };
}
