/** The difference of one table, written into the steps of a plan. */
import type { Transaction } from 'nftables-json';

import { elementChanges } from '../compiler/element-set.ts';
import type { ElementChanges } from '../compiler/element-set.ts';
import type { DesiredChain, DesiredMap, DesiredSet, DesiredTable, TableFamily } from '../compiler/ruleset.ts';
import { chainHook, chainRules, isBase, mapElements, mapShape, sameChain, setElements, setShape } from './dataplane.ts';
import type { DataplaneChain, DataplaneMap, DataplaneSet, DataplaneTable } from './dataplane.ts';
import { canonicalElement, encodeElement, isPlainType } from './elements.ts';
import { encodeChain, encodeMap, encodeRule, encodeSet, objectRef } from './encode.ts';
import { setsNamed } from './rule-key.ts';

/** When a command runs; see `plan.ts`. */
export type StepKind = 'prepare' | 'fill' | 'switch' | 'unbind' | 'sweep';

/** The transaction of a step. */
export type StepWriter = (kind: StepKind) => Transaction;

/** Up to this many members a set is refilled when some leave; above, `delete element` (which fetches foreign sets). */
export const maxRefill = 4096;

/** How a table is written. */
export interface DiffOptions {
  /** The table does not exist yet: nothing can be bound wrongly before its base chains come. */
  readonly cold: boolean;
  readonly writer: StepWriter;
}

/** Objects of one kind: what goes, what comes, what differs. */
interface Changes<From, To> {
  readonly removed: From[];
  readonly added: To[];
  readonly changed: (readonly [from: From, to: To])[];
}

function compare<From extends object, To extends From>(
  from: ReadonlyMap<string, From>,
  to: ReadonlyMap<string, To>,
): Changes<From, To> {
  const changes: Changes<From, To> = { removed: [], added: [], changed: [] };
  if ((from as unknown) === to) return changes;
  for (const [name, wanted] of to) {
    const present = from.get(name);
    if (present === undefined) changes.added.push(wanted);
    else if (present !== wanted) changes.changed.push([present, wanted]);
  }
  if (from.size !== to.size - changes.added.length)
    for (const [name, present] of from) if (!to.has(name)) changes.removed.push(present);
  return changes;
}

/** Writes the commands that turn `from` into `to`. No name may have changed its kind (`hasKindConflict` in `plan.ts`). */
export function diffTable(from: DataplaneTable, to: DesiredTable, options: DiffOptions): void {
  const { family } = to;
  const { cold, writer } = options;
  const sets = compare<DataplaneSet, DesiredSet>(from.sets, to.sets);
  const maps = compare<DataplaneMap, DesiredMap>(from.maps, to.maps);
  const chains = compare<DataplaneChain, DesiredChain>(from.chains, to.chains);

  const remade = new Set<string>();
  for (const [present, wanted] of sets.changed) if (setShape(present) !== setShape(wanted)) remade.add(wanted.name);
  for (const [present, wanted] of maps.changed) if (mapShape(present) !== mapShape(wanted)) remade.add(wanted.name);

  const newChains = chains.added.filter((chain) => !isBase(chain));
  const newBases = chains.added.filter((chain) => isBase(chain));
  const prepares = cold || newChains.length > 0 || maps.added.length > 0;

  // ---- what no packet reaches yet ----
  const create = writer(prepares ? 'prepare' : 'switch');
  for (const chain of newChains) create.addChain(encodeChain(family, chain));
  for (const set of sets.added) create.addSet(encodeSet(family, set, setElements(set)));
  for (const map of maps.added) create.addMap(encodeMap(family, map, cold ? mapElements(map) : []));
  if (!cold) for (const map of maps.added) writer('fill').addMap(encodeMap(family, map, mapElements(map)));
  const late: DesiredChain[] = [];
  for (const chain of newChains) {
    if (remade.size > 0 && namesAny(family, chain, remade)) late.push(chain);
    else addRules(create, family, chain);
  }

  // ---- what packets notice ----
  const change = writer('switch');
  const rewritten: DesiredChain[] = [];
  const rehung: DesiredChain[] = [];
  for (const [present, wanted] of chains.changed) {
    if (chainHook(present) !== chainHook(wanted)) rehung.push(wanted);
    else if (!sameChain(family, present, wanted)) rewritten.push(wanted);
  }
  const touched = new Set([...rewritten, ...rehung].map((chain) => chain.name));
  if (remade.size > 0) {
    for (const [name, present] of from.chains) {
      const wanted = to.chains.get(name);
      if (touched.has(name) || !namesAny(family, present, remade)) continue;
      if (wanted === undefined) change.flushChain(objectRef(family, name));
      else rewritten.push(wanted);
      touched.add(name);
    }
  }
  for (const chain of rewritten) change.flushChain(objectRef(family, chain.name));
  for (const chain of rehung) change.flushChain(objectRef(family, chain.name));
  const sweptBases = chains.removed.filter((chain) => isBase(chain));
  for (const chain of sweptBases) {
    change.flushChain(objectRef(family, chain.name));
    change.deleteChain(objectRef(family, chain.name));
  }
  for (const chain of rehung) change.deleteChain(objectRef(family, chain.name));
  for (const chain of rehung) change.addChain(encodeChain(family, chain));
  for (const name of remade) {
    if (from.sets.has(name)) change.deleteSet(objectRef(family, name));
    else change.deleteMap(objectRef(family, name));
    const set = to.sets.get(name);
    if (set !== undefined) change.addSet(encodeSet(family, set, setElements(set)));
    const map = to.maps.get(name);
    if (map !== undefined) change.addMap(encodeMap(family, map, mapElements(map)));
  }
  for (const [present, wanted] of sets.changed)
    if (!remade.has(wanted.name)) updateSet(change, family, present, wanted);
  for (const [present, wanted] of maps.changed)
    if (!remade.has(wanted.name)) updateMap(change, family, present, wanted);
  for (const chain of late) addRules(change, family, chain);
  for (const chain of rewritten) {
    // Puts the policy of a base chain right; the chain itself stays.
    if (isBase(chain)) change.addChain(encodeChain(family, chain));
    addRules(change, family, chain);
  }
  for (const chain of rehung) addRules(change, family, chain);
  for (const chain of newBases) {
    change.addChain(encodeChain(family, chain));
    addRules(change, family, chain);
  }

  // ---- what nothing names any more ----
  for (const map of maps.removed) writer('unbind').deleteMap(objectRef(family, map.name));
  const sweep = writer('sweep');
  const sweptChains = chains.removed.filter((chain) => !isBase(chain));
  for (const chain of sweptChains) sweep.flushChain(objectRef(family, chain.name));
  for (const chain of sweptChains) sweep.deleteChain(objectRef(family, chain.name));
  for (const set of sets.removed) sweep.deleteSet(objectRef(family, set.name));
}

