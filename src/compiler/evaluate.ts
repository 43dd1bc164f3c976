import { cidrContains } from '../model/cidr.ts';
import { assertNever } from '../model/assert.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { every, some } from '../model/flow.ts';
import type { Answer, Flow, FlowEnd, Verdict } from '../model/flow.ts';
import type { IpAddress } from '../model/ip.ts';
import type { Namespace } from '../model/namespace.ts';
import type { NamespaceName } from '../model/names.ts';
import type { Direction, IpBlock } from '../model/policy.ts';
import type { PortMatch } from '../model/port.ts';
import { matchesRequirement, matchNamespaceRequirement } from '../selector/match.ts';
import type { PeerSelector } from '../selector/peer-selector.ts';
import type { AllowPeer, AllowRule, EffectivePolicy, Provenance } from './effective-policy.ts';
import type { Condition, PeerTrace, PolicyTrace, PortTrace, RuleTrace, Tracer } from './trace.ts';

/** What a flow needs to be judged besides its ends. */
export interface EvaluationContext {
  readonly namespaces: ReadonlyMap<NamespaceName, Namespace>;
  /** Enforce egress rules towards the pod's own node (`--police-node-egress`). Off by default (semantics 53). */
  readonly policeNodeEgress?: boolean;
  /** Addresses at which every node answers DNS itself; queries to them stay exempt (docs/decisions/0008). */
  readonly nodeDns?: ReadonlySet<IpAddress>;
}

/** Why one side passes or not: the fixed reasons come before any rule is read. */
export type SideReason =
  | 'not-a-pod'
  | 'host-network'
  | 'not-isolated'
  | 'same-endpoint'
  | 'node-traffic'
  | 'allowed-by-rule'
  | 'no-rule-admits'
  | 'undecided';

/** The answer of one side of a flow. */
export interface SideVerdict {
  readonly verdict: Verdict;
  readonly reason: SideReason;
  /** The rules that admit, in policy and rule order; only the first unless traced. */
  readonly admittedBy: readonly Provenance[];
}

/**
 * Judges one side of a flow by the effective policy of the pod at that side; `policy` is absent when no policed pod
 * stands there (semantics 7). Fixed exemptions first (isolation, self, own node), then the rules: any rule of any
 * selecting policy admits (semantics 4, 5).
 */
export function evaluateSide(
  policy: EffectivePolicy | undefined,
  direction: Direction,
  flow: Flow,
  context: EvaluationContext,
  tracer?: Tracer,
): SideVerdict {
  const subject = direction === 'egress' ? flow.from : flow.to;
  const other = direction === 'egress' ? flow.to : flow.from;
  if (subject.kind !== 'pod' || policy === undefined) {
    return pass(subject.kind === 'node' && subject.hostNetworkPod !== undefined ? 'host-network' : 'not-a-pod');
  }
  const section = policy[direction];
  if (section.isolated === 'no') return pass('not-isolated');
  if (other.kind === 'pod' && other.pod.key === subject.pod.key) return pass('same-endpoint');

  const exempt = isOwnNode(subject, direction, flow, context);
  if (exempt === 'yes') return pass('node-traffic');

  const admittedBy: Provenance[] = [];
  const answers: Answer[] = [exempt === 'unknown' ? 'unknown' : 'no'];
  for (const selecting of section.policies) {
    const rules: RuleTrace[] = [];
    const matched: Answer[] = [];
    for (const rule of selecting.rules) {
      const trace = evaluateRule(rule, flow, other, context, tracer !== undefined);
      rules.push(trace);
      matched.push(trace.answer);
      if (trace.answer === 'yes' && selecting.selects === 'yes') admittedBy.push(rule.provenance);
      if (admittedBy.length > 0 && tracer === undefined)
        return { verdict: 'allow', reason: 'allowed-by-rule', admittedBy };
    }
    const answer = some(matched);
    answers.push(every([selecting.selects, answer]));
    tracer?.({ policy: selecting, answer, rules } satisfies PolicyTrace);
  }
  const admitted = some(answers);
  if (admitted === 'yes') return { verdict: 'allow', reason: 'allowed-by-rule', admittedBy };
  if (admitted === 'unknown' || section.isolated === 'unknown')
    return { verdict: 'unknown', reason: 'undecided', admittedBy };
  return { verdict: 'deny', reason: 'no-rule-admits', admittedBy };
}

function pass(reason: SideReason): SideVerdict {
  return { verdict: 'allow', reason, admittedBy: [] };
}

/** Traffic between a pod and its own node is exempt (semantics 52-54); egress only unless the operator polices it. */
function isOwnNode(
  subject: FlowEnd & { kind: 'pod' },
  direction: Direction,
  flow: Flow,
  context: EvaluationContext,
): Answer {
  const other = direction === 'egress' ? flow.to : flow.from;
  if (direction === 'egress' && other.address !== undefined && context.nodeDns?.has(other.address) === true) {
    const isQuery = flow.port === 53 && (flow.protocol === 'UDP' || flow.protocol === 'TCP');
    return isQuery || context.policeNodeEgress !== true ? 'yes' : 'no';
  }
  if (other.kind !== 'node') return 'no';
  if (direction === 'egress' && context.policeNodeEgress === true) return 'no';
  if (subject.unknown?.has('node') === true) return 'unknown';
  return other.name !== undefined && other.name === subject.pod.node ? 'yes' : 'no';
}

