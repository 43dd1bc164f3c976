import type { PodBinding } from '../model/binding.ts';
import type { Flow, FlowEnd } from '../model/flow.ts';
import type { IpFamily } from '../model/ip.ts';
import { parseIp } from '../model/ip.ts';
import { nodeName, podKey } from '../model/names.ts';
import type { NodeName, PodKey } from '../model/names.ts';
import type { ClusterSnapshot } from '../model/snapshot.ts';
import { toEnd } from './ends.ts';
import type { Directory } from './ends.ts';
import type { EndRef, FlowStep } from './explanation.ts';

/** Where the flows of steps are looked up. */
export interface FlowPlace {
  readonly snapshot: ClusterSnapshot;
  readonly directory: Directory;
  readonly node: NodeName;
  /** Pods that surely hang on the node, whatever their object says. */
  readonly bindings: ReadonlyMap<PodKey, PodBinding>;
}

/** The packet of a step, as the node would see it; `undefined` if an end has no address or the step has no port. */
export function flowOf(place: FlowPlace, step: FlowStep): Flow | undefined {
  const { family, protocol, port } = legOf(place, step);
  if (family === null || (port === undefined && protocol !== 'ICMP')) return undefined;
  const from = endOf(place, legOf(place, step).from, family);
  const to = endOf(place, legOf(place, step).to, family);
  if (from === undefined || to === undefined) return undefined;
  return { from, to, family, protocol, ...(port === undefined ? {} : { port }) };
}

/** Where a node on the way changes an address, the node of the source sees the packet leave, every other one arrive. */
function legOf(
  { snapshot, node }: FlowPlace,
  step: FlowStep,
): Pick<FlowStep, 'from' | 'to' | 'protocol' | 'port' | 'family'> {
  const { legs, from, ...rest } = step;
  if (legs === undefined) return step;
  const source = from.kind === 'Pod' ? snapshot.pods.get(podKey(from.namespace, from.name)) : undefined;
  if (source?.node !== node) return { ...rest, from: legs.from };
  const { protocol, family } = rest;
  return { from, to: legs.to, protocol, family, ...(legs.port === undefined ? {} : { port: legs.port }) };
}

/** The nodes of pods at the ends of a step. */
export function nodesOf({ snapshot }: Pick<FlowPlace, 'snapshot'>, step: FlowStep): readonly NodeName[] {
  return [step.from, step.to].flatMap((ref) => {
    const pod = ref.kind === 'Pod' ? snapshot.pods.get(podKey(ref.namespace, ref.name)) : undefined;
    return pod?.node === undefined ? [] : [pod.node];
  });
}

function endOf({ snapshot, directory, node, bindings }: FlowPlace, ref: EndRef, family: IpFamily): FlowEnd | undefined {
  switch (ref.kind) {
    case 'Pod': {
      const pod = snapshot.pods.get(podKey(ref.namespace, ref.name));
      if (pod === undefined) return undefined;
      const end = toEnd(directory.podParty(pod), family);
      if (end?.kind !== 'pod') return end;
      if (end.address === undefined) return undefined;
      return bindings.has(pod.key) ? { ...end, pod: { ...pod, node } } : end;
    }
    case 'Node': {
      const found = snapshot.nodes.get(nodeName(ref.name));
      const party = found && { kind: 'node' as const, name: found.name, addresses: found.addresses };
      return party === undefined ? undefined : toEnd(party, family);
    }
    case 'Address': {
      const address = parseIp(ref.address);
      return address === undefined ? undefined : toEnd(directory.addressParty(address), family);
    }
    case 'Block':
    case 'Service':
    case 'Deployment':
    case 'StatefulSet':
    case 'DaemonSet':
    case 'ReplicaSet':
    case 'Job':
    case 'CronJob':
      return undefined;
  }
}