function namesAny(family: TableFamily, chain: DataplaneChain, names: ReadonlySet<string>): boolean {
  return chainRules(family, chain).some((key) => setsNamed(key).some((name) => names.has(name)));
}

function addRules(transaction: Transaction, family: TableFamily, chain: DesiredChain): void {
  for (const rule of chain.rules) transaction.addRule(encodeRule(family, chain.name, rule));
}

/** Additions by `add set` with elements: `add element` makes nft fetch every interval set of the namespace. */
function updateSet(transaction: Transaction, family: TableFamily, present: DataplaneSet, wanted: DesiredSet): void {
  const { added, removed } = setChanges(present, wanted);
  if (removed.size > 0 && wanted.elements.size <= maxRefill) {
    transaction.flushSet(objectRef(family, wanted.name));
    if (wanted.elements.size > 0) transaction.addSet(encodeSet(family, wanted, setElements(wanted)));
    return;
  }
  if (removed.size > 0) {
    const elem = [...removed].map((text) => encodeElement(text, wanted.type, wanted.interval));
    transaction.deleteElement({ ...objectRef(family, wanted.name), elem });
  }
  if (added.size > 0) transaction.addSet(encodeSet(family, wanted, added));
}

/** In the cost of the change where `wanted` descends from `present`, else by comparing both. */
function setChanges(present: DataplaneSet, wanted: DesiredSet): ElementChanges {
  const known = 'kind' in present ? undefined : elementChanges(present.elements, wanted.elements);
  if (known !== undefined) {
    const canonical = (elements: ReadonlySet<string>): ReadonlySet<string> =>
      isPlainType(wanted.type, wanted.interval)
        ? elements
        : new Set([...elements].map((text) => canonicalElement(text, wanted.type)));
    return { added: canonical(known.added), removed: canonical(known.removed) };
  }
  const before = setElements(present);
  const after = setElements(wanted);
  return { added: difference(after, before), removed: difference(before, after) };
}

function difference(a: ReadonlySet<string>, b: ReadonlySet<string>): ReadonlySet<string> {
  const rest = new Set<string>();
  if (a !== b) for (const text of a) if (!b.has(text)) rest.add(text);
  return rest;
}

function updateMap(transaction: Transaction, family: TableFamily, present: DataplaneMap, wanted: DesiredMap): void {
  const before = mapElements(present);
  const after = mapElements(wanted);
  const added: [string, string][] = [];
  const gone: string[] = [];
  for (const [key, verdict] of after) if (before.get(key) !== verdict) added.push([key, verdict]);
  for (const [key, verdict] of before) if (after.get(key) !== verdict) gone.push(key);
  if (gone.length > 0 && after.size <= maxRefill) {
    transaction.flushMap(objectRef(family, wanted.name));
    if (after.size > 0) transaction.addMap(encodeMap(family, wanted, after));
    return;
  }
  if (gone.length > 0) {
    const elem = gone.map((key) => encodeElement(key, wanted.type, false));
    transaction.deleteElement({ ...objectRef(family, wanted.name), elem });
  }
  if (added.length > 0) transaction.addMap(encodeMap(family, wanted, added));
}
