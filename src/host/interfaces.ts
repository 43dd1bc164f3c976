import type { Attachment, PodBinding } from '../model/binding.ts';
import { isPoliced } from '../model/endpoint.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { IpAddress } from '../model/ip.ts';
import { compareText } from '../model/names.ts';
import type { PodKey } from '../model/names.ts';
import { gatherEvidence, indexFacts } from './evidence.ts';
import type { Evidence, FactIndex } from './evidence.ts';
import type { HostFacts } from './facts.ts';
import { bridgeOfPort, uplinkReason } from './uplinks.ts';

/** Why a pod has no binding. Such a pod stays closed: only its node can talk to it. */
export type InterfaceProblemCode =
  /** Not attached yet, as far as anybody knows. Normal for a pod that is starting. */
  | 'pod-without-address'
  | 'pod-interface-missing'
  /** macvlan, ipvlan, SR-IOV: there is no interface on the node where packets could be judged. */
  | 'pod-interface-unsupported'
  | 'pod-interface-unconfirmed'
  | 'pod-interface-contradiction'
  | 'pod-interface-shared'
  | 'pod-interface-uplink'
  | 'pod-address-shared'
  | 'pod-mac-unknown';

/** A pod that stays closed, why, and what to do. */
export interface InterfaceProblem {
  readonly code: InterfaceProblemCode;
  readonly pod: PodKey;
  readonly uid: string;
  readonly message: string;
  readonly help: string;
  /** What each source said. */
  readonly evidence: readonly Evidence[];
}

/** Bindings and problems, each sorted by pod; every given pod that policy can select is in exactly one of them. */
export interface BindingResult {
  readonly bindings: readonly PodBinding[];
  readonly problems: readonly InterfaceProblem[];
}

type Found = { readonly binding: PodBinding; readonly evidence: readonly Evidence[] };

/**
 * Decides which host interface is surely whose. `pods` are the pods of this node; those that policy cannot select are skipped.
 * Pods that claim one address, or that lead to one interface, all stay closed: decide claims before calling (semantics 49).
 */
export function bindInterfaces(pods: readonly Endpoint[], facts: HostFacts): BindingResult {
  const index = indexFacts(facts);
  const policed = pods.filter((pod) => isPoliced(pod));
  const claims = Map.groupBy(
    policed.flatMap((pod) => pod.addresses.map((address) => ({ pod, address }))),
    ({ address }) => address,
  );
  const found: Found[] = [];
  const problems: InterfaceProblem[] = [];
  for (const pod of policed) {
    const evidence = gatherEvidence(index, pod);
    const rivals = pod.addresses.flatMap((address) => claims.get(address) ?? []).filter((claim) => claim.pod !== pod);
    const result =
      rivals.length > 0
        ? sharedAddress(pod, evidence, rivals.map((rival) => `${rival.pod.key} (${rival.address})`).join(', '))
        : decide(index, pod, evidence);
    if ('binding' in result) found.push(result);
    else problems.push(result);
  }
  const bindings: PodBinding[] = [];
  for (const group of Map.groupBy(found, ({ binding }) => binding.interface).values()) {
    for (const one of group) {
      const others = group.filter((other) => other !== one).map(({ binding }) => binding.pod);
      if (others.length === 0) bindings.push(one.binding);
      else problems.push(sharedInterface(one, others));
    }
  }
  bindings.sort((a, b) => compareText(a.pod, b.pod));
  problems.sort((a, b) => compareText(a.pod, b.pod));
  return { bindings, problems };
}

function decide(index: FactIndex, pod: Endpoint, evidence: readonly Evidence[]): Found | InterfaceProblem {
  const problem = problemFor(pod, evidence);
  if (evidence.length === 0) return withoutEvidence(index, pod);
  const [first, ...rest] = evidence;
  const agreed = (first?.interfaces ?? []).filter((name) => rest.every(({ interfaces }) => interfaces.includes(name)));
  const [name] = agreed;
  if (name === undefined || agreed.length > 1 || evidence.some(({ divided }) => divided === true)) {
    return problem(
      'pod-interface-contradiction',
      `its interface is not certain: ${spell(evidence)}`,
      'Restart the pod. If it happens again, look for two pods or namespaces that claim one address.',
    );
  }
  if (evidence.every(({ source }) => source === 'computed-name')) {
    return problem(
      'pod-interface-unconfirmed',
      `${name} has the name its interface would have, but no route, result cache or namespace confirms it`,
      'Wait for its address; if it has one, check that the node has a route to it.',
    );
  }
  const given = evidence.flatMap((one) => one.addresses ?? []);
  const stranger = given.length === 0 ? undefined : pod.addresses.find((address) => !given.includes(address));
  if (stranger !== undefined) {
    return problem(
      'pod-interface-contradiction',
      `the API names the address ${stranger}, but the network plugin gave it ${given.join(', ')}`,
      'Restart the pod. Pods are policed on their primary interface only.',
    );
  }
  return attach(index, pod, evidence, name, [...new Set([...pod.addresses, ...given])]);
}

