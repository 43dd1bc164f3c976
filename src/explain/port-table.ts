import { protocols } from '../model/port.ts';
import type { Protocol } from '../model/port.ts';

/** Ports with one value; inclusive. */
export interface PortSlice<T> {
  readonly from: number;
  readonly to: number;
  readonly value: T;
}

/** A value for every port 1 to 65535 of every protocol with ports, and one for everything else (ICMP). */
export interface PortTable<T> {
  /** In the order of {@link protocols}; each list covers 1 to 65535 without gap. */
  readonly ports: readonly (readonly PortSlice<T>[])[];
  readonly other: T;
}

/** The greatest port number. */
export const lastPort = 65535;

/** Builds a table from the value of each slice between cuts, joining neighbours that are the same. */
export function portTable<T>(
  cuts: (protocol: Protocol) => Iterable<number>,
  valueOf: (protocol: Protocol, port: number) => T,
  other: T,
  same: (a: T, b: T) => boolean,
): PortTable<T> {
  const ports = protocols.map((protocol) => {
    const starts = [...new Set([1, ...cuts(protocol)])].filter((port) => 1 <= port && port <= lastPort);
    starts.sort((a, b) => a - b);
    const slices = starts.map((from, i) => ({
      from,
      to: (starts[i + 1] ?? lastPort + 1) - 1,
      value: valueOf(protocol, from),
    }));
    return joinSlices(slices, same);
  });
  return { ports, other };
}

/** A value for each port from those of two tables, joining neighbours that are the same. */
export function zipTables<A, B, C>(
  a: PortTable<A>,
  b: PortTable<B>,
  combine: (a: A, b: B) => C,
  same: (a: C, b: C) => boolean,
): PortTable<C> {
  const ports = a.ports.map((left, index) => joinSlices(zipSlices(left, b.ports[index] ?? [], combine), same));
  return { ports, other: combine(a.other, b.other) };
}

/** Another value for each port. */
export function mapTable<A, B>(table: PortTable<A>, map: (a: A) => B, same: (a: B, b: B) => boolean): PortTable<B> {
  const ports = table.ports.map((slices) =>
    joinSlices(
      slices.map(({ from, to, value }) => ({ from, to, value: map(value) })),
      same,
    ),
  );
  return { ports, other: map(table.other) };
}

/** A set of ports by protocol, and whether what has no ports belongs to it. */
export interface PortList {
  readonly ports: readonly { readonly protocol: Protocol; readonly from: number; readonly to: number }[];
  /** ICMP and every other protocol. */
  readonly other: boolean;
}

/** The ports whose value is wanted. */
export function portsWhere<T>(table: PortTable<T>, wanted: (value: T) => boolean): PortList {
  const ports = protocols.flatMap((protocol, index) =>
    joinSlices(
      (table.ports[index] ?? []).map(({ from, to, value }) => ({ from, to, value: wanted(value) })),
      (a, b) => a === b,
    ).flatMap(({ from, to, value }) => (value ? [{ protocol, from, to }] : [])),
  );
  return { ports, other: wanted(table.other) };
}

/** Whether nothing is in the list. */
export function isEmptyPortList(list: PortList): boolean {
  return list.ports.length === 0 && !list.other;
}

function* zipSlices<A, B, C>(
  a: readonly PortSlice<A>[],
  b: readonly PortSlice<B>[],
  combine: (a: A, b: B) => C,
): Generator<PortSlice<C>, void> {
  let [i, j, from] = [0, 0, 1];
  for (;;) {
    const [left, right] = [a[i], b[j]];
    if (left === undefined || right === undefined) return;
    const to = Math.min(left.to, right.to);
    yield { from, to, value: combine(left.value, right.value) };
    from = to + 1;
    if (left.to === to) i += 1;
    if (right.to === to) j += 1;
  }
}

function joinSlices<T>(slices: Iterable<PortSlice<T>>, same: (a: T, b: T) => boolean): PortSlice<T>[] {
  const joined: PortSlice<T>[] = [];
  for (const slice of slices) {
    const previous = joined.at(-1);
    if (previous !== undefined && same(previous.value, slice.value)) {
      joined[joined.length - 1] = { ...previous, to: slice.to };
    } else joined.push(slice);
  }
  return joined;
}
