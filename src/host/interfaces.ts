import type { Attachment, PodBinding } from '../model/binding.ts';
import { isPoliced } from '../model/endpoint.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { IpAddress } from '../model/ip.ts';
import { compareText } from '../model/names.ts';
import type { PodKey } from '../model/names.ts';
import { gatherEvidence, givenToAnother, indexFacts } from './evidence.ts';
import type { Evidence, FactIndex } from './evidence.ts';
import type { HostFacts } from './facts.ts';
import type { Link } from './links.ts';
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

/** What was decided before, and the links it was decided by. */
export interface LastBindings {
  readonly bindings: readonly PodBinding[];
  readonly links: readonly Link[];
}

/**
 * Decides which host interface is surely whose. `pods` are the pods of this node; those that policy cannot select are skipped.
 * Pods that claim one address, or that lead to one interface, all stay closed: decide claims before calling (semantics 49).
 * A pod keeps its `last` interface while that is the same link and nothing speaks against it: a source that falls silent
 * for a moment must not cut a pod off.
 */
export function bindInterfaces(pods: readonly Endpoint[], facts: HostFacts, last?: LastBindings): BindingResult {
  const index = indexFacts(facts);
  const kept = keptBindings(index, last);
  const policed = pods.filter((pod) => isPoliced(pod));
  const claims = Map.groupBy(
    policed.flatMap((pod) => pod.addresses.map((address) => ({ pod, address }))),
    ({ address }) => address,
  );
  const found: Found[] = [];
  const problems: InterfaceProblem[] = [];
  for (const pod of policed) {
    const evidence = gatherEvidence(index, pod);
    const isOthers = (address: IpAddress): boolean => claims.get(address)?.some((claim) => claim.pod !== pod) === true;
    const rivals = pod.addresses.flatMap((address) => claims.get(address) ?? []).filter((claim) => claim.pod !== pod);
    const result =
      rivals.length > 0
        ? sharedAddress(pod, evidence, rivals.map((rival) => `${rival.pod.key} (${rival.address})`).join(', '))
        : decide(index, pod, evidence, isOthers);
    const before = 'binding' in result ? undefined : keptBinding(kept.get(pod.uid), pod, result, isOthers);
    if ('binding' in result) found.push(result);
    else if (before !== undefined) found.push({ binding: before, evidence });
    else problems.push(result);
  }
  const bindings: PodBinding[] = [];
  const holders = Map.groupBy(
    found.flatMap((one) => one.binding.addresses.map((address) => ({ one, address }))),
    ({ address }) => address,
  );
  const ports = Map.groupBy(found, ({ binding }) => binding.interface);
  for (const one of found) {
    const { binding, evidence } = one;
    const others = (ports.get(binding.interface) ?? []).filter((other) => other !== one);
    const rival = binding.addresses.flatMap((address) => holders.get(address) ?? []).find((held) => held.one !== one);
    if (others.length > 0)
      problems.push(
        sharedInterface(
          one,
          others.map((other) => other.binding.pod),
        ),
      );
    else if (rival === undefined) bindings.push(binding);
    else {
      const pod = policed.find(({ uid }) => uid === binding.uid);
      if (pod !== undefined) problems.push(sharedAddress(pod, evidence, `${rival.one.binding.pod} (${rival.address})`));
    }
  }
  bindings.sort((a, b) => compareText(a.pod, b.pod));
  problems.sort((a, b) => compareText(a.pod, b.pod));
  return { bindings, problems };
}

/** Last bindings by uid whose interface is still the very same link. */
function keptBindings(index: FactIndex, last: LastBindings | undefined): ReadonlyMap<string, PodBinding> {
  const kept = new Map<string, PodBinding>();
  if (last === undefined) return kept;
  const links = new Map(last.links.map((link) => [link.name, link]));
  for (const binding of last.bindings) {
    const before = links.get(binding.interface);
    const now = index.links.get(binding.interface);
    if (before !== undefined && now?.index === before.index && now.master === before.master)
      kept.set(binding.uid, binding);
  }
  return kept;
}

