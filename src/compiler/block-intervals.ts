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

/**
 * Exact set algebra: overlapping elements are refused by the kernel (EEXIST), so the union of all blocks is cut into
 * disjoint boxes. Exceptions are taken out of their own block before the union (semantics 30).
 */
export function blockElements(rules: readonly BlockRule[], family: IpFamily): BlockElements {
  const anyPort = uniteIntervals(
    rules.filter(({ ports }) => ports.kind === 'any').flatMap((rule) => addresses(rule, family)),
  );
  const withPorts: string[] = [];
  for (const protocol of protocols) {
    for (const { from, to, blocks } of portSlices(rules, protocol, family)) {
      const ports = from === to ? `${from}` : `${from}-${to}`;
      for (const interval of blocks)
        withPorts.push(`${formatInterval(family, interval)} . ${protocol.toLowerCase()} . ${ports}`);
    }
  }
  return {
    withPorts,
    anyPort: anyPort.map((interval) => `${formatInterval(family, interval)} . ${family.toLowerCase()}`),
  };
}

interface Slice {
  readonly from: number;
  readonly to: number;
  readonly blocks: readonly AddressInterval[];
}

/** Cuts the port space where any rule begins or ends, and unites the blocks of each slice; equal neighbours are joined. */
function portSlices(rules: readonly BlockRule[], protocol: string, family: IpFamily): Slice[] {
  const ranges = rules.flatMap((rule) => {
    if (rule.ports.kind === 'any') return [];
    const intervals = rule.ports.numbers.find((ports) => ports.protocol === protocol)?.intervals ?? [];
    const blocks = intervals.length === 0 ? [] : addresses(rule, family);
    return intervals.map(({ from, to }) => ({ from, to, blocks }));
  });
  const cuts = [...new Set(ranges.flatMap(({ from, to }) => [from, to + 1]))].sort((a, b) => a - b);
  const slices: Slice[] = [];
  for (let i = 0; i + 1 < cuts.length; i++) {
    const [from, next] = [cuts[i] ?? 0, cuts[i + 1] ?? 0];
    const blocks = uniteIntervals(
      ranges.filter((range) => range.from <= from && from <= range.to).flatMap((range) => range.blocks),
    );
    if (blocks.length === 0) continue;
    const previous = slices.at(-1);
    if (previous !== undefined && previous.to + 1 === from && sameIntervals(previous.blocks, blocks)) {
      slices[slices.length - 1] = { ...previous, to: next - 1 };
    } else {
      slices.push({ from, to: next - 1, blocks });
    }
  }
  return slices;
}

function addresses(rule: BlockRule, family: IpFamily): AddressInterval[] {
  return rule.blocks
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
