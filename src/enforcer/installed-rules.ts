/** The kernel's rules in the form that `simulate` runs: what a packet of a flow meets, not what it should meet. */
import type { CallOptions, TableReader, Listing, NamedMap, NamedSet, Rule, Statement } from 'nftables-json';

import type { Provenance } from '../compiler/effective-policy.ts';
import { tableName } from '../compiler/ruleset.ts';
import type {
  DesiredChain,
  DesiredMap,
  DesiredRule,
  DesiredSet,
  DesiredTable,
  DispatchVerdict,
  Ruleset,
  TableFamily,
} from '../compiler/ruleset.ts';
import type { PolicyKey } from '../model/names.ts';
import { canonicalAddress, canonicalProtocol, decodeElement } from './elements.ts';

/** A rule as it was listed. */
export interface InstalledRule extends DesiredRule {
  /** How nft names it: `nft -a list chain`. */
  readonly handle?: number;
  /** Packets its counter saw, if it has one. */
  readonly packets?: number;
  /** How many more rules of policies it stands for than its comment could hold. */
  readonly more: number;
}

/** Our tables as listed, to be simulated; a family without table is absent. Its rules are {@link InstalledRule}s. */
export interface InstalledRules {
  readonly ruleset: Ruleset;
  /** Objects that have a form we never write: a packet that meets one cannot be followed. */
  readonly strange: readonly string[];
}

const families: readonly TableFamily[] = ['inet', 'bridge'];
const ownHooks = ['forward', 'input', 'prerouting', 'postrouting'] as const;
/** The base chains we make; see `base-chains.ts` and `bridge-guard.ts` of the compiler. */
const ownBases: ReadonlySet<string> = new Set([
  'forward-egress',
  'forward-ingress',
  'input-guard-egress',
  'input-egress',
  'guard',
  'delivery',
]);

/**
 * Lists our tables. `undefined` if there is none.
 * @throws NftError as `Executor.list`.
 */
export async function readInstalledRules(
  reader: TableReader,
  options: CallOptions = {},
): Promise<InstalledRules | undefined> {
  const ruleset = new Map<TableFamily, DesiredTable>();
  const strange: string[] = [];
  for (const family of families) {
    const listing = await reader.list({ family, name: tableName }, options);
    if (listing !== undefined) ruleset.set(family, decodeInstalled(family, listing, strange));
  }
  return ruleset.size === 0 ? undefined : { ruleset, strange };
}

/** One listed table. What is not understood is named in `strange`. */
export function decodeInstalled(family: TableFamily, listing: Listing, strange: string[]): DesiredTable {
  const rules = new Map<string, InstalledRule[]>();
  for (const rule of listing.rules) {
    const list = rules.get(rule.chain) ?? [];
    list.push(installedRule(rule));
    rules.set(rule.chain, list);
  }
  const chains = listing.chains.map((chain): DesiredChain => {
    const { name, hook, prio } = chain;
    const base = ownHooks.find((known) => known === hook);
    if (hook !== undefined && !ownBases.has(name)) strange.push(`chain ${name} on hook ${hook}`);
    if (hook !== undefined && chain.policy === 'drop') strange.push(`policy drop of chain ${name}`);
    return {
      name,
      ...(base === undefined ? {} : { base: { type: 'filter', hook: base, priority: prio ?? 0 } }),
      rules: rules.get(name) ?? [],
    };
  });
  return {
    family,
    sets: new Map(listing.sets.map((set) => [set.name, installedSet(set, strange)])),
    maps: new Map(listing.maps.map((map) => [map.name, installedMap(map, strange)])),
    chains: new Map(chains.map((chain) => [chain.name, chain])),
  };
}

function installedRule({ expr, handle, comment }: Rule): InstalledRule {
  const counter = expr.find((statement) => 'counter' in statement);
  const packets = counter?.counter?.packets;
  return {
    statements: expr.map((statement) => canonical(statement) as Statement),
    ...(comment === undefined ? {} : { comment }),
    ...(handle === undefined ? {} : { handle }),
    ...(packets === undefined ? {} : { packets }),
    ...readProvenance(comment ?? ''),
  };
}

