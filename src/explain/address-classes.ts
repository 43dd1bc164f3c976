import { blockKey } from '../compiler/merge.ts';
import { cidrInterval } from '../model/cidr.ts';
import { subtractIntervals, uniteIntervals } from '../model/interval.ts';
import type { AddressInterval } from '../model/interval.ts';
import { familyBits, familyOf, ipFamilies, ipToBigInt } from '../model/ip.ts';
import type { IpAddress, IpFamily } from '../model/ip.ts';
import type { IpBlock } from '../model/policy.ts';

/** Addresses that lie in the same blocks: no policy with these blocks can tell them apart. */
export interface AddressClass {
  /** Its index; 0 is the class of addresses in no block. */
  readonly id: number;
  /** Keys of the blocks that hold these addresses. */
  readonly blocks: ReadonlySet<string>;
  /** Sorted, disjoint, neighbours joined. Both families only in class 0: a block has one family. */
  readonly intervals: ReadonlyMap<IpFamily, readonly AddressInterval[]>;
}

/** The address space of both families, cut at every border of a block or an exception. */
export interface AddressClasses {
  readonly classes: readonly AddressClass[];
  classOf(address: IpAddress): AddressClass;
}

interface Segment {
  readonly first: bigint;
  readonly last: bigint;
  readonly class: AddressClass;
}

/** Cuts the address space. O(borders x blocks that overlap there). */
export function cutAddresses(blocks: Iterable<IpBlock>): AddressClasses {
  const byKey = new Map<string, IpBlock>();
  for (const block of blocks) byKey.set(blockKey(block), block);
  const names = [...byKey.keys()].sort();
  const drafts = new Map<string, { blocks: Set<string>; intervals: Map<IpFamily, AddressInterval[]> }>();
  drafts.set('', { blocks: new Set(), intervals: new Map() });
  const cuts: { family: IpFamily; first: bigint; last: bigint; key: string }[] = [];

  for (const family of ipFamilies) {
    for (const { first, last, members } of sweep(names, byKey, family)) {
      const key = members.join(' ');
      let draft = drafts.get(key);
      if (draft === undefined) {
        draft = { blocks: new Set(members.map((index) => names[index] ?? '')), intervals: new Map() };
        drafts.set(key, draft);
      }
      draft.intervals.set(family, [...(draft.intervals.get(family) ?? []), { first, last }]);
      cuts.push({ family, first, last, key });
    }
  }

  const classes = [...drafts.values()].map((draft, id): AddressClass => ({
    id,
    blocks: draft.blocks,
    intervals: new Map([...draft.intervals].map(([family, intervals]) => [family, uniteIntervals(intervals)])),
  }));
  const byDraft = new Map([...drafts.keys()].map((key, id) => [key, classes[id]]));
  const segments = new Map<IpFamily, Segment[]>(ipFamilies.map((family) => [family, []]));
  for (const { family, first, last, key } of cuts) {
    const cut = byDraft.get(key);
    if (cut !== undefined) segments.get(family)?.push({ first, last, class: cut });
  }

  function classOf(address: IpAddress): AddressClass {
    const list = segments.get(familyOf(address)) ?? [];
    const value = ipToBigInt(address);
    let [low, high] = [0, list.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (value <= (list[middle]?.last ?? 0n)) high = middle;
      else low = middle + 1;
    }
    const found = list[low]?.class ?? classes[0];
    if (found === undefined) throw new RangeError(`no class for ${address}`);
    return found;
  }

  return { classes, classOf };
}

interface Cut {
  readonly first: bigint;
  readonly last: bigint;
  /** Indexes of the blocks that hold the segment, ascending. */
  readonly members: readonly number[];
}

function* sweep(names: readonly string[], byKey: ReadonlyMap<string, IpBlock>, family: IpFamily): Generator<Cut, void> {
  const begins = new Map<bigint, number[]>();
  const ends = new Map<bigint, number[]>();
  for (const [index, name] of names.entries()) {
    const block = byKey.get(name);
    if (block?.cidr.family !== family) continue;
    const holes = block.except.map(({ cidr }) => cidrInterval(cidr));
    for (const { first, last } of subtractIntervals(cidrInterval(block.cidr), holes)) {
      begins.set(first, [...(begins.get(first) ?? []), index]);
      ends.set(last + 1n, [...(ends.get(last + 1n) ?? []), index]);
    }
  }
  const beyond = 1n << BigInt(familyBits(family));
  const borders = [...new Set([0n, ...begins.keys(), ...ends.keys(), beyond])];
  borders.sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const active = new Set<number>();
  for (let i = 0; i + 1 < borders.length; i++) {
    const [first, next] = [borders[i] ?? 0n, borders[i + 1] ?? beyond];
    for (const index of ends.get(first) ?? []) active.delete(index);
    for (const index of begins.get(first) ?? []) active.add(index);
    yield { first, last: next - 1n, members: [...active].sort((a, b) => a - b) };
  }
}
