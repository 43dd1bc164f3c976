/** Flows between two sets of classes that share one fact. Indexes into the list of ends, ascending. */
export interface FlowBlock<T> {
  readonly from: readonly number[];
  readonly to: readonly number[];
  readonly fact: T;
}

/** One fact about the flows between two classes. Facts of equal `key` are the same. */
export interface FlowFact<T> {
  readonly from: number;
  readonly to: number;
  readonly key: string;
  readonly fact: T;
}

/** Classes that are called by one name together when all of them are meant. */
export type EndGroup = readonly number[];

/**
 * Unites facts into few blocks: sources of equal facts about one destination, then destinations with equal sources.
 * A `vacant` pair, which could be policed but has no flows (a lone pod and itself, IPv4 and IPv6), joins where that
 * completes a group: it adds nothing. The order is that of the first destination, then of the first source, then of the keys.
 */
export function groupFlows<T>(
  facts: Iterable<FlowFact<T>>,
  groups: readonly EndGroup[],
  vacant: (from: number, to: number) => boolean,
): readonly FlowBlock<T>[] {
  const byTarget = new Map<number, Map<string, { from: number[]; fact: T }>>();
  for (const { from, to, key, fact } of facts) {
    const keyed = byTarget.get(to) ?? new Map<string, { from: number[]; fact: T }>();
    byTarget.set(to, keyed);
    const known = keyed.get(key);
    if (known === undefined) keyed.set(key, { from: [from], fact });
    else known.from.push(from);
  }
  const blocks = new Map<string, { from: readonly number[]; to: number[]; fact: T; key: string }>();
  for (const [to, keyed] of [...byTarget].sort(([a], [b]) => a - b)) {
    for (const [key, { from, fact }] of keyed) {
      const complete = completeGroups(from, groups, (index) => vacant(index, to));
      const text = `${key}\n${complete.join()}`;
      const known = blocks.get(text);
      if (known === undefined) blocks.set(text, { from: complete, to: [to], fact, key });
      else known.to.push(to);
    }
  }
  return [...blocks.values()].sort(
    (a, b) =>
      (a.to[0] ?? 0) - (b.to[0] ?? 0) ||
      (a.from[0] ?? 0) - (b.from[0] ?? 0) ||
      (a.key < b.key ? -1 : a.key > b.key ? 1 : 0),
  );
}

function completeGroups(
  from: readonly number[],
  groups: readonly EndGroup[],
  vacant: (index: number) => boolean,
): readonly number[] {
  const set = new Set(from);
  for (const group of groups) {
    if (group.some((index) => set.has(index)) && group.every((index) => set.has(index) || vacant(index))) {
      for (const index of group) set.add(index);
    }
  }
  return [...set].sort((a, b) => a - b);
}
