import { cidrInterval } from '../model/cidr.ts';
import { subtractIntervals, uniteIntervals } from '../model/interval.ts';
import type { AddressInterval } from '../model/interval.ts';
import { formatIp } from '../model/ip.ts';
import type { IpFamily } from '../model/ip.ts';
import type { IpBlock } from '../model/policy.ts';
import { protocols } from '../model/port.ts';
import type { PortSet } from './port-set.ts';

/** Blocks with the ports they admit. */
export interface BlockRule {
  readonly ports: PortSet;
  readonly blocks: readonly IpBlock[];
}

/** The elements of concatenated interval sets that admit the same packets as the rules do. */
export interface BlockElements {
  /** `addresses . protocol . ports`. */
  readonly withPorts: readonly string[];
  /** `addresses . ipv4`: any protocol. The second field is there because single-field interval sets are banned. */
  readonly anyPort: readonly string[];
}

/** Beyond this many blocks, counted again for every slice of ports they lie in, rules are not cut into boxes. */
export const maxBoxes = 65_536;

/**
 * Exact set algebra: overlapping elements are refused by the kernel (EEXIST), so the union of all blocks is cut into
 * disjoint boxes. Exceptions are taken out of their own block before the union (semantics 30).
 *
 * Boxes can be as many as rules times rules: `undefined` when they become too many (see {@link maxBoxes}).
 */
export function blockElements(rules: readonly BlockRule[], family: IpFamily): BlockElements | undefined {
  const open = rules.filter(({ ports }) => ports.kind === 'any').flatMap(({ blocks }) => blocks);
  const withPorts: string[] = [];
  let left = maxBoxes;
  for (const protocol of protocols) {
    const { slices, work } = portSlices(rules, protocol, family, left);
    if (slices === undefined) return undefined;
    left -= work;
    for (const { from, to, blocks } of slices) {
      const ports = from === to ? `${from}` : `${from}-${to}`;
      for (const interval of blocks)
        withPorts.push(`${formatInterval(family, interval)} . ${protocol.toLowerCase()} . ${ports}`);
    }
  }
  return { withPorts, anyPort: addressElements(open, family) };
}

/** The elements of a set of the addresses in any of the blocks, for any protocol. */
export function addressElements(blocks: readonly IpBlock[], family: IpFamily): readonly string[] {
  const intervals = uniteIntervals(addresses(blocks, family));
  return intervals.map((interval) => `${formatInterval(family, interval)} . ${family.toLowerCase()}`);
}

interface Slice {
  readonly from: number;
  readonly to: number;
  readonly blocks: readonly AddressInterval[];
}

/**
 * Cuts the port space where any rule begins or ends, and unites the blocks of each slice; equal neighbours are joined.
 * No slices when more than `limit` blocks would have to be looked at, those of several slices counted for each.
 */
function portSlices(
  rules: readonly BlockRule[],
  protocol: string,
  family: IpFamily,
  limit: number,
): { readonly slices: readonly Slice[] | undefined; readonly work: number } {
  const ranges = rules.flatMap((rule) => {
    if (rule.ports.kind === 'any') return [];
    const intervals = rule.ports.numbers.find((ports) => ports.protocol === protocol)?.intervals ?? [];
    const blocks = intervals.length === 0 ? [] : addresses(rule.blocks, family);
    return intervals.map(({ from, to }) => ({ from, to, blocks }));
  });
  const begins = Map.groupBy(ranges, ({ from }) => from);
  const ends = Map.groupBy(ranges, ({ to }) => to + 1);
  const cuts = [...new Set([...begins.keys(), ...ends.keys()])].sort((a, b) => a - b);
  const open = new Set<(typeof ranges)[number]>();
  const slices: Slice[] = [];
  let openBlocks = 0;
  let work = 0;
  for (let i = 0; i + 1 < cuts.length; i++) {
    const [from, next] = [cuts[i] ?? 0, cuts[i + 1] ?? 0];
    for (const range of ends.get(from) ?? []) if (open.delete(range)) openBlocks -= range.blocks.length;
    for (const range of begins.get(from) ?? []) {
      open.add(range);
      openBlocks += range.blocks.length;
    }
    work += openBlocks;
    if (work > limit) return { slices: undefined, work };
    const blocks = uniteIntervals([...open].flatMap((range) => range.blocks));
    if (blocks.length === 0) continue;
    const previous = slices.at(-1);
    if (previous !== undefined && previous.to + 1 === from && sameIntervals(previous.blocks, blocks)) {
      slices[slices.length - 1] = { ...previous, to: next - 1 };
    } else {
      slices.push({ from, to: next - 1, blocks });
    }
  }
  return { slices, work };
}

function addresses(blocks: readonly IpBlock[], family: IpFamily): AddressInterval[] {
  return blocks
    .filter(({ cidr }) => cidr.family === family)
    .flatMap(({ cidr, except }) =>
      subtractIntervals(
        cidrInterval(cidr),
        except.map((hole) => cidrInterval(hole.cidr)),
      ),
    );
}

function sameIntervals(a: readonly AddressInterval[], b: readonly AddressInterval[]): boolean {
  return a.length === b.length && a.every(({ first, last }, i) => first === b[i]?.first && last === b[i].last);
}

function formatInterval(family: IpFamily, { first, last }: AddressInterval): string {
  return first === last ? formatIp(family, first) : `${formatIp(family, first)}-${formatIp(family, last)}`;
}
