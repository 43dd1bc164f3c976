import type { Endpoint } from '../model/endpoint.ts';
import { cidrContains } from '../model/cidr.ts';
import type { Cidr } from '../model/cidr.ts';
import type { Flow, FlowEnd, FlowProtocol, PodFact } from '../model/flow.ts';
import { familyBits, familyOf, formatIp, ipFamilies, ipToBigInt } from '../model/ip.ts';
import type { IpAddress, IpFamily } from '../model/ip.ts';
import type { Direction, NetworkPolicy } from '../model/policy.ts';
import { protocols } from '../model/port.ts';
import type { PortMatch, Protocol } from '../model/port.ts';
import type { ClusterSnapshot } from '../model/snapshot.ts';
import { addressOwners } from '../selector/address-owners.ts';

/** Pods that one direction of a namespace's policies cannot tell apart. Never empty. */
export interface PodGroup {
  readonly pods: readonly Endpoint[];
}

/** Everything the rules of one namespace and direction mention. */
export interface Vocabulary {
  readonly subjectKeys: ReadonlySet<string>;
  readonly peerKeys: ReadonlySet<string>;
  readonly blocks: readonly Cidr[];
  readonly ports: readonly PortMatch[];
}

/** Collects what rules mention: the boundaries along which answers can differ. */
export function sectionVocabulary(policies: readonly NetworkPolicy[], direction: Direction): Vocabulary {
  const subjectKeys = new Set<string>();
  const peerKeys = new Set<string>();
  const blocks = new Map<string, Cidr>();
  const ports: PortMatch[] = [];
  for (const policy of policies) {
    for (const { key } of policy.subjects.requirements) subjectKeys.add(key);
    for (const rule of policy[direction].rules) {
      if (rule.ports !== 'any') ports.push(...rule.ports);
      if (rule.peers === 'any') continue;
      for (const peer of rule.peers) {
        if (peer.kind === 'pods') for (const { key } of peer.podSelector?.requirements ?? []) peerKeys.add(key);
        if (peer.kind !== 'block') continue;
        for (const cidr of [peer.block.cidr, ...peer.block.except.map((except) => except.cidr)])
          blocks.set(cidr.text, cidr);
      }
    }
  }
  return { subjectKeys, peerKeys, blocks: [...blocks.values()], ports };
}

/** Groups pods by namespace, the labels under `keys`, declared names, families and the blocks that hold them. */
export function groupPods(
  pods: readonly Endpoint[],
  keys: ReadonlySet<string>,
  blocks: readonly Cidr[],
): readonly PodGroup[] {
  const groups = new Map<string, Endpoint[]>();
  for (const pod of pods) {
    const parts: string[] = [pod.namespace];
    for (const key of keys) parts.push(`${key}=${pod.labels.has(key) ? JSON.stringify(pod.labels.get(key)) : ''}`);
    for (const { name, protocol, port } of pod.namedPorts) parts.push(`${name}/${protocol}/${port}`);
    for (const address of pod.addresses) {
      parts.push(familyOf(address));
      if (blocks.length > 0) parts.push(blocks.map((block) => (cidrContains(block, address) ? '1' : '0')).join(''));
    }
    const group = parts.join(' ');
    const members = groups.get(group);
    if (members === undefined) groups.set(group, [pod]);
    else members.push(pod);
  }
  return [...groups.values()].map((members) => ({ pods: members }));
}

const withoutAddress: ReadonlySet<PodFact> = new Set(['addresses']);

/** A pod as the end of a flow of one family. */
export function endOfPod(pod: Endpoint, family: IpFamily): (FlowEnd & { readonly kind: 'pod' }) | undefined {
  const address = pod.addresses.find((candidate) => familyOf(candidate) === family);
  if (address !== undefined) return { kind: 'pod', pod, address };
  // A pod written by hand has no address yet: selectors decide it all the same, once.
  return pod.addresses.length === 0 && family === 'IPv4' ? { kind: 'pod', pod, unknown: withoutAddress } : undefined;
}

/** One address for every part into which blocks cut the outside, the asked ones included; pods' addresses are left out. */
export function externalEnds(
  snapshot: ClusterSnapshot,
  blocks: readonly Cidr[],
  asked: readonly FlowEnd[],
): readonly { readonly pods: readonly []; readonly end: FlowEnd }[] {
  const owners = addressOwners(snapshot.pods.values());
  const nodes = new Map(
    [...snapshot.nodes.values()].flatMap(({ name, addresses }) => addresses.map((address) => [address, name] as const)),
  );
  const addresses = new Set<IpAddress>();
  for (const family of ipFamilies) {
    const top = (1n << BigInt(familyBits(family))) - 1n;
    const points = new Set<bigint>([family === 'IPv4' ? 0xc6336401n : 0x20010db8n << 96n]);
    for (const { family: of, first, last } of blocks) {
      if (of !== family) continue;
      points.add(first);
      if (last < top) points.add(last + 1n);
    }
    for (const end of asked) {
      if (end.kind === 'pod' || end.address === undefined || familyOf(end.address) !== family) continue;
      const value = ipToBigInt(end.address);
      points.add(value);
      if (value < top) points.add(value + 1n);
    }
    for (const point of points) addresses.add(formatIp(family, point));
  }
  for (const address of nodes.keys()) addresses.add(address);
  return [...addresses]
    .filter((address) => !owners.has(address))
    .map((address) => {
      const node = nodes.get(address);
      return {
        pods: [],
        end: node === undefined ? { kind: 'external', address } : { kind: 'node', name: node, address },
      };
    });
}

/** The first port of every interval that rules, names of the destination and the question tell apart; ICMP once. */
export function portPoints(
  ports: readonly PortMatch[],
  destination: Endpoint | undefined,
  asked: Flow,
): readonly { readonly protocol: FlowProtocol; readonly port?: number }[] {
  const points: { readonly protocol: FlowProtocol; readonly port?: number }[] = [{ protocol: 'ICMP' }];
  for (const protocol of protocols) {
    for (const port of portStarts(ports, protocol, destination, asked.protocol === protocol ? asked.port : undefined)) {
      points.push({ protocol, port });
    }
  }
  return points;
}

/** First ports of the intervals of one protocol, ascending from 1. */
export function portStarts(
  ports: readonly PortMatch[],
  protocol: Protocol,
  destination: Endpoint | undefined,
  asked: number | undefined,
): readonly number[] {
  const starts = new Set<number>([1]);
  const add = (from: number, to: number): void => {
    starts.add(from);
    if (to < 65_535) starts.add(to + 1);
  };
  for (const port of ports) {
    if (port.kind === 'invalid' || port.protocol !== protocol) continue;
    if (port.kind === 'range') add(port.from, port.to);
    if (port.kind !== 'named') continue;
    for (const declared of destination?.namedPorts ?? []) {
      if (declared.name === port.name && declared.protocol === protocol) add(declared.port, declared.port);
    }
  }
  if (asked !== undefined) add(asked, asked);
  return [...starts].sort((a, b) => a - b);
}
