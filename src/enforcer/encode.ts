/** Desired values to the objects of nft's grammar. */
import type { Chain, KeyType, MapEntry, NamedMap, NamedSet, ObjectRef, Rule, SetElement } from 'nftables-json';
import { accept, goto } from 'nftables-json';

import { tableName } from '../compiler/ruleset.ts';
import type { DesiredChain, DesiredMap, DesiredRule, DesiredSet, TableFamily } from '../compiler/ruleset.ts';
import { encodeElement } from './elements.ts';

/** Names an object of our table of this family. */
export function objectRef(family: TableFamily, name: string): ObjectRef {
  return { family, table: tableName, name };
}

// One field must be a plain string: nft reads a list of one as a concatenation and then refuses its elements.
function keyType(type: readonly string[]): KeyType {
  return type.length === 1 && type[0] !== undefined ? type[0] : type;
}

/** The set with these canonical elements; `add` of it also adds elements to the set where it exists. */
export function encodeSet(family: TableFamily, set: DesiredSet, elements: Iterable<string> = []): NamedSet {
  const { dynamic } = set;
  const elem: SetElement[] = [];
  for (const text of elements) elem.push(encodeElement(text, set.type, set.interval));
  return {
    ...objectRef(family, set.name),
    type: keyType(set.type),
    ...(dynamic === undefined
      ? set.interval
        ? { flags: ['interval'] as const }
        : {}
      : { flags: ['timeout'] as const, timeout: dynamic.timeoutSeconds, size: dynamic.size }),
    ...(elem.length === 0 ? {} : { elem }),
  };
}

/** A verdict as text: `accept` or `goto CHAIN`; any other text is a verdict that is not ours. */
export type VerdictText = string;

/** The map with these entries (canonical key to verdict text); `add` of it also adds entries where it exists. */
export function encodeMap(
  family: TableFamily,
  map: DesiredMap,
  entries: Iterable<readonly [key: string, verdict: VerdictText]> = [],
): NamedMap {
  const elem: MapEntry[] = [];
  for (const [key, verdict] of entries) {
    const value = verdict === 'accept' ? accept() : goto(verdict.slice('goto '.length));
    elem.push([encodeElement(key, map.type, false), value]);
  }
  return {
    ...objectRef(family, map.name),
    type: keyType(map.type),
    map: 'verdict',
    ...(elem.length === 0 ? {} : { elem }),
  };
}

/** The chain without its rules. */
export function encodeChain(family: TableFamily, chain: DesiredChain): Chain {
  const { base } = chain;
  return {
    ...objectRef(family, chain.name),
    ...(base === undefined ? {} : { type: base.type, hook: base.hook, prio: base.priority, policy: 'accept' as const }),
  };
}

/** One rule of the chain. */
export function encodeRule(family: TableFamily, chain: string, rule: DesiredRule): Rule {
  return {
    family,
    table: tableName,
    chain,
    expr: rule.statements,
    ...(rule.comment === undefined ? {} : { comment: rule.comment }),
  };
}
