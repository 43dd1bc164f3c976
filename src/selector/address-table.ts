import { compareClaims } from '../model/endpoint.ts';
import type { IpAddress } from '../model/ip.ts';
import type { PodEntry } from './pod-class.ts';

/**
 * Which pods claim each address. The API may show a new pod with an address before it shows the end of the old one;
 * of several claims the newest owns (semantics 49, see `addressOwners`). One claim is held without a list.
 */
export class AddressTable {
  readonly #claims = new Map<IpAddress, PodEntry | PodEntry[]>();

  claim(address: IpAddress, entry: PodEntry): void {
    const known = this.#claims.get(address);
    if (known === undefined) this.#claims.set(address, entry);
    else if (!Array.isArray(known)) {
      if (known !== entry) this.#claims.set(address, [known, entry]);
    } else if (!known.includes(entry)) known.push(entry);
  }

  unclaim(address: IpAddress, entry: PodEntry): void {
    const known = this.#claims.get(address);
    if (known === entry) this.#claims.delete(address);
    else if (Array.isArray(known)) {
      const rest = known.filter((other) => other !== entry);
      if (rest.length > 1) this.#claims.set(address, rest);
      else if (rest[0] !== undefined) this.#claims.set(address, rest[0]);
    }
  }

  /** Every pod that claims an address together with others; nobody if the address is undisputed. */
  rivals(address: IpAddress): readonly PodEntry[] {
    const known = this.#claims.get(address);
    return Array.isArray(known) ? known : [];
  }

  owner(address: IpAddress): PodEntry | undefined {
    const known = this.#claims.get(address);
    if (!Array.isArray(known)) return known;
    return known.reduce((owner, entry) => (compareClaims(owner.pod, entry.pod) < 0 ? entry : owner));
  }

  /** The pod's addresses it owns: its own list if it owns all of them. */
  owned(entry: PodEntry): readonly IpAddress[] {
    const { addresses } = entry.pod;
    return addresses.every((address) => this.owner(address) === entry)
      ? addresses
      : addresses.filter((address) => this.owner(address) === entry);
  }

  get size(): number {
    return this.#claims.size;
  }
}
