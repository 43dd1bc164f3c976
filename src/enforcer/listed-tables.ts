import { decodeListing, NftError } from 'nftables-json';
import type { Listing, NamedSet, ObjectRef, TableReader, TableRef } from 'nftables-json';

/** Tables that were listed before, here or on another node. */
export class ListedTables implements TableReader {
  readonly #tables: readonly Listing[];

  constructor(tables: readonly Listing[]) {
    this.#tables = tables;
  }

  /** Tables in the form that nft prints them in. Throws NftError `table-unreadable`. */
  static parse(texts: readonly string[]): ListedTables {
    return new ListedTables(
      texts.map((text) => {
        const listing = decodeListing(text);
        if (listing === undefined) throw new NftError('a listing without table', { code: 'table-unreadable' });
        return listing;
      }),
    );
  }

  list({ family, name }: TableRef): Promise<Listing | undefined> {
    return Promise.resolve(this.#tables.find(({ table }) => table.family === family && table.name === name));
  }

  async listSet({ family, table, name }: ObjectRef): Promise<NamedSet | undefined> {
    return (await this.list({ family, name: table }))?.sets.find((set) => set.name === name);
  }
}

/** A listing in the form that nft prints it in. */
export function printListing({ table, metainfo, sets, maps, chains, rules, others }: Listing): object {
  return {
    nftables: [
      ...(metainfo === undefined ? [] : [{ metainfo }]),
      { table },
      ...sets.map((set) => ({ set })),
      ...maps.map((map) => ({ map })),
      ...chains.map((chain) => ({ chain })),
      ...rules.map((rule) => ({ rule })),
      ...others,
    ],
  };
}
