import { isFinished } from '../model/endpoint.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { parseIp } from '../model/ip.ts';
import { podKey } from '../model/names.ts';
import type { Service, ServicePort } from '../model/service.ts';
import { podMember } from './locate.ts';
import type { Member, World } from './locate.ts';
import { templateMembers } from './template-members.ts';

/** One endpoint of a Service port: where packets go after translation. */
export interface ServiceEndpoint {
  readonly member: Member;
  readonly port: number;
}

/** The endpoints of one Service port. */
export interface ServiceEndpoints {
  readonly ready: readonly ServiceEndpoint[];
  /** Selected, but not ready, or without the named port. */
  readonly left: readonly string[];
  readonly from: 'slices' | 'selector' | 'nobody';
}

/** Finds endpoints: from EndpointSlices if there are any of the Service, else from its selector; workloads stand for pods that are not there. */
export function serviceEndpoints(world: World, service: Service, port: ServicePort): ServiceEndpoints {
  const slices = world.cluster.others.filter(({ raw }) => isSliceOf(raw, service));
  if (slices.length > 0)
    return fromSlices(
      world,
      slices.map(({ raw }) => raw),
      service,
      port,
    );
  if (service.selector === undefined) return { ready: [], left: [], from: 'nobody' };
  const ready: ServiceEndpoint[] = [];
  const left: string[] = [];
  const wanted = [...service.selector];
  const publishNotReady = part(part(world.cluster.written(service)?.raw, 'spec'), 'publishNotReadyAddresses') === true;
  for (const pod of [...world.cluster.snapshot.pods.values()].sort((a, b) => (a.key < b.key ? -1 : 1))) {
    if (pod.namespace !== service.namespace || isFinished(pod)) continue;
    if (!wanted.every(([key, value]) => pod.labels.get(key) === value)) continue;
    const number = targetNumber(pod, port);
    const member = podMember(world, pod);
    if (number === undefined) left.push(`${pod.name} has no port named "${port.targetPort}"`);
    else if (!publishNotReady && !isReady(world, pod)) left.push(`${pod.name} is not ready`);
    else if (!member.ok) left.push(member.error);
    else ready.push({ member: member.value, port: number });
  }
  if (ready.length === 0 && left.length === 0) {
    for (const member of templateMembers(world, service.namespace)) {
      const { party } = member;
      if (party.kind !== 'pod' || !wanted.every(([key, value]) => party.pod.labels.get(key) === value)) continue;
      const number = targetNumber(party.pod, port);
      if (number === undefined) left.push(`${party.pod.name} has no port named "${port.targetPort}"`);
      else ready.push({ member, port: number });
    }
  }
  return { ready, left, from: 'selector' };
}

/** The number a target port means on a pod. */
function targetNumber(pod: Endpoint, { targetPort, protocol }: ServicePort): number | undefined {
  if (typeof targetPort === 'number') return targetPort;
  return pod.namedPorts.find((named) => named.name === targetPort && named.protocol === protocol)?.port;
}

/** A pod whose status says nothing about readiness counts as ready, unless it has not started. */
function isReady({ cluster }: World, pod: Endpoint): boolean {
  if (pod.terminating || pod.phase === 'Pending') return false;
  const conditions = part(part(cluster.written(pod)?.raw, 'status'), 'conditions');
  if (!Array.isArray(conditions)) return true;
  return !conditions.some((condition) => part(condition, 'type') === 'Ready' && part(condition, 'status') === 'False');
}

function isSliceOf(raw: unknown, service: Service): boolean {
  const metadata = part(raw, 'metadata');
  return (
    part(raw, 'kind') === 'EndpointSlice' &&
    (part(metadata, 'namespace') ?? 'default') === service.namespace &&
    part(part(metadata, 'labels'), 'kubernetes.io/service-name') === service.name
  );
}

function fromSlices(world: World, slices: readonly unknown[], service: Service, port: ServicePort): ServiceEndpoints {
  const ready = new Map<string, ServiceEndpoint>();
  const left: string[] = [];
  for (const slice of slices) {
    const ports = list(part(slice, 'ports'));
    const match = ports.find(
      (entry) =>
        (part(entry, 'name') ?? '') === (port.name ?? '') && (part(entry, 'protocol') ?? 'TCP') === port.protocol,
    );
    const number = part(match, 'port');
    if (typeof number !== 'number') continue;
    for (const endpoint of list(part(slice, 'endpoints'))) {
      const [text] = list(part(endpoint, 'addresses'));
      const address = typeof text === 'string' ? parseIp(text) : undefined;
      const target = part(endpoint, 'targetRef');
      const pod =
        part(target, 'kind') === 'Pod'
          ? world.cluster.snapshot.pods.get(
              podKey(textOf(target, 'namespace') ?? service.namespace, textOf(target, 'name') ?? ''),
            )
          : undefined;
      const name = pod?.name ?? String(text);
      if (part(part(endpoint, 'conditions'), 'ready') === false) left.push(`${name} is not ready`);
      else if (pod !== undefined) {
        const member = podMember(world, pod);
        if (member.ok) ready.set(`${pod.key} ${number}`, { member: member.value, port: number });
      } else if (address !== undefined) {
        const party = world.directory.addressParty(address);
        const ref: Member['ref'] =
          party.kind === 'pod'
            ? { kind: 'Pod', namespace: party.pod.namespace, name: party.pod.name }
            : { kind: 'Address', address };
        ready.set(`${address} ${number}`, { member: { party, ref }, port: number });
      }
    }
  }
  return { ready: [...ready.values()], left, from: 'slices' };
}

function part(raw: unknown, key: string): unknown {
  return typeof raw === 'object' && raw !== null && Object.hasOwn(raw, key)
    ? (raw as Record<string, unknown>)[key]
    : undefined;
}

function textOf(raw: unknown, key: string): string | undefined {
  const value = part(raw, key);
  return typeof value === 'string' ? value : undefined;
}

function list(raw: unknown): readonly unknown[] {
  return Array.isArray(raw) ? (raw as readonly unknown[]) : [];
}
