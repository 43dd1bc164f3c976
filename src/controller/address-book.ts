import { compareClaims, isPoliced } from '../model/endpoint.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { IpAddress } from '../model/ip.ts';
import type { PodKey } from '../model/names.ts';
import type { Change } from '../source/store.ts';

/**
 * Which pod owns each address of the cluster, kept up to date at the cost of the change: `addressOwners` of all pods,
 * at any time. One claim is held without a list.
 */
export class AddressBook {
  readonly #claims = new Map<IpAddress, Endpoint | readonly Endpoint[]>();

  /** Takes one change of the store. */
  changed({ before, after }: Change): void {
    if (before?.kind === 'Pod' && isPoliced(before))
      for (const address of before.addresses) this.#drop(address, before);
    if (after?.kind === 'Pod' && isPoliced(after)) for (const address of after.addresses) this.#add(address, after);
  }

  /** The pod that owns an address: the newest live claim (semantics 49). */
  owner(address: IpAddress): Endpoint | undefined {
    const claims = this.#claims.get(address);
    if (claims === undefined || !isList(claims)) return claims;
    return claims.reduce((owner, pod) => (compareClaims(owner, pod) < 0 ? pod : owner));
  }

  /** The pod with the addresses it owns: who lost a claim must not act by it. */
  withOwned(pod: Endpoint): Endpoint {
    const owned = pod.addresses.filter((address) => this.owner(address)?.uid === pod.uid);
    return owned.length === pod.addresses.length ? pod : { ...pod, addresses: owned };
  }

  /** Number of addresses that some pod claims. */
  get size(): number {
    return this.#claims.size;
  }

  #add(address: IpAddress, pod: Endpoint): void {
    const claims = this.#claims.get(address);
    if (claims === undefined) this.#claims.set(address, pod);
    else this.#claims.set(address, [...(isList(claims) ? claims : [claims]), pod]);
  }

  #drop(address: IpAddress, pod: Endpoint): void {
    const claims = this.#claims.get(address);
    if (claims === undefined) return;
    const rest = (isList(claims) ? claims : [claims]).filter(({ uid }) => uid !== pod.uid);
    const [first] = rest;
    if (first === undefined) this.#claims.delete(address);
    else this.#claims.set(address, rest.length === 1 ? first : rest);
  }
}

/** What a change of an object means for the pods of this node. */
export type LocalEffect =
  | 'none'
  /** Whose address is whose may be decided otherwise. */
  | 'pods'
  /** A pod came, went or has other addresses: its interface may be another. */
  | 'host';

/** The pods the API places on one node that policy can select, with the addresses they own. */
export class LocalPods {
  readonly #node: string;
  readonly #book: AddressBook;
  readonly #pods = new Map<PodKey, Endpoint>();
  #addresses: ReadonlySet<IpAddress> = new Set();

  constructor(node: string, book: AddressBook) {
    this.#node = node;
    this.#book = book;
  }

  /** Takes one change of the store, after the address book has. */
  changed(change: Change): LocalEffect {
    const before = this.#local(change.before);
    const after = this.#local(change.after);
    if (before === undefined && after === undefined) return this.#touches(change) ? 'pods' : 'none';
    if (before !== undefined) this.#pods.delete(before.key);
    if (after !== undefined) this.#pods.set(after.key, after);
    if (before !== undefined && after !== undefined && sameAttachment(before, after)) {
      return this.#touches(change) && before.terminating !== after.terminating ? 'pods' : 'none';
    }
    this.#addresses = new Set([...this.#pods.values()].flatMap(({ addresses }) => addresses));
    return 'host';
  }

  /** All of them, in no order. */
  list(): readonly Endpoint[] {
    return Array.from(this.#pods.values(), (pod) => this.#book.withOwned(pod));
  }

  #local(object: Change['after']): Endpoint | undefined {
    return object?.kind === 'Pod' && object.node === this.#node && isPoliced(object) ? object : undefined;
  }

  #touches({ before, after }: Change): boolean {
    return [before, after].some(
      (object) => object?.kind === 'Pod' && object.addresses.some((address) => this.#addresses.has(address)),
    );
  }
}

function sameAttachment(a: Endpoint, b: Endpoint): boolean {
  return (
    a.uid === b.uid &&
    a.createdAtMs === b.createdAtMs &&
    a.addresses.length === b.addresses.length &&
    a.addresses.every((address, index) => address === b.addresses[index])
  );
}

function isList(claims: Endpoint | readonly Endpoint[]): claims is readonly Endpoint[] {
  return Array.isArray(claims);
}