function attach(
  index: FactIndex,
  pod: Endpoint,
  evidence: readonly Evidence[],
  name: string,
  addresses: readonly IpAddress[],
): Found | InterfaceProblem {
  const problem = problemFor(pod, evidence);
  const link = index.links.get(name);
  if (link?.kind !== 'veth') {
    return problem(
      'pod-interface-unsupported',
      `its interface ${name} is ${link === undefined ? 'not there' : `a ${link.kind ?? 'physical interface'}`}, not a veth`,
      'Use a network plugin that attaches pods by veth, or exclude the pod from enforcement.',
    );
  }
  const bridge = bridgeOfPort(index.facts.links, link);
  if (link.master !== undefined && bridge === undefined) {
    return problem(
      'pod-interface-unsupported',
      `its interface ${name} belongs to ${link.master}, which is not a Linux bridge`,
      'Use a network plugin that routes pods or attaches them to a Linux bridge.',
    );
  }
  const uplink = bridge === undefined ? uplinkReason(index.facts, link) : undefined;
  if (uplink !== undefined) {
    return problem(
      'pod-interface-uplink',
      `${name} cannot be its interface: ${uplink}`,
      'Check the routes of the node: a pod must not be reached through an uplink.',
    );
  }
  if (addresses.length === 0) return withoutEvidence(index, pod);
  const mac = evidence.find((one) => one.mac !== undefined)?.mac;
  if (bridge !== undefined && mac === undefined) {
    return problem(
      'pod-mac-unknown',
      `${name} is a port of ${bridge.name}, and no source knows the MAC address inside the pod`,
      'Give the agent read access to the CNI result cache.',
    );
  }
  const attachment: Attachment = bridge === undefined ? { kind: 'routed' } : { kind: 'bridged', bridge: bridge.name };
  const binding: PodBinding = {
    pod: pod.key,
    uid: pod.uid,
    interface: name,
    ...(mac === undefined ? {} : { mac }),
    addresses,
    attachment,
  };
  return { binding, evidence };
}

function withoutEvidence(index: FactIndex, pod: Endpoint): InterfaceProblem {
  const problem = problemFor(pod, []);
  if (pod.addresses.length === 0) {
    return problem('pod-without-address', 'it has no address yet', 'Nothing: it is bound as soon as it has one.');
  }
  const insides = pod.addresses.flatMap((address) => index.insides.get(address) ?? []);
  const inside = insides.find(({ link }) => link.kind !== undefined && link.kind !== 'veth');
  if (inside !== undefined && insides.every(({ link }) => link.kind !== 'veth')) {
    return problem(
      'pod-interface-unsupported',
      `inside, its interface ${inside.link.name} is a ${inside.link.kind ?? ''}: it has no end on the node where packets can be judged`,
      'Use a network plugin that attaches pods by veth.',
    );
  }
  return problem(
    'pod-interface-missing',
    `nothing on the node leads to ${pod.addresses.join(', ')}: no result of the network plugin, route, namespace or forwarding entry`,
    'Check that the pod runs on this node and that the agent sees the CNI result cache.',
  );
}

function sharedAddress(pod: Endpoint, evidence: readonly Evidence[], rivals: string): InterfaceProblem {
  const help = 'Delete the pod that should not have it. If none looks wrong, the IPAM gave one address twice.';
  return problemFor(pod, evidence)(
    'pod-address-shared',
    `it claims an address that another live pod claims too: ${rivals}`,
    help,
  );
}

function sharedInterface({ binding, evidence }: Found, others: readonly PodKey[]): InterfaceProblem {
  return {
    code: 'pod-interface-shared',
    pod: binding.pod,
    uid: binding.uid,
    message: `pod ${binding.pod} stays closed: ${binding.interface} also belongs to ${others.join(', ')}, as far as can be seen`,
    help: 'Restart these pods: one interface serves one pod.',
    evidence,
  };
}

function problemFor(
  pod: Endpoint,
  evidence: readonly Evidence[],
): (code: InterfaceProblemCode, what: string, help: string) => InterfaceProblem {
  return (code, what, help) => ({
    code,
    pod: pod.key,
    uid: pod.uid,
    message: `pod ${pod.key} stays closed: ${what}`,
    help,
    evidence,
  });
}

function spell(evidence: readonly Evidence[]): string {
  return evidence.map(({ source, interfaces }) => `${source} says ${interfaces.join(' or ')}`).join(', ');
}
