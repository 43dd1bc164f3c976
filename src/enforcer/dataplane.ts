/**
 * What the kernel holds in our tables, in a form that compares with what we want. An object is either *listed* (read
 * from the kernel) or the very desired value we last applied, so that a second look at it is one comparison of
 * references.
 */
import type { Listing, NamedMap, NamedSet } from 'nftables-json';

import { ElementSet } from '../compiler/element-set.ts';
import type { DesiredChain, DesiredMap, DesiredSet, DispatchVerdict, TableFamily } from '../compiler/ruleset.ts';
import { canonicalElement, decodeElement, isPlainType } from './elements.ts';
import type { VerdictText } from './encode.ts';
import { desiredRuleKey, ruleKey } from './rule-key.ts';

/** A set read from the kernel. */
export interface ListedSet {
  readonly kind: 'listed';
  readonly name: string;
  /** {@link setShape}; a text no desired set has when the listing holds something unknown. */
  readonly shape: string;
  readonly elements: ReadonlySet<string>;
}

/** A verdict map read from the kernel. */
export interface ListedMap {
  readonly kind: 'listed';
  readonly name: string;
  readonly shape: string;
  readonly elements: ReadonlyMap<string, VerdictText>;
}

/** A chain read from the kernel. */
export interface ListedChain {
  readonly kind: 'listed';
  readonly name: string;
  /** {@link chainHook}. */
  readonly hook: string;
  /** `accept` or `drop`; empty without a hook. */
  readonly policy: string;
  /** Rule keys in order. */
  readonly rules: readonly string[];
}

/** A set in the kernel. */
export type DataplaneSet = ListedSet | DesiredSet;
/** A map in the kernel. */
export type DataplaneMap = ListedMap | DesiredMap;
/** A chain in the kernel. */
export type DataplaneChain = ListedChain | DesiredChain;

/** One of our tables in the kernel. */
export interface DataplaneTable {
  readonly family: TableFamily;
  readonly sets: ReadonlyMap<string, DataplaneSet>;
  readonly maps: ReadonlyMap<string, DataplaneMap>;
  readonly chains: ReadonlyMap<string, DataplaneChain>;
  /** It has flags, which ours never have: a dormant table holds every rule and runs none. */
  readonly flagged?: true;
}

/** Our tables in the kernel. A `Ruleset` is one: what is true after it was applied. */
export type Dataplane = ReadonlyMap<TableFamily, DataplaneTable>;

// ---- one view on listed and desired objects ----------------------------------------------------------------------

/** Type and flags of a set: sets of one shape can exchange elements, others must be made anew. */
export function setShape(set: DataplaneSet): string {
  if ('kind' in set) return set.shape;
  const { dynamic } = set;
  if (dynamic !== undefined) return shapeText(set.type, ['timeout'], dynamic.timeoutSeconds, dynamic.size);
  return shapeText(set.type, set.interval ? ['interval'] : [], undefined, undefined);
}

function shapeText(
  type: readonly string[],
  flags: readonly string[],
  timeout: number | undefined,
  size: number | undefined,
): string {
  return `${type.join(' . ')} [${flags.join(' ')}] ${timeout ?? '-'} ${size ?? '-'}`;
}

/** Key type of a verdict map. */
export function mapShape(map: DataplaneMap): string {
  return 'kind' in map ? map.shape : shapeText(map.type, [], undefined, undefined);
}

const canonicalSets = new WeakMap<DesiredSet, ReadonlySet<string>>();
const noElements: ReadonlySet<string> = new Set();

/** The canonical elements of a set; none for a set that the packet path fills. */
export function setElements(set: DataplaneSet): ReadonlySet<string> {
  if ('kind' in set) return set.elements;
  if (set.dynamic !== undefined) return noElements;
  // An element set is the compiler's own, and only blocks have several spellings there.
  if (isPlainType(set.type, set.interval) || (!set.interval && set.elements instanceof ElementSet)) return set.elements;
  let elements = canonicalSets.get(set);
  if (elements === undefined) {
    elements = new Set([...set.elements].map((text) => canonicalElement(text, set.type)));
    canonicalSets.set(set, elements);
  }
  return elements;
}

function verdictText(verdict: DispatchVerdict): VerdictText {
  return verdict.kind === 'accept' ? 'accept' : `goto ${verdict.chain}`;
}

const mapTexts = new WeakMap<DesiredMap, ReadonlyMap<string, VerdictText>>();

/** The canonical entries of a map. */
export function mapElements(map: DataplaneMap): ReadonlyMap<string, VerdictText> {
  if ('kind' in map) return map.elements;
  let elements = mapTexts.get(map);
  if (elements === undefined) {
    elements = new Map(
      [...map.elements].map(([key, verdict]) => [canonicalElement(key, map.type), verdictText(verdict)]),
    );
    mapTexts.set(map, elements);
  }
  return elements;
}

