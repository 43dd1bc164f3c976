/** Commands to the JSON text that `nft -j -f` reads. */
import type { Chain, Command, NamedMap, NamedSet, NftObject, Rule, Table } from './grammar.ts';

/**
 * The JSON text of commands, in their order: nft and the kernel run them one after the other, so a chain must be
 * added before a map element or rule that names it. Nothing is reordered here, because a delete or flush between
 * two additions changes what they mean. Linear in the size of the commands, without a copy of them.
 */
export function encodeCommands(commands: readonly Command[]): string {
  return JSON.stringify({ nftables: [{ metainfo: { json_schema_version: 1 } }, ...commands] });
}

/** The text of {@link encodeCommands} in pieces of about `length` characters, none shorter than one command. */
export function* encodePieces(commands: readonly Command[], length: number): Generator<string, void> {
  let piece = '{"nftables":[{"metainfo":{"json_schema_version":1}}';
  for (const command of commands) {
    piece += `,${JSON.stringify(command)}`;
    if (piece.length < length) continue;
    yield piece;
    piece = '';
  }
  yield `${piece}]}`;
}

/** Objects of one table in any order. */
export interface TableObjects {
  readonly table: Table;
  readonly sets: readonly NamedSet[];
  readonly maps: readonly NamedMap[];
  readonly chains: readonly Chain[];
  /** In the order in which they stand in their chains. */
  readonly rules: readonly Rule[];
}

/**
 * The objects of a table in an order that nft can load: table, chains, sets, maps, rules. Chains come before the
 * maps that name them, sets and maps before the rules that name them. nft's own listings put maps first and
 * 1.0.6 cannot load them again.
 */
export function loadOrder(objects: TableObjects): NftObject[] {
  return [
    { table: objects.table },
    ...objects.chains.map((chain) => ({ chain })),
    ...objects.sets.map((set) => ({ set })),
    ...objects.maps.map((map) => ({ map })),
    ...objects.rules.map((rule) => ({ rule })),
  ];
}
