import { contains, isStrictPart, parseBlock } from './address.ts';
import type { Address, Block } from './address.ts';
import { field, isRecord, isRecordOf, items, text } from './raw.ts';
import type { Question, RawObject } from './question.ts';
import { isValidSelector, selectorMatches } from './selector.ts';
import { labelsOfNamespace, namespaceOf } from './world.ts';
import type { Pod, World } from './world.ts';

/** Seen from the pod a policy selects. */
export type Direction = 'ingress' | 'egress';

/** A packet as one rule sees it. */
export interface Packet {
  readonly protocol: Question['protocol'];
  readonly port: number | undefined;
  /** The pod at the other end, if it is one on the pod network. */
  readonly otherPod: Pod | undefined;
  readonly otherAddress: Address;
  /** The pod the packet goes to, if it is one on the pod network. */
  readonly destinationPod: Pod | undefined;
}

/** Whether the policy isolates the pod in this direction (semantics 1-4, 10-12, 86-89). */
export function isolates(policy: RawObject, pod: Pod, direction: Direction): boolean {
  if (namespaceOf(policy) !== pod.namespace) return false;
  const spec = specOf(policy);
  if (!isRecord(spec)) return true;
  const selector = field(spec, 'podSelector') ?? {};
  if (isValidSelector(selector) && !selectorMatches(selector, pod.labels)) return false;
  return namesDirection(spec, direction);
}

/** Whether some rule of the policy admits the packet in this direction (semantics 14). */
export function admits(world: World, policy: RawObject, direction: Direction, packet: Packet): boolean {
  const spec = specOf(policy);
  if (!isRecord(spec) || !isValidSelector(field(spec, 'podSelector') ?? {})) return false;
  const peersField = direction === 'ingress' ? 'from' : 'to';
  return items(field(spec, direction)).some((item) => {
    const rule = item ?? {};
    if (!isRecordOf(rule, [peersField, 'ports'])) return false;
    return (
      oneOf(field(rule, peersField), (peer) => peerMatches(world, namespaceOf(policy), peer, packet)) &&
      oneOf(field(rule, 'ports'), (entry) => portMatches(entry ?? {}, packet))
    );
  });
}

/** Absent and empty lists are no condition (semantics 15, 16); anything that is no list is met by nothing (89). */
function oneOf(list: unknown, matches: (item: unknown) => boolean): boolean {
  if (list === undefined) return true;
  if (!Array.isArray(list)) return false;
  return list.length === 0 || list.some(matches);
}

function specOf(policy: RawObject): unknown {
  return field(policy, 'spec') ?? {};
}

function namesDirection(spec: RawObject, direction: Direction): boolean {
  if (!isRecordOf(spec, ['podSelector', 'policyTypes', 'ingress', 'egress'])) return true;
  const section = field(spec, direction) ?? [];
  if (!Array.isArray(section)) return true;
  const types = field(spec, 'policyTypes') ?? [];
  if (!Array.isArray(types)) return true;
  if (types.length === 0) return direction === 'ingress' || section.length > 0;
  if (types.length > 2 || !types.every((type) => type === 'Ingress' || type === 'Egress')) return true;
  return types.includes(direction === 'ingress' ? 'Ingress' : 'Egress');
}

/** An entry of `from` or `to`; `home` is the policy's namespace (semantics 18-23, 76). */
function peerMatches(world: World, home: string, peer: unknown, packet: Packet): boolean {
  if (!isRecordOf(peer, ['podSelector', 'namespaceSelector', 'ipBlock'])) return false;
  const podSelector = field(peer, 'podSelector');
  const namespaceSelector = field(peer, 'namespaceSelector');
  const ipBlock = field(peer, 'ipBlock');
  if (ipBlock !== undefined) {
    if (podSelector !== undefined || namespaceSelector !== undefined) return false;
    return blockMatches(ipBlock, packet.otherAddress);
  }
  if (podSelector === undefined && namespaceSelector === undefined) return false;
  if (podSelector !== undefined && !isValidSelector(podSelector)) return false;
  if (namespaceSelector !== undefined && !isValidSelector(namespaceSelector)) return false;
  const pod = packet.otherPod;
  if (pod === undefined) return false;
  const inScope =
    namespaceSelector === undefined
      ? pod.namespace === home
      : selectorMatches(namespaceSelector, labelsOfNamespace(world, pod.namespace));
  return inScope && (podSelector === undefined || selectorMatches(podSelector, pod.labels));
}

/** In `cidr` and in no `except` (semantics 29-34, 79). */
function blockMatches(ipBlock: unknown, address: Address): boolean {
  if (!isRecordOf(ipBlock, ['cidr', 'except'])) return false;
  const cidr = parseBlock(text(field(ipBlock, 'cidr')) ?? '');
  const list = field(ipBlock, 'except') ?? [];
  if (cidr === undefined || !Array.isArray(list)) return false;
  const excepts: Block[] = [];
  for (const item of list) {
    const except = parseBlock(text(item) ?? '');
    if (except === undefined || !isStrictPart(except, cidr)) return false;
    excepts.push(except);
  }
  return contains(cidr, address) && !excepts.some((except) => contains(except, address));
}

/** An entry of `ports` (semantics 35-43, 77, 78, 80). */
function portMatches(entry: unknown, packet: Packet): boolean {
  if (!isRecordOf(entry, ['protocol', 'port', 'endPort'])) return false;
  const protocol = field(entry, 'protocol') ?? 'TCP';
  const port = field(entry, 'port');
  const endPort = field(entry, 'endPort');
  if (protocol !== packet.protocol || packet.port === undefined) return false;
  if (port === undefined) return endPort === undefined;
  if (isPortNumber(port)) {
    if (endPort === undefined) return packet.port === port;
    return isPortNumber(endPort) && port <= endPort && port <= packet.port && packet.port <= endPort;
  }
  if (!isPortName(port) || endPort !== undefined) return false;
  const declared = packet.destinationPod?.ports ?? [];
  return declared.some(
    (candidate) => candidate.name === port && candidate.protocol === protocol && candidate.number === packet.port,
  );
}

function isPortNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= 65535;
}

function isPortName(value: unknown): boolean {
  return (
    typeof value === 'string' && value.length <= 15 && /^[a-z0-9]+(-[a-z0-9]+)*$/.test(value) && /[a-z]/.test(value)
  );
}
