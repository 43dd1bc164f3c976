import type { Endpoint } from '../model/endpoint.ts';
import type { IpAddress, IpFamily } from '../model/ip.ts';
import type { Protocol } from '../model/port.ts';
import type { PeerSelector } from '../selector/peer-selector.ts';
import { namedPortNumbers } from './evaluate.ts';
import { contentName } from './object-names.ts';
import type { PortName, ProtocolPorts } from './port-set.ts';

/** One port number of a protocol. */
export interface PortNumber {
  readonly protocol: Protocol;
  readonly port: number;
}

/** What a pod of the selector contributes: its address, or its address with fixed ports and ports it declares by name. */
export interface SetPart {
  readonly selector: PeerSelector;
  readonly numbers: readonly PortNumber[];
  readonly names: readonly PortName[];
}

/**
 * A set defined by what it holds: members of selectors, or fixed intervals of blocks. Its name is a digest of the
 * definition, so pods with equal rules share it and it never changes its meaning.
 */
export interface SetSpec {
  readonly name: string;
  /** Of the addresses in it; without meaning for a set that holds none. */
  readonly family: IpFamily;
  readonly type: readonly string[];
  /** Members are addresses alone (`false`) or `address . protocol . port`. */
  readonly withPorts: boolean;
  readonly parts: readonly SetPart[];
  /** Elements that depend on no pod; only then `interval` is true. */
  readonly fixed: readonly string[];
  readonly interval: boolean;
}

/** The nft type of an address of the family. */
export function addressType(family: IpFamily): 'ipv4_addr' | 'ipv6_addr' {
  return family === 'IPv4' ? 'ipv4_addr' : 'ipv6_addr';
}

/** The set of addresses of pods matching any of the selectors. */
export function peersSpec(selectors: readonly PeerSelector[], family: IpFamily): SetSpec {
  const parts = selectors.map((selector) => ({ selector, numbers: [], names: [] }));
  const canonical = selectors.map(({ canonical }) => canonical).join('\n');
  return {
    name: contentName('peers', selectorWords(selectors), canonical, family),
    family,
    type: [addressType(family)],
    withPorts: false,
    parts,
    fixed: [],
    interval: false,
  };
}

/** The set of `address . protocol . port` of pods with fixed ports and ports they declare by name. */
export function portsSpec(kind: 'flat' | 'named', parts: readonly SetPart[], family: IpFamily): SetSpec {
  const words = kind === 'named' ? parts.flatMap(({ names }) => names.map(({ name }) => name)) : [];
  return {
    name: contentName(
      kind,
      [...new Set([...words, ...selectorWords(parts.map(({ selector }) => selector))])],
      partsKey(parts),
      family,
    ),
    family,
    type: [addressType(family), 'inet_proto', 'inet_service'],
    withPorts: true,
    parts,
    fixed: [],
    interval: false,
  };
}

/** A set of disjoint intervals of addresses, with protocols and ports or for any of them. */
export function intervalSpec(fixed: readonly string[], withPorts: boolean, family: IpFamily): SetSpec {
  const type = withPorts ? [addressType(family), 'inet_proto', 'inet_service'] : [addressType(family), 'nf_proto'];
  return {
    name: contentName('blocks', [], `${type.join('.')}\n${fixed.join('\n')}`, family),
    family,
    type,
    withPorts,
    parts: [],
    fixed,
    interval: true,
  };
}

/** The set of `protocol . ports` of a rule with many port entries; the same in both families. */
export function portNumbersSpec(ports: readonly ProtocolPorts[]): SetSpec {
  const fixed = ports.flatMap(({ protocol, intervals }) =>
    intervals.map(({ from, to }) => `${protocol.toLowerCase()} . ${from === to ? from : `${from}-${to}`}`),
  );
  return {
    name: contentName('ports', [], fixed.join('\n')),
    family: 'IPv4',
    type: ['inet_proto', 'inet_service'],
    withPorts: false,
    parts: [],
    fixed,
    interval: true,
  };
}

/** Elements one pod contributes to a part at one of its addresses. */
export function partElements(part: SetPart, withPorts: boolean, pod: Endpoint, address: IpAddress): readonly string[] {
  if (!withPorts) return [address];
  const elements = part.numbers.map(({ protocol, port }) => portElement(address, protocol, port));
  for (const { protocol, name } of part.names) {
    for (const port of namedPortNumbers(pod, name, protocol)) elements.push(portElement(address, protocol, port));
  }
  return elements;
}

function portElement(address: IpAddress, protocol: Protocol, port: number): string {
  // One flat text: a template keeps its pieces, and there may be hundreds of thousands.
  return [address, protocol.toLowerCase(), port].join(' . ');
}

function partsKey(parts: readonly SetPart[]): string {
  return JSON.stringify(
    parts.map(({ selector, numbers, names }) => [
      selector.canonical,
      numbers.map(({ protocol, port }) => `${protocol}/${port}`),
      names.map(({ protocol, name }) => `${protocol}/${name}`),
    ]),
  );
}

function selectorWords(selectors: readonly PeerSelector[]): string[] {
  const words = selectors.flatMap(({ namespaces, pods }) => [
    ...(namespaces.kind === 'name' ? [namespaces.name] : namespaces.selector.requirements.flatMap(requirementWords)),
    ...pods.requirements.flatMap(requirementWords),
  ]);
  return words.length === 0 ? ['all'] : [...new Set(words)];
}

function requirementWords({ key, operator, values }: PeerSelector['pods']['requirements'][number]): readonly string[] {
  const short = key.slice(key.lastIndexOf('/') + 1);
  switch (operator) {
    case 'In':
      return values;
    case 'NotIn':
      return ['not', ...values];
    case 'Exists':
      return [short];
    case 'DoesNotExist':
      return ['no', short];
  }
}