/** Where sources only fell silent, the last binding of the pod; where they contradict each other, none. */
function keptBinding(
  last: PodBinding | undefined,
  pod: Endpoint,
  problem: InterfaceProblem,
  isOthers: (address: IpAddress) => boolean,
): PodBinding | undefined {
  const silent =
    problem.code === 'pod-interface-missing' ||
    problem.code === 'pod-interface-unconfirmed' ||
    problem.code === 'pod-mac-unknown';
  if (!silent || last?.pod !== pod.key) return undefined;
  if (!problem.evidence.every(({ interfaces }) => interfaces.includes(last.interface))) return undefined;
  const complete = pod.addresses.length > 0 && pod.addresses.every((address) => last.addresses.includes(address));
  return complete ? { ...last, addresses: last.addresses.filter((address) => !isOthers(address)) } : undefined;
}

function decide(
  index: FactIndex,
  pod: Endpoint,
  evidence: readonly Evidence[],
  isOthers: (address: IpAddress) => boolean,
): Found | InterfaceProblem {
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
  const inherited = byAddressAlone(evidence) ? inheritedInterface(index, pod, evidence, name) : undefined;
  if (inherited !== undefined) return inherited;
  const given = evidence.flatMap((one) => one.addresses ?? []);
  const stranger = given.length === 0 ? undefined : pod.addresses.find((address) => !given.includes(address));
  if (stranger !== undefined) {
    return problem(
      'pod-interface-contradiction',
      `the API names the address ${stranger}, but the network plugin gave it ${given.join(', ')}`,
      'Restart the pod. Pods are policed on their primary interface only.',
    );
  }
  // An address the plugin gave and the API has since given to another pod is no longer this pod's (semantics 49).
  const own = given.filter((address) => !isOthers(address));
  return attach(index, pod, evidence, name, [...new Set([...pod.addresses, ...own])]);
}

/** Whether nothing but the pod's address led to the interface: then it may be the one of who got the address next. */
function byAddressAlone(evidence: readonly Evidence[]): boolean {
  return evidence.every(({ source }) => source !== 'cni-cache' && source !== 'computed-name');
}

/** An interface that has the pod's address and is not, or need not be, the pod's: an address is reused at once. */
function inheritedInterface(
  index: FactIndex,
  pod: Endpoint,
  evidence: readonly Evidence[],
  name: string,
): InterfaceProblem | undefined {
  const problem = problemFor(pod, evidence);
  const other = givenToAnother(index, pod, name);
  if (other !== undefined) {
    return problem(
      'pod-interface-contradiction',
      `${name} has its address, but the network plugin gave it to ${other.namespace}/${other.pod}`,
      'Nothing, if the pod has just ended: its address went to another. Else restart the pod.',
    );
  }
  if (!pod.terminating) return undefined;
  // A pod that ends gets no new interface; one that it had before stays its own while it is the same link.
  return problem(
    'pod-interface-unconfirmed',
    `${name} has its address, but the pod is ending: the address may be another's already`,
    'Nothing: it is certain again when the API names the new owner.',
  );
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
  // A route through a pod (a gateway in a pod) does not make it an uplink where somebody else says whose it is.
  const certain = evidence.some(({ source }) => source === 'cni-cache' || source === 'namespace-peer');
  const uplink = bridge === undefined && !certain ? uplinkReason(index.facts, link) : undefined;
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
    `nothing on the node leads to ${pod.addresses.join(', ')}: no result of the network plugin, route, namespace or forwarding entry${unseen(index.facts.gaps)}`,
    'Check that the pod runs on this node and that the agent sees the CNI result cache.',
  );
}

/** Told gaps; the others are likely of the same kind. */
const toldGaps = 2;

/** What could not be looked at may be where the answer stands. */
function unseen(gaps: HostFacts['gaps']): string {
  if (gaps.length === 0) return '';
  const told = gaps.slice(0, toldGaps).map(({ what, why }) => `${what} (${why})`);
  const more = gaps.length > toldGaps ? ` and ${gaps.length - toldGaps} more` : '';
  return `; could not be looked at: ${told.join(', ')}${more}`;
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
