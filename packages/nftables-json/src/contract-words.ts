/** The words in which the cases of the executor contract are written. */
import { counter, jump, match, updateSet } from './stmt.ts';
import { elem, payload, setRef } from './expr.ts';
import type { NftErrorCode } from './errors.ts';
import type { Chain, Command, Family, NamedMap, NamedSet, Rule, Statement, TableRef } from './grammar.ts';

/** One question to an executor. Every case has the table of {@link inTable} to itself. */
export interface ContractCase {
  readonly verb: Verb;
  readonly object: ObjectWord;
  /** A sentence about behaviour. */
  readonly name: string;
  /** Transactions that must succeed. The table itself is there. */
  readonly given?: readonly (readonly Command[])[];
  /** The transaction in question. */
  readonly when: readonly Command[];
  readonly outcome: 'ok' | NftErrorCode;
  /** What nft 1.0.6 answers, where it differs. */
  readonly inOldest?: NftErrorCode;
}

/** nft's verbs, as the keys of a command. */
export const verbs = ['add', 'create', 'insert', 'replace', 'delete', 'flush'] as const;
/** nft's objects, as the tags of an object. */
export const objectWords = ['table', 'chain', 'rule', 'set', 'map', 'element'] as const;
/** See {@link verbs}. */
export type Verb = (typeof verbs)[number];
/** See {@link objectWords}. */
export type ObjectWord = (typeof objectWords)[number];

/** The table of every case. */
export const inTable: { readonly family: Family; readonly table: string } = { family: 'inet', table: 'contract' };
/** The reference of the table of every case. */
export const table: TableRef = { family: inTable.family, name: inTable.table };
/** The reference of a table that is not there. */
export const missing: TableRef = { family: inTable.family, name: 'missing' };

/** A plain chain. */
export const chain = (name: string, rest: Partial<Chain> = {}): Chain => ({ ...inTable, name, ...rest });
/** A base chain on forward. */
export const base = (name: string, rest: Partial<Chain> = {}): Chain =>
  chain(name, { type: 'filter', hook: 'forward', prio: -11, policy: 'accept', ...rest });
/** A rule. */
export const rule = (into: string, ...expr: readonly Statement[]): Rule => ({ ...inTable, chain: into, expr });
/** A set of IPv4 addresses unless told otherwise. */
export const set = (name: string, rest: Partial<NamedSet> = {}): NamedSet => ({
  ...inTable,
  name,
  type: 'ipv4_addr',
  ...rest,
});
/** A verdict map of IPv4 addresses unless told otherwise. */
export const map = (name: string, rest: Partial<NamedMap> = {}): NamedMap => ({
  ...inTable,
  name,
  type: 'ipv4_addr',
  map: 'verdict',
  ...rest,
});
/** Names a chain, set or map. */
export const ref = (name: string): typeof inTable & { readonly name: string } => ({ ...inTable, name });

/** Adds a plain chain. */
export const addChain = (name: string): Command => ({ add: { chain: chain(name) } });
/** Adds a rule. */
export const addRule = (into: string, ...expr: readonly Statement[]): Command => ({
  add: { rule: rule(into, ...expr) },
});
/** Adds a set. */
export const addSet = (...args: Parameters<typeof set>): Command => ({ add: { set: set(...args) } });
/** Adds a map. */
export const addMap = (...args: Parameters<typeof map>): Command => ({ add: { map: map(...args) } });
/** Whether the source is in a set. */
export const inSet = (name: string): Statement => match(payload('ip', 'saddr'), setRef(name));
/** An address. */
export const one: string = '10.0.0.1';
/** Another address. */
export const two: string = '10.0.0.2';
/** A third address. */
export const three: string = '10.0.0.3';
/** Writes the source to set `s`, with a counter. */
export const recording: Statement = updateSet('s', elem(payload('ip', 'saddr'), { timeout: 60 }), [counter()]);
/** The set that `recording` writes to. */
export const recordable: NamedSet = set('s', { flags: ['timeout'], timeout: 300, size: 16 });
/** Set `s` with concatenated intervals. */
export const intervals = (...elements: NonNullable<NamedSet['elem']>): NamedSet =>
  set('s', { type: ['ipv4_addr', 'inet_proto', 'inet_service'], flags: ['interval'], elem: elements });
/** `count` chains, each jumping to the next, below a base chain. */
export const ladder = (count: number): readonly Command[] => [
  { add: { chain: base('top') } },
  ...Array.from({ length: count }, (_, index) => addChain(`step${index}`)),
  addRule('top', jump('step0')),
  ...Array.from({ length: count - 1 }, (_, index) => addRule(`step${index}`, jump(`step${index + 1}`))),
];
