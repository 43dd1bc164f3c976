import { isPoliced } from '../model/endpoint.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { IpAddress } from '../model/ip.ts';
import type { PodKey } from '../model/names.ts';
import type { Change } from '../source/store.ts';

/** What a change of an object means for the pods of this node. */
export type LocalEffect =
  | 'none'
  /** Whose address is whose may be decided otherwise. */
  | 'pods'
  /** A pod came, went or has other addresses: its interface may be another. */
  | 'host';

/** Tells which changes of objects concern the interfaces of the pods on one node; all others cost nothing there. */
export class LocalChanges {
  readonly #node: string;
  readonly #pods = new Map<PodKey, Endpoint>();
  #addresses: ReadonlySet<IpAddress> = new Set();

  constructor(node: string) {
    this.#node = node;
  }

  /** Takes one change of the store. */
  effectOf(change: Change): LocalEffect {
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
