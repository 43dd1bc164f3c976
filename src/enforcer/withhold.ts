/**
 * A ruleset without the objects that the kernel refuses, closed: a pod whose chain is missing is bound to
 * `closed`, or has no element and meets the tail. Pure.
 */
import type { DesiredChain, DesiredMap, DesiredSet, DesiredTable, Ruleset, TableFamily } from '../compiler/ruleset.ts';
import type { DispatchVerdict } from '../compiler/ruleset.ts';
import { chainRules, isBase } from './dataplane.ts';
import { chainsNamed, setsNamed } from './rule-key.ts';

/** One thing of a ruleset that can be left out; an element is one of a set, or of a map by its key. */
export type Part =
  | { readonly kind: 'set' | 'chain'; readonly family: TableFamily; readonly name: string }
  | { readonly kind: 'element'; readonly family: TableFamily; readonly name: string; readonly key: string };

/** A dispatch element that fails closed. */
export interface ClosedElement {
  readonly family: TableFamily;
  readonly map: string;
  readonly key: string;
  /** Where it should go; undefined when it should be `accept`. */
  readonly chain: string | undefined;
}

/** A ruleset with parts left out. */
export interface Withheld {
  readonly ruleset: Ruleset;
  readonly closed: readonly ClosedElement[];
}

/** The chains that packets of closed pods go to, in tables that have one; `closed` lets replies pass. */
const closingChains = ['closed', 'deny'];

/** `FAMILY KIND NAME`, with the key of an element behind it. */
export function partText(part: Part): string {
  const text = `${part.family} ${part.kind} ${part.name}`;
  return part.kind === 'element' ? `${text} { ${part.key} }` : text;
}

/** Chains that packets reach without a dispatch map, and the sets and maps that these name. */
export function infrastructure(table: DesiredTable): { chains: ReadonlySet<string>; named: ReadonlySet<string> } {
  const chains = new Set<string>();
  const named = new Set<string>();
  const open = [...table.chains.values()].filter((chain) => isBase(chain)).map((chain) => chain.name);
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const chain = table.chains.get(name);
    if (chain === undefined || chains.has(name)) continue;
    chains.add(name);
    for (const key of chainRules(table.family, chain)) {
      open.push(...chainsNamed(key));
      for (const set of setsNamed(key)) named.add(set);
    }
  }
  return { chains, named };
}

/**
 * `desired` without `parts` and without the chains that cannot stand without them. Undefined when a chain that every
 * packet runs through would be missing: then nothing may be changed.
 */
export function withhold(desired: Ruleset, parts: readonly Part[]): Withheld | undefined {
  if (parts.length === 0) return { ruleset: desired, closed: [] };
  const closed: ClosedElement[] = [];
  const ruleset = new Map<TableFamily, DesiredTable>();
  for (const [family, table] of desired) {
    const own = parts.filter((part) => part.family === family);
    const rest = own.length === 0 ? table : withholdFromTable(table, own, closed);
    if (rest === undefined) return undefined;
    ruleset.set(family, rest);
  }
  return { ruleset, closed };
}

function withholdFromTable(
  table: DesiredTable,
  parts: readonly Part[],
  closed: ClosedElement[],
): DesiredTable | undefined {
  const names = (kind: Part['kind']): Set<string> =>
    new Set(parts.filter((part) => part.kind === kind).map((part) => part.name));
  const sets = names('set');
  const chains = missingChains(table, names('chain'), sets);
  for (const name of infrastructure(table).chains) if (chains.has(name)) return undefined;
  const keys = new Map<string, Set<string>>();
  for (const part of parts) {
    if (part.kind !== 'element') continue;
    const known = keys.get(part.name);
    if (known === undefined) keys.set(part.name, new Set([part.key]));
    else known.add(part.key);
  }
  const closing = closingChains.find((name) => table.chains.has(name) && !chains.has(name));
  return {
    family: table.family,
    sets: without(table.sets, sets, (set) => setWithout(set, keys.get(set.name))),
    chains: without<DesiredChain>(table.chains, chains, (chain) => chain),
    maps: without(table.maps, new Set(), (map) =>
      closeMap(table.family, map, keys.get(map.name), chains, closing, closed),
    ),
  };
}

/** `missing`, and every chain that names a missing set or chain. */
function missingChains(table: DesiredTable, missing: Set<string>, sets: ReadonlySet<string>): ReadonlySet<string> {
  for (let grows = true; grows;) {
    grows = false;
    for (const [name, chain] of table.chains) {
      if (missing.has(name)) continue;
      const keys = chainRules(table.family, chain);
      const lacks = keys.some(
        (key) => setsNamed(key).some((set) => sets.has(set)) || chainsNamed(key).some((target) => missing.has(target)),
      );
      if (!lacks) continue;
      missing.add(name);
      grows = true;
    }
  }
  return missing;
}

function without<T>(
  objects: ReadonlyMap<string, T>,
  names: ReadonlySet<string>,
  change: (value: T) => T,
): Map<string, T> {
  const rest = new Map<string, T>();
  for (const [name, value] of objects) if (!names.has(name)) rest.set(name, change(value));
  return rest;
}

function setWithout(set: DesiredSet, keys: ReadonlySet<string> | undefined): DesiredSet {
  if (keys === undefined) return set;
  return { ...set, elements: new Set([...set.elements].filter((text) => !keys.has(text))) };
}

function closeMap(
  family: TableFamily,
  map: DesiredMap,
  keys: ReadonlySet<string> | undefined,
  chains: ReadonlySet<string>,
  closing: string | undefined,
  closed: ClosedElement[],
): DesiredMap {
  const elements = new Map<string, DispatchVerdict>();
  let changed = false;
  for (const [key, verdict] of map.elements) {
    const chain = verdict.kind === 'goto' ? verdict.chain : undefined;
    const lost = chain !== undefined && chains.has(chain);
    const refused = keys?.has(key) === true;
    if (!lost && !refused) {
      elements.set(key, verdict);
      continue;
    }
    changed = true;
    closed.push({ family, map: map.name, key, chain });
    if (!refused && closing !== undefined) elements.set(key, { kind: 'goto', chain: closing });
  }
  return changed ? { ...map, elements } : map;
}
