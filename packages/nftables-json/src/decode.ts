/** nft's listings to typed objects. Keys, statements and expressions that are not known stay verbatim. */
import { z } from 'zod';
import { cutDocument } from './cut-document.ts';
import type { TableObjects } from './encode.ts';
import { NftError } from './errors.ts';
import type { ListOptions } from './executor.ts';
import type { Chain, Json, NamedMap, NamedSet, Rule, Table, TableRef } from './grammar.ts';

const family = z.enum(['ip', 'ip6', 'inet', 'arp', 'bridge', 'netdev']);
const statement = z.custom<object>((value) => typeof value === 'object' && value !== null && !Array.isArray(value));
const keyType = z.union([z.string(), z.array(z.string())]);
const named = { family, table: z.string(), name: z.string(), handle: z.number().optional() };
// An array of one element may be any JSON; its members are not walked, a listing can hold a million of them.
const elements = z.custom<readonly unknown[]>((value) => Array.isArray(value)).optional();
const setShape = {
  ...named,
  type: keyType,
  flags: z.union([z.array(z.string()), z.string().transform((flag) => [flag])]).optional(),
  timeout: z.number().optional(),
  size: z.number().optional(),
  elem: elements,
};

const objectSchemas = {
  table: z.looseObject({ family, name: z.string(), handle: z.number().optional() }),
  chain: z.looseObject({ ...named, hook: z.string().optional(), prio: z.number().optional() }),
  rule: z.looseObject({
    family,
    table: z.string(),
    chain: z.string(),
    handle: z.number().optional(),
    comment: z.string().optional(),
    expr: z.array(statement),
  }),
  set: z.looseObject(setShape),
  map: z.looseObject({ ...setShape, map: keyType }),
};

const record = z.record(z.string(), z.unknown());
const document = z.object({ nftables: z.array(record) });

/** What a listing says about the program that wrote it. */
export interface Metainfo {
  readonly version: string;
  readonly release_name?: string;
  readonly json_schema_version?: number;
}

const metainfo = z.looseObject({
  version: z.string(),
  release_name: z.string().optional(),
  json_schema_version: z.number().optional(),
});

/** A listed table: its objects in nft's order, rules in the order of their chains. */
export interface Listing extends TableObjects {
  readonly metainfo?: Metainfo;
  /** Objects of kinds this package does not know (flowtables, counters, ...), under their tags, verbatim. */
  readonly others: readonly { readonly [tag: string]: Json }[];
}

/** A listing as grouped objects; `table` is absent when nft listed one set or map. */
interface Decoded {
  table: Table | undefined;
  metainfo: Metainfo | undefined;
  readonly sets: NamedSet[];
  readonly maps: NamedMap[];
  readonly chains: Chain[];
  readonly rules: Rule[];
  readonly others: { readonly [tag: string]: Json }[];
}

/**
 * Decodes the output of `nft -j list table`. Undefined when it names no table.
 * @throws NftError `table-unreadable` when the text is not nft's JSON or a known object lacks a required key.
 */
export function decodeListing(text: string, wanted?: TableRef): Listing | undefined {
  return finish(decode(text), wanted);
}

/** As {@link decodeListing}, object by object, letting other work go on in between. */
export async function readListing(
  output: Buffer,
  wanted: TableRef,
  { takeSet }: Pick<ListOptions, 'takeSet'> = {},
): Promise<Listing | undefined> {
  const decoded = nothing();
  let since = performance.now();
  for (const item of cutDocument(output)) {
    addItem(decoded, parse(record, parseJson(item.toString('utf8')), 'object'));
    if (takeSet !== undefined) for (const set of decoded.sets.splice(0)) takeSet(set);
    if (performance.now() - since < sliceMs) continue;
    await new Promise((resolve) => setImmediate(resolve));
    since = performance.now();
  }
  return finish(decoded, wanted);
}

const sliceMs = 10;

function finish(decoded: Decoded, wanted: TableRef | undefined): Listing | undefined {
  const { table, metainfo, ...rest } = decoded;
  if (table === undefined) return undefined;
  if (wanted !== undefined && (table.family !== wanted.family || table.name !== wanted.name))
    throw new NftError(`asked for table ${wanted.family} ${wanted.name}, got ${table.family} ${table.name}`, {
      code: 'table-unreadable',
    });
  return metainfo === undefined ? { table, ...rest } : { table, metainfo, ...rest };
}

/** Decodes the output of `nft -j list set`: its only set; errors as {@link decodeListing}. */
export function decodeSet(text: string): NamedSet | undefined {
  return decode(text).sets[0];
}

/** Decodes the output of `nft -j list map`: its only map; errors as {@link decodeListing}. */
export function decodeMap(text: string): NamedMap | undefined {
  return decode(text).maps[0];
}

function nothing(): Decoded {
  return {
    table: undefined,
    metainfo: undefined,
    sets: [],
    maps: [],
    chains: [],
    rules: [],
    others: [],
  };
}

function decode(text: string): Decoded {
  const decoded = nothing();
  for (const item of parse(document, parseJson(text), 'document').nftables) addItem(decoded, item);
  return decoded;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new NftError('nft printed something that is not JSON', { code: 'table-unreadable', cause });
  }
}

function parse<S extends z.ZodType>(schema: S, value: unknown, what: string): z.infer<S> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw new NftError(`unreadable ${what}: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`, {
    code: 'table-unreadable',
    cause: result.error,
  });
}

function addItem(decoded: Decoded, item: Record<string, unknown>): void {
  const tag = Object.keys(item)[0];
  const value = tag === undefined ? undefined : item[tag];
  switch (tag) {
    case 'metainfo':
      decoded.metainfo = parse(metainfo, value, tag) as Metainfo;
      break;
    case 'table':
      decoded.table = parse(objectSchemas.table, value, tag) as unknown as Table;
      break;
    case 'chain':
      decoded.chains.push(parse(objectSchemas.chain, value, tag) as unknown as Chain);
      break;
    case 'rule':
      decoded.rules.push(parse(objectSchemas.rule, value, tag) as unknown as Rule);
      break;
    case 'set':
      decoded.sets.push(parse(objectSchemas.set, value, tag) as unknown as NamedSet);
      break;
    case 'map':
      decoded.maps.push(parse(objectSchemas.map, value, tag) as unknown as NamedMap);
      break;
    default:
      decoded.others.push(item as { readonly [tag: string]: Json });
  }
}