/** Reads `namespace/policy ingress[0], namespace/other ingress[1] +3` back; any other comment names no policy. */
export function readProvenance(comment: string): { readonly provenance: readonly Provenance[]; readonly more: number } {
  const provenance: Provenance[] = [];
  const [, listed = '', rest] = /^(.*?)(?: \+(\d+))?$/.exec(comment) ?? [];
  for (const part of listed.split(', ')) {
    const found = /^([^/ ]+\/[^/ ]+) (ingress|egress)\[(\d+)\]$/.exec(part);
    if (found === null) return { provenance: [], more: 0 };
    const [, policy, direction, index] = found;
    provenance.push({
      policy: policy as PolicyKey,
      direction: direction as Provenance['direction'],
      index: Number(index),
    });
  }
  return { provenance, more: Number(rest ?? 0) };
}

/** Addresses and protocols as we spell them; all else stays. */
function canonical(value: unknown): unknown {
  if (typeof value === 'string') {
    if (value === 'ipv6-icmp') return 'icmpv6';
    return /^[0-9a-f:.]+$/i.test(value) ? canonicalAddress(value) : value;
  }
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  const fields = Object.fromEntries(Object.entries(value).map(([key, part]) => [key, canonical(part)]));
  const { left, right } = fields as { readonly left?: unknown; readonly right?: unknown };
  return isProtocolMeta(left) ? { ...fields, right: protocolNames(right) } : fields;
}

function isProtocolMeta(left: unknown): boolean {
  if (typeof left !== 'object' || left === null || !('meta' in left)) return false;
  return (left.meta as { readonly key?: unknown }).key === 'l4proto';
}

/** Without /etc/protocols nft lists numbers. */
function protocolNames(value: unknown): unknown {
  if (typeof value === 'object' && value !== null && 'set' in value && Array.isArray(value.set))
    return { ...value, set: value.set.map(protocolNames) };
  if (typeof value !== 'number') return value;
  const name = canonicalProtocol(value);
  return name === 'ipv6-icmp' ? 'icmpv6' : name;
}

function fieldsOf(type: string | readonly string[]): readonly string[] {
  return typeof type === 'string' ? [type] : type;
}

function elementText(value: unknown, type: readonly string[]): string | undefined {
  const text = decodeElement(value, type);
  return text?.includes('ipv6-icmp') === true && type.includes('inet_proto')
    ? text
        .split(' . ')
        .map((field) => (field === 'ipv6-icmp' ? 'icmpv6' : field))
        .join(' . ')
    : text;
}

function installedSet(set: NamedSet, strange: string[]): DesiredSet {
  const type = fieldsOf(set.type);
  const elements = new Set<string>();
  const timed = set.flags?.includes('timeout') === true;
  for (const value of timed ? [] : (set.elem ?? [])) {
    const text = elementText(value, type);
    if (text === undefined) strange.push(`element ${JSON.stringify(value)} of set ${set.name}`);
    else elements.add(text);
  }
  return {
    name: set.name,
    type,
    interval: set.flags?.includes('interval') === true,
    ...(timed ? { dynamic: { timeoutSeconds: set.timeout ?? 0, size: set.size ?? 0 } } : {}),
    elements,
  };
}

function installedMap(map: NamedMap, strange: string[]): DesiredMap {
  const type = fieldsOf(map.type);
  const elements = new Map<string, DispatchVerdict>();
  for (const [key, value] of map.elem ?? []) {
    const text = elementText(key, type);
    const verdict = dispatchVerdict(value);
    if (text === undefined || verdict === undefined) {
      strange.push(`element ${JSON.stringify([key, value])} of map ${map.name}`);
    } else elements.set(text, verdict);
  }
  return { name: map.name, type, elements };
}

function dispatchVerdict(value: unknown): DispatchVerdict | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if ('accept' in value) return { kind: 'accept' };
  const target = 'goto' in value ? (value.goto as { readonly target?: unknown } | null)?.target : undefined;
  return typeof target === 'string' ? { kind: 'goto', chain: target } : undefined;
}
