/** Which chains and sets a rule or a map entry names. */
import type { Expression, MapEntry, Rule, SetElement, Statement } from './grammar.ts';
import { isList, isMapEntry } from './grammar.ts';

/** Names that a rule or entry needs. A name may occur more than once: each occurrence is a use. */
export interface References {
  /** Targets of jump and goto, in anonymous verdict maps too. */
  readonly chains: readonly string[];
  /** Sets and maps, without `@`. */
  readonly sets: readonly string[];
  /** The subset of `sets` that must be maps, because the rule looks values up in them. */
  readonly lookups: readonly string[];
  /** The subset of `sets` that the rule writes to, and whether a statement runs per element. */
  readonly written: readonly { readonly name: string; readonly perElement: boolean }[];
}

interface Found {
  readonly chains: string[];
  readonly sets: string[];
  readonly lookups: string[];
  readonly written: { readonly name: string; readonly perElement: boolean }[];
}

/** The names in a rule, in the order in which they stand. */
export function ruleReferences(rule: Rule): References {
  const found: Found = { chains: [], sets: [], lookups: [], written: [] };
  for (const statement of rule.expr) fromStatement(statement, found);
  return found;
}

/** The chain that the value of a map entry names; undefined when it names none. */
export function entryTarget(value: Expression | Statement | undefined): string | undefined {
  if (typeof value !== 'object') return undefined;
  if ('goto' in value) return value.goto.target;
  if ('jump' in value) return value.jump.target;
  return undefined;
}

function fromStatement(statement: Statement, found: Found): void {
  if ('match' in statement) {
    fromExpression(statement.match.left, found);
    fromExpression(statement.match.right, found);
  } else if ('vmap' in statement) {
    fromExpression(statement.vmap.key, found);
    fromLookup(statement.vmap.data, found);
  } else if ('set' in statement) {
    const name = statement.set.set.slice(1);
    found.sets.push(name);
    found.written.push({ name, perElement: (statement.set.stmt ?? []).length > 0 });
    fromExpression(statement.set.elem, found);
  } else {
    const target = entryTarget(statement);
    if (target !== undefined) found.chains.push(target);
  }
}

function fromLookup(data: Expression, found: Found): void {
  if (typeof data === 'string' && data.startsWith('@')) found.lookups.push(data.slice(1));
  fromExpression(data, found);
}

function fromExpression(expression: Expression, found: Found): void {
  if (typeof expression === 'string') {
    if (expression.startsWith('@')) found.sets.push(expression.slice(1));
    return;
  }
  if (typeof expression !== 'object') return;
  if (isList(expression)) for (const member of expression) fromExpression(member, found);
  else if ('concat' in expression) for (const field of expression.concat) fromExpression(field, found);
  else if ('set' in expression) fromMembers(expression.set, found);
  else if ('map' in expression) {
    fromExpression(expression.map.key, found);
    fromLookup(expression.map.data, found);
  } else if ('elem' in expression) fromExpression(expression.elem.val, found);
}

function fromMembers(members: Expression | readonly (SetElement | MapEntry)[], found: Found): void {
  if (!Array.isArray(members)) return;
  for (const member of members as readonly (SetElement | MapEntry)[]) {
    const target = isMapEntry(member) ? entryTarget(member[1]) : undefined;
    if (target !== undefined) found.chains.push(target);
  }
}
