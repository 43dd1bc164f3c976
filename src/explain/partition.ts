import type { Judge } from '../compiler/judge.ts';
import type { EffectiveSection } from '../compiler/effective-policy.ts';
import { cidrInterval } from '../model/cidr.ts';
import type { Cidr } from '../model/cidr.ts';
import type { FlowEnd, FlowProtocol } from '../model/flow.ts';
import { formatIp } from '../model/ip.ts';
import type { IpAddress } from '../model/ip.ts';
import { familyBits } from '../model/ip.ts';
import { directions } from '../model/policy.ts';
import type { PortMatch, Protocol } from '../model/port.ts';
import { protocols } from '../model/port.ts';
import { portStarts } from './flow-space.ts';

/** Ports that no rule tells apart: asked once, by their first. */
export interface PortClass {
  readonly protocol: FlowProtocol;
  readonly port: number;
  readonly to: number;
  /** The container declares it. */
  readonly declared: boolean;
  readonly name?: string;
}

/** Cuts the ports of the protocols asked about where rules of either end, or declarations of the destination, do. */
export function portClasses(
  from: FlowEnd,
  to: FlowEnd,
  judge: Judge,
  only: Protocol | undefined,
): readonly PortClass[] {
  const rules: PortMatch[] = [];
  for (const [end, direction] of [
    [from, directions[0]],
    [to, directions[1]],
  ] as const) {
    if (direction === undefined) continue;
    for (const { ports } of rulesOf(judge.effectivePolicy(end)?.[direction])) if (ports !== 'any') rules.push(...ports);
  }
  const destination = to.kind === 'pod' ? to.pod : to.kind === 'node' ? to.hostNetworkPod : undefined;
  const declared = destination?.declaredPorts ?? [];
  const classes: PortClass[] = [];
  const asked = protocols.filter((protocol) =>
    only === undefined ? protocol === 'TCP' || declared.some((port) => port.protocol === protocol) : protocol === only,
  );
  for (const protocol of asked) {
    const mine = declared.filter((port) => port.protocol === protocol);
    const entries: PortMatch[] = mine.map(({ port }) => ({ kind: 'range', index: 0, protocol, from: port, to: port }));
    const starts = portStarts([...rules, ...entries], protocol, destination, undefined);
    for (const [index, start] of starts.entries()) {
      const known = mine.find(({ port }) => port === start);
      classes.push({
        protocol,
        port: start,
        to: (starts[index + 1] ?? 65_536) - 1,
        declared: known !== undefined,
        ...(known?.name === undefined ? {} : { name: known.name }),
      });
    }
  }
  return classes;
}

/** Outside addresses that no rule tells apart. */
export interface AddressClass {
  readonly first: bigint;
  readonly last: bigint;
  /** One of them that nobody in the cluster has. */
  readonly sample: IpAddress;
}

/** Cuts a block where the blocks in the rules of the other end do. Parts that only known addresses fill are left out. */
export function addressClasses(
  block: Cidr,
  sections: readonly (EffectiveSection | undefined)[],
  isKnown: (address: IpAddress) => boolean,
): readonly AddressClass[] {
  const { first, last } = cidrInterval(block);
  const starts = new Set<bigint>([first]);
  for (const section of sections) {
    for (const { peers } of rulesOf(section)) {
      if (peers === 'any') continue;
      for (const peer of peers) {
        if (peer.kind !== 'block') continue;
        for (const cidr of [peer.block.cidr, ...peer.block.except.map((except) => except.cidr)]) {
          if (cidr.family !== block.family) continue;
          for (const start of [cidr.first, cidr.last + 1n]) if (first <= start && start <= last) starts.add(start);
        }
      }
    }
  }
  const sorted = [...starts].sort((a, b) => (a < b ? -1 : 1));
  return sorted.flatMap((start, index) => {
    const end = (sorted[index + 1] ?? last + 1n) - 1n;
    for (let at = start; at <= end && at < start + 65_536n; at++) {
      const sample = formatIp(block.family, at);
      if (!isKnown(sample)) return [{ first: start, last: end, sample }];
    }
    return [];
  });
}

/** An interval of addresses: as a block if it is one. */
export function intervalText(family: Cidr['family'], first: bigint, last: bigint): string {
  const size = last - first + 1n;
  const bits = size.toString(2).length - 1;
  const isBlock = size === 1n << BigInt(bits) && first % size === 0n;
  if (isBlock) return bits === 0 ? formatIp(family, first) : `${formatIp(family, first)}/${familyBits(family) - bits}`;
  return `${formatIp(family, first)}-${formatIp(family, last)}`;
}

function rulesOf(section: EffectiveSection | undefined): EffectiveSection['policies'][number]['rules'] {
  return section?.policies.flatMap(({ rules }) => rules) ?? [];
}
