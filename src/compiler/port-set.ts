import type { NamedPort, PortMatch, Protocol } from '../model/port.ts';
import { protocols } from '../model/port.ts';

/** An inclusive range of port numbers; 0 to 65535 is every port of a protocol. */
export interface PortInterval {
  readonly from: number;
  readonly to: number;
}

/** Ports of one protocol: sorted, disjoint, neighbours joined. */
export interface ProtocolPorts {
  readonly protocol: Protocol;
  readonly intervals: readonly PortInterval[];
}

/** A port name that stands for numbers of the destination pod, so it is resolved per peer. */
export interface PortName {
  readonly protocol: Protocol;
  readonly name: string;
}

/** Which ports a rule admits. `any` is every port of every protocol, ICMP included (semantics 16). */
export type PortSet =
  | { readonly kind: 'any' }
  | { readonly kind: 'some'; readonly numbers: readonly ProtocolPorts[]; readonly names: readonly PortName[] };

/** Every port of a protocol. */
export const wholeProtocol: PortInterval = { from: 0, to: 65535 };

/**
 * The ports of a rule as numbers. Names are looked up in `namedPorts` where the destination is one known pod
 * (ingress: the subject), and kept where each peer has its own (egress: `namedPorts` absent) (semantics 39).
 */
export function toPortSet(ports: 'any' | readonly PortMatch[], namedPorts?: readonly NamedPort[]): PortSet {
  if (ports === 'any') return { kind: 'any' };
  const intervals = new Map<Protocol, PortInterval[]>(protocols.map((protocol) => [protocol, []]));
  const names = new Map<string, PortName>();
  for (const port of ports) {
    if (port.kind === 'invalid') continue;
    const list = intervals.get(port.protocol) ?? [];
    if (port.kind === 'protocol') list.push(wholeProtocol);
    else if (port.kind === 'range') list.push({ from: port.from, to: port.to });
    else if (namedPorts === undefined)
      names.set(`${port.protocol}/${port.name}`, { protocol: port.protocol, name: port.name });
    else {
      for (const declared of namedPorts) {
        if (declared.name === port.name && declared.protocol === port.protocol) {
          list.push({ from: declared.port, to: declared.port });
        }
      }
    }
  }
  return makePortSet(intervals, names.values());
}

/** The union of two port sets. */
export function unitePortSets(a: PortSet, b: PortSet): PortSet {
  if (a.kind === 'any') return a;
  if (b.kind === 'any') return b;
  const intervals = new Map<Protocol, PortInterval[]>();
  for (const { protocol, intervals: list } of [...a.numbers, ...b.numbers]) {
    intervals.set(protocol, [...(intervals.get(protocol) ?? []), ...list]);
  }
  const names = new Map([...a.names, ...b.names].map((name) => [`${name.protocol}/${name.name}`, name]));
  return makePortSet(intervals, names.values());
}

/** Equal texts for equal sets. */
export function portSetKey(ports: PortSet): string {
  if (ports.kind === 'any') return 'any';
  const numbers = ports.numbers.map(
    ({ protocol, intervals }) => `${protocol}:${intervals.map(({ from, to }) => `${from}-${to}`).join(',')}`,
  );
  return [...numbers, ...ports.names.map(({ protocol, name }) => `${protocol}:"${name}"`)].join(' ');
}

/** Whether nothing can match: a rule with such ports admits nothing. */
export function isEmptyPortSet(ports: PortSet): boolean {
  return ports.kind === 'some' && ports.numbers.length === 0 && ports.names.length === 0;
}

/** Whether an interval holds exactly one port. */
export function isSinglePort({ from, to }: PortInterval): boolean {
  return from === to;
}

/** Whether an interval is a whole protocol. */
export function isWholeProtocol({ from, to }: PortInterval): boolean {
  return from === 0 && to === 65535;
}

function makePortSet(intervals: ReadonlyMap<Protocol, readonly PortInterval[]>, names: Iterable<PortName>): PortSet {
  const numbers: ProtocolPorts[] = [];
  for (const protocol of protocols) {
    const united = uniteIntervals(intervals.get(protocol) ?? []);
    if (united.length > 0) numbers.push({ protocol, intervals: united });
  }
  const rest = [...names].filter(({ protocol }) => !coversProtocol(numbers, protocol));
  rest.sort((a, b) => (`${a.protocol}/${a.name}` < `${b.protocol}/${b.name}` ? -1 : 1));
  return { kind: 'some', numbers, names: rest };
}

function coversProtocol(numbers: readonly ProtocolPorts[], protocol: Protocol): boolean {
  return numbers.some((ports) => ports.protocol === protocol && ports.intervals.some(isWholeProtocol));
}

function uniteIntervals(intervals: readonly PortInterval[]): PortInterval[] {
  const united: { from: number; to: number }[] = [];
  for (const { from, to } of [...intervals].sort((a, b) => a.from - b.from)) {
    const previous = united.at(-1);
    if (previous !== undefined && from <= previous.to + 1) previous.to = Math.max(previous.to, to);
    else united.push({ from, to });
  }
  return united;
}