/** Where a chain hangs: `filter forward -10`; empty for a chain that only others call. */
export function chainHook(chain: DataplaneChain): string {
  if ('kind' in chain) return chain.hook;
  return chain.base === undefined ? '' : `${chain.base.type} ${chain.base.hook} ${chain.base.priority}`;
}

/** Whether the chain hangs on a hook. */
export function isBase(chain: DataplaneChain): boolean {
  return chainHook(chain) !== '';
}

/** The keys of a chain's rules, in order. */
export function chainRules(family: TableFamily, chain: DataplaneChain): readonly string[] {
  return 'kind' in chain ? chain.rules : chain.rules.map((rule) => desiredRuleKey(family, rule));
}

/** Whether two chains hang on the same hook, with the same policy and the same rules. */
export function sameChain(family: TableFamily, a: DataplaneChain, b: DataplaneChain): boolean {
  if (a === b) return true;
  if (chainHook(a) !== chainHook(b) || a.rules.length !== b.rules.length) return false;
  if (isBase(a) && chainPolicy(a) !== chainPolicy(b)) return false;
  const other = chainRules(family, b);
  return chainRules(family, a).every((key, index) => key === other[index]);
}

function chainPolicy(chain: DataplaneChain): string {
  return 'kind' in chain ? chain.policy : 'accept';
}

// ---- decoding listings -------------------------------------------------------------------------------------------

/**
 * A listed table. What is not understood becomes a shape or verdict that no desired object has, so it is replaced
 * and never taken for ours.
 */
export function decodeTable(family: TableFamily, listing: Listing): DataplaneTable {
  const sets = new Map<string, DataplaneSet>(listing.sets.map((set) => [set.name, decodeListedSet(set)]));
  const maps = new Map(listing.maps.map((map) => [map.name, decodeListedMap(map)]));
  const rules = new Map<string, string[]>(listing.chains.map((chain) => [chain.name, []]));
  for (const rule of listing.rules) rules.get(rule.chain)?.push(ruleKey(family, rule.expr, rule.comment));
  const chains = new Map(
    listing.chains.map((chain): [string, ListedChain] => {
      const hook = chain.hook === undefined ? '' : `${chain.type ?? ''} ${chain.hook} ${chain.prio ?? 0}`;
      const policy = chain.hook === undefined ? '' : (chain.policy ?? 'accept');
      return [chain.name, { kind: 'listed', name: chain.name, hook, policy, rules: rules.get(chain.name) ?? [] }];
    }),
  );
  return { family, sets, maps, chains, ...('flags' in listing.table && { flagged: true }) };
}

function typeFields(type: string | readonly string[]): readonly string[] {
  return typeof type === 'string' ? [type] : type;
}

/** The shape of a listed set. nft before 1.1 hides `dynamic`, which the kernel sets by itself. */
function listedShape(set: NamedSet | NamedMap): string {
  const flags = (set.flags ?? []).filter((flag) => flag !== 'dynamic').sort();
  return shapeText(typeFields(set.type), flags, set.timeout, set.size);
}

/** A listed set; see {@link decodeTable}. */
export function decodeListedSet(set: NamedSet): ListedSet {
  const type = typeFields(set.type);
  const base = { kind: 'listed', name: set.name } as const;
  if (set.flags?.includes('timeout') === true) return { ...base, shape: listedShape(set), elements: noElements };
  const elements = new Set<string>();
  for (const value of set.elem ?? []) {
    const text = decodeElement(value, type);
    if (text === undefined) return { ...base, shape: `unknown element ${JSON.stringify(value)}`, elements: noElements };
    elements.add(text);
  }
  return { ...base, shape: listedShape(set), elements };
}

function decodeListedMap(map: NamedMap): ListedMap {
  const type = typeFields(map.type);
  const elements = new Map<string, VerdictText>();
  const base = { kind: 'listed', name: map.name } as const;
  if (map.map !== 'verdict') return { ...base, shape: `unknown map of ${JSON.stringify(map.map)}`, elements };
  for (const entry of map.elem ?? []) {
    const text = decodeElement(entry[0], type);
    if (text === undefined)
      return { ...base, shape: `unknown element ${JSON.stringify(entry[0])}`, elements: new Map<string, string>() };
    elements.set(text, decodeVerdict(entry[1]));
  }
  return { ...base, shape: listedShape(map), elements };
}

function decodeVerdict(value: unknown): VerdictText {
  if (typeof value === 'object' && value !== null) {
    if ('accept' in value) return 'accept';
    const target = 'goto' in value ? (value.goto as { readonly target?: unknown } | null)?.target : undefined;
    if (typeof target === 'string') return `goto ${target}`;
  }
  return `other ${JSON.stringify(value)}`;
}