/** A rule admits if one of its peers AND one of its ports match (semantics 14). `full`: look at every condition. */
function evaluateRule(
  rule: AllowRule,
  flow: Flow,
  other: FlowEnd,
  context: EvaluationContext,
  full: boolean,
): RuleTrace {
  if (rule.invalid) return { rule, answer: 'no', peers: [], ports: [] };
  const ports = rule.ports === 'any' ? [] : rule.ports.map((port) => evaluatePort(port, flow));
  const portAnswer: Answer = rule.ports === 'any' ? 'yes' : some(ports.map(({ answer }) => answer));
  if (portAnswer === 'no' && !full) return { rule, answer: 'no', peers: [], ports };
  const peers = rule.peers === 'any' ? [] : rule.peers.map((peer) => evaluatePeer(peer, other, context));
  const peerAnswer: Answer = rule.peers === 'any' ? 'yes' : some(peers.map(({ answer }) => answer));
  return { rule, answer: every([peerAnswer, portAnswer]), peers, ports };
}

function evaluatePeer(peer: AllowPeer, other: FlowEnd, context: EvaluationContext): PeerTrace {
  const conditions = peerConditions(peer, other, context);
  return { peer, answer: every(conditions.map(({ answer }) => answer)), conditions };
}

function peerConditions(peer: AllowPeer, other: FlowEnd, context: EvaluationContext): readonly Condition[] {
  switch (peer.kind) {
    case 'invalid':
      return [{ kind: 'invalid', answer: 'no' }];
    case 'block':
      return blockConditions(peer.block, other);
    case 'pods':
      return other.kind === 'pod' ? podConditions(peer.selector, other, context) : [{ kind: 'pod', answer: 'no' }];
    default:
      return assertNever(peer);
  }
}

function podConditions(
  selector: PeerSelector,
  end: FlowEnd & { kind: 'pod' },
  context: EvaluationContext,
): readonly Condition[] {
  const { pod } = end;
  const scope = selector.namespaces;
  const namespace: Condition[] =
    scope.kind === 'name'
      ? [{ kind: 'own-namespace', answer: scope.name === pod.namespace ? 'yes' : 'no' }]
      : scope.selector.requirements.map((requirement) => ({
          kind: 'namespace-label',
          requirement,
          answer: matchNamespaceRequirement(requirement, pod.namespace, context.namespaces.get(pod.namespace)?.labels),
        }));
  const labelsUnknown = end.unknown?.has('labels') === true;
  const labels = selector.pods.requirements.map((requirement): Condition => ({
    kind: 'pod-label',
    requirement,
    answer: labelsUnknown ? 'unknown' : matchesRequirement(requirement, pod.labels) ? 'yes' : 'no',
  }));
  return [...namespace, ...labels];
}

/** In `cidr` and in no `except` (semantics 29); any kind of end has an address (semantics 31). */
function blockConditions(block: IpBlock, end: FlowEnd): readonly Condition[] {
  const { address } = end;
  if (address === undefined) {
    return [{ kind: 'cidr', answer: end.kind === 'pod' && end.unknown?.has('addresses') === true ? 'unknown' : 'no' }];
  }
  return [
    { kind: 'cidr', answer: cidrContains(block.cidr, address) ? 'yes' : 'no' },
    ...block.except.map(({ cidr, index }): Condition => ({
      kind: 'except',
      index,
      answer: cidrContains(cidr, address) ? 'no' : 'yes',
    })),
  ];
}

/** Ports are the destination's, as the destination pod sees them (semantics 38). ICMP has none (semantics 64). */
function evaluatePort(port: PortMatch, flow: Flow): PortTrace {
  if (port.kind === 'invalid' || port.protocol !== flow.protocol || flow.port === undefined)
    return { port, answer: 'no' };
  switch (port.kind) {
    case 'protocol':
      return { port, answer: 'yes' };
    case 'range':
      return { port, answer: port.from <= flow.port && flow.port <= port.to ? 'yes' : 'no' };
    case 'named': {
      if (flow.to.kind !== 'pod') return { port, answer: 'no', numbers: [] };
      if (flow.to.unknown?.has('ports') === true) return { port, answer: 'unknown' };
      const numbers = namedPortNumbers(flow.to.pod, port.name, port.protocol);
      return { port, answer: numbers.includes(flow.port) ? 'yes' : 'no', numbers };
    }
    default:
      return assertNever(port);
  }
}

/** The numbers a pod declares under a name with a protocol: sorted, no duplicates (semantics 39). */
export function namedPortNumbers(pod: Endpoint, name: string, protocol: string): readonly number[] {
  const numbers = pod.namedPorts
    .filter((port) => port.name === name && port.protocol === protocol)
    .map(({ port }) => port);
  return [...new Set(numbers)].sort((a, b) => a - b);
}
