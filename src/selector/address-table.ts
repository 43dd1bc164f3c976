import { compareClaims } from '../model/endpoint.ts';
import type { IpAddress } from '../model/ip.ts';
import type { PodEntry } from './pod-class.ts';

/**
 * Which pods claim each address. The API may show a new pod with an address before it shows the end of the old one;
 * of several claims the newest owns (semantics 49, see `addressOwners`).
 */
export class AddressTable {
  /** One of the claimants. */
  readonly #claims = new Map<IpAddress, PodEntry>();
  /** All claimants, where there are several. */
  readonly #disputes = new Map<IpAddress, readonly PodEntry[]>();

  claim(address: IpAddress, entry: PodEntry): void {
    const known = this.#claims.get(address);
    if (known === undefined) {
      this.#claims.set(address, entry);
      return;
    }
    const claimants = this.#disputes.get(address) ?? [known];
    if (!claimants.includes(entry)) this.#disputes.set(address, [...claimants, entry]);
  }

  unclaim(address: IpAddress, entry: PodEntry): void {
    const rest = this.#disputes.get(address)?.filter((other) => other !== entry) ?? [];
    const [first] = rest;
    if (first !== undefined) this.#claims.set(address, first);
    else if (this.#claims.get(address) === entry) this.#claims.delete(address);
    if (rest.length > 1) this.#disputes.set(address, rest);
    else this.#disputes.delete(address);
  }

  /** Every pod that claims an address together with others; nobody if the address is undisputed. */
  rivals(address: IpAddress): readonly PodEntry[] {
    return this.#disputes.size === 0 ? [] : (this.#disputes.get(address) ?? []);
  }

  /** The pod that owns the address. */
  owner(address: IpAddress): PodEntry | undefined {
    let owner = this.#claims.get(address);
    for (const rival of this.rivals(address)) {
      if (owner === undefined || compareClaims(owner.pod, rival.pod) < 0) owner = rival;
    }
    return owner;
  }

  /** Those of the addresses it claims that the pod owns: its own list if it owns all of them. */
  owned(entry: PodEntry): readonly IpAddress[] {
    const { addresses } = entry.pod;
    const owns = (address: IpAddress): boolean =>
      this.rivals(address).every((rival) => rival === entry || compareClaims(rival.pod, entry.pod) < 0);
    return addresses.every(owns) ? addresses : addresses.filter(owns);
  }

  get size(): number {
    return this.#claims.size;
  }
}
