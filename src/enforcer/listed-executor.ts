import { decodeListing, NftError } from 'nftables-json';
import type { Executor, Listing, NamedMap, NamedSet, ObjectRef, TableRef } from 'nftables-json';

import { BugError } from '../model/assert.ts';

/** Tables that were listed before, here or on another node: they can be read again and never written. */
export class ListedExecutor implements Executor {
  readonly #tables: readonly Listing[];

  constructor(tables: readonly Listing[]) {
    this.#tables = tables;
  }

  /** Tables in the form that nft prints them in. Throws NftError `table-unreadable`. */
  static parse(texts: readonly string[]): ListedExecutor {
    return new ListedExecutor(
      texts.map((text) => {
        const listing = decodeListing(text);
        if (listing === undefined) throw new NftError('a listing without table', { code: 'table-unreadable' });
        return listing;
      }),
    );
  }

  run(): Promise<void> {
    return Promise.reject(new BugError('a listing cannot be written'));
  }

  check(): Promise<void> {
    return Promise.reject(new BugError('a listing cannot be written'));
  }

  list({ family, name }: TableRef): Promise<Listing | undefined> {
    return Promise.resolve(this.#tables.find(({ table }) => table.family === family && table.name === name));
  }

  async listSet({ family, table, name }: ObjectRef): Promise<NamedSet | undefined> {
    return (await this.list({ family, name: table }))?.sets.find((set) => set.name === name);
  }

  async listMap({ family, table, name }: ObjectRef): Promise<NamedMap | undefined> {
    return (await this.list({ family, name: table }))?.maps.find((map) => map.name === name);
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
