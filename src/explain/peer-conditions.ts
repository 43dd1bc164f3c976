import { some, every } from '../model/flow.ts';
import type { FlowEnd } from '../model/flow.ts';
import { isFinished } from '../model/endpoint.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { familyOf } from '../model/ip.ts';
import { namespaceNameLabel } from '../model/namespace.ts';
import type { FieldPath } from '../model/source-ref.ts';
import type { IpBlock } from '../model/policy.ts';
import { matches } from '../selector/match.ts';
import type { Condition, PeerTrace } from '../compiler/trace.ts';
import type { ConditionGroup, ConditionPart, RuleContext } from './conditions.ts';
import type { ReasonCode } from './codes.ts';
import { otherOf, shortName } from './flow-context.ts';
import {
  actualLabel,
  firstLine,
  labelFact,
  requirementDistance,
  requirementPath,
  requirementSpan,
  requirementText,
} from './label-words.ts';

/** The written conditions of one peer: namespace, pod labels, address, exceptions. */
export function peerGroups(trace: PeerTrace, peers: FieldPath, context: RuleContext): readonly ConditionGroup[] {
  const { peer } = trace;
  const path = [...peers, peer.index];
  switch (peer.kind) {
    case 'invalid':
      return [invalidGroup(path, context)];
    case 'block':
      return blockGroups(trace, peer.block, [...path, 'ipBlock'], context);
    case 'pods':
      return podGroups(trace, path, context);
  }
}

function invalidGroup(path: FieldPath, context: RuleContext): ConditionGroup {
  const spans = context.written?.locateNearest(path).spans;
  const span =
    spans === undefined || context.written === undefined ? undefined : firstLine(context.written, spans.value);
  const part: ConditionPart = {
    kind: 'invalid',
    answer: 'no',
    code: 'E022',
    path,
    ...(span === undefined ? {} : { span }),
    label: 'refused: this peer matches nothing',
  };
  return { kind: 'invalid', answer: 'no', parts: [part], failing: 1, distance: 0, facts: [] };
}

function podGroups(trace: PeerTrace, path: FieldPath, context: RuleContext): readonly ConditionGroup[] {
  const other = otherOf(context.context, context.direction);
  const namespacePath = [...path, 'namespaceSelector'];
  const podPath = [...path, 'podSelector'];
  if (other.end.kind !== 'pod') return [notAPodGroup(trace, path, other.end, context)];
  const groups: ConditionGroup[] = [];
  const outside = trace.conditions.find(({ kind, answer }) => kind === 'own-namespace' && answer === 'no');
  const selector = trace.peer.kind === 'pods' ? trace.peer.selector : undefined;
  if (outside !== undefined) {
    const meansAll = selector?.pods.requirements.length === 0;
    groups.push(otherNamespaceGroup(podPath, other.end.pod, context, meansAll));
  }
  const namespaceLabels = trace.conditions.filter((condition) => condition.kind === 'namespace-label');
  // A selector that is null is none, even if it is written (semantics 21).
  const hasNamespaces =
    selector?.namespaces.kind === 'selector' && context.written?.locate(namespacePath) !== undefined;
  if (namespaceLabels.length > 0 || hasNamespaces) {
    groups.push(labelGroup('namespaceSelector', namespaceLabels, namespacePath, other.end.pod, context));
  }
  const podLabels = trace.conditions.filter((condition) => condition.kind === 'pod-label');
  if (podLabels.length > 0 || context.written?.locate(podPath) !== undefined) {
    groups.push(labelGroup('podSelector', podLabels, podPath, other.end.pod, context));
  }
  return groups;
}

/** The selector cannot match what is no pod of the pod network; which of three reasons, is said. */
function notAPodGroup(trace: PeerTrace, path: FieldPath, end: FlowEnd, context: RuleContext): ConditionGroup {
  const name = shortName(otherOf(context.context, context.direction).ref);
  const selector = trace.peer.kind === 'pods' ? trace.peer.selector : undefined;
  const finished = end.kind === 'external' ? finishedOwner(end.address, context) : undefined;
  let code: ReasonCode = 'E014';
  let label = `${name} is no pod: selectors match pods only`;
  let distance = 8;
  if (end.kind === 'node' && end.hostNetworkPod !== undefined) {
    code = 'E013';
    label = `${name} uses hostNetwork, so it counts as its node: no selector matches it`;
    if (selector !== undefined && matches(selector.pods, end.hostNetworkPod.labels)) distance = 0;
  } else if (finished !== undefined) {
    code = 'E015';
    label = `${name} was the address of ${finished.key}, which has finished: no selector matches it any more`;
    if (selector !== undefined && matches(selector.pods, finished.labels)) distance = 0;
  }
  const selectorPath = ['podSelector', 'namespaceSelector']
    .map((key) => [...path, key])
    .find((candidate) => context.written?.locate(candidate) !== undefined);
  const first = trace.peer.kind === 'pods' ? firstRequirement(trace, selectorPath ?? path) : undefined;
  const spans = context.written?.locateNearest(first ?? selectorPath ?? path).spans;
  const span =
    context.written === undefined || spans === undefined ? undefined : firstLine(context.written, spans.pair);
  const part: ConditionPart = {
    kind: 'podSelector',
    answer: 'no',
    code,
    ...(selector === undefined ? {} : { expected: 'a pod' }),
    actual: name,
    path: first ?? selectorPath ?? path,
    ...(span === undefined ? {} : { span }),
    label,
  };
  const facts = code === 'E015' ? ['a finished pod is no peer: ask from a live pod of its workload'] : [];
  return { kind: 'podSelector', answer: 'no', parts: [part], failing: 1, distance, facts };
}

function firstRequirement(trace: PeerTrace, selectorPath: FieldPath): FieldPath | undefined {
  if (trace.peer.kind !== 'pods') return undefined;
  const { selector } = trace.peer;
  const [requirement] =
    selectorPath.at(-1) === 'podSelector'
      ? selector.pods.requirements
      : selector.namespaces.kind === 'selector'
        ? selector.namespaces.selector.requirements
        : [];
  return requirement === undefined ? undefined : requirementPath(selectorPath, requirement);
}

/** A finished pod that had this address last. */
export function finishedOwner(address: string, { context }: Pick<RuleContext, 'context'>): Endpoint | undefined {
  for (const pod of context.cluster.snapshot.pods.values()) {
    if (isFinished(pod) && pod.addresses.some((candidate) => candidate === address)) return pod;
  }
  return undefined;
}

/** A podSelector that names the pod's labels means it; one that names none means its own namespace, and is no near miss. */
function otherNamespaceGroup(path: FieldPath, pod: Endpoint, context: RuleContext, meansAll: boolean): ConditionGroup {
  const spans = context.written?.locateNearest(path).spans;
  const span = spans?.key ?? spans?.value;
  const part: ConditionPart = {
    kind: 'namespace',
    answer: 'no',
    code: 'E011',
    expected: context.policyNamespace,
    actual: pod.namespace,
    path,
    ...(span === undefined ? {} : { span }),
    label: `without a namespaceSelector this means pods of "${context.policyNamespace}"; ${pod.name} is in "${pod.namespace}"`,
  };
  const distance = meansAll ? 4 : 0;
  return { kind: 'namespace', answer: 'no', parts: [part], failing: 1, distance, facts: [], lint: 'NP211' };
}

function labelGroup(
  kind: 'namespaceSelector' | 'podSelector',
  conditions: readonly Condition[],
  path: FieldPath,
  pod: Endpoint,
  context: RuleContext,
): ConditionGroup {
  const { cluster } = context.context;
  const namespace = cluster.snapshot.namespaces.get(pod.namespace);
  const isPods = kind === 'podSelector';
  const nameLabels = new Map([[namespaceNameLabel, pod.namespace as string]]);
  const labels = isPods ? pod.labels : (namespace?.labels ?? nameLabels);
  const subject = isPods ? pod.name : `namespace "${pod.namespace}"`;
  const parts: ConditionPart[] = [];
  let distance = 0;
  let namespaceNameLint = false;
  for (const condition of conditions) {
    if (condition.kind !== 'namespace-label' && condition.kind !== 'pod-label') continue;
    const { requirement, answer } = condition;
    const at = requirementPath(path, requirement);
    const span = requirementSpan(context.written, at);
    const failed = answer === 'no';
    if (failed) distance += requirementDistance(requirement, labels);
    if (failed && !isPods && requirement.key !== namespaceNameLabel) {
      const named = requirement.operator === 'In' && requirement.values.includes(pod.namespace);
      namespaceNameLint ||=
        named && [...cluster.snapshot.namespaces.values()].every(({ labels: has }) => !has.has(requirement.key));
    }
    parts.push({
      kind,
      answer,
      ...(failed
        ? { code: isPods ? ('E012' as const) : ('E010' as const), expected: requirementText(requirement) }
        : {}),
      actual: answer === 'unknown' ? null : actualLabel(requirement.key, labels),
      path: at,
      ...(span === undefined ? {} : { span }),
      label: isPods || requirement.key !== namespaceNameLabel ? labelFact(subject, requirement.key, labels) : subject,
      ...(answer === 'unknown' ? { needs: missingLabels(isPods, pod) } : {}),
    });
  }
  if (parts.length === 0) {
    const spans = context.written?.locate(path);
    parts.push({
      kind,
      answer: 'yes',
      path,
      ...(spans === undefined || context.written === undefined ? {} : { span: firstLine(context.written, spans.pair) }),
      label: isPods ? 'every pod' : 'every namespace',
    });
  }
  return {
    kind,
    answer: every(parts.map(({ answer }) => answer)),
    parts,
    failing: parts.filter(({ answer }) => answer === 'no').length,
    distance,
    facts: [],
    ...(namespaceNameLint ? { lint: 'NP213' as const } : {}),
  };
}

function missingLabels(isPods: boolean, pod: Endpoint): NonNullable<ConditionPart['needs']> {
  return isPods
    ? { object: { kind: 'Pod', namespace: pod.namespace, name: pod.name }, facts: 'labels' }
    : { object: { kind: 'Namespace', name: pod.namespace }, facts: 'labels' };
}

function blockGroups(
  trace: PeerTrace,
  block: IpBlock,
  path: FieldPath,
  context: RuleContext,
): readonly ConditionGroup[] {
  const other = otherOf(context.context, context.direction);
  const name = other.end.kind === 'external' && other.ref.kind !== 'Block' ? other.end.address : shortName(other.ref);
  const address = other.end.address;
  const plain = address === undefined || address === name || other.ref.kind === 'Block';
  const shown = plain ? name : `${name}, ${address},`;
  const holder = plain ? name : address;
  const cidr = trace.conditions.find(({ kind }) => kind === 'cidr');
  const excepts = trace.conditions.filter((condition) => condition.kind === 'except');
  const answer = cidr?.answer ?? 'no';
  const otherFamily = address !== undefined && familyOf(address) !== block.cidr.family;
  const cidrSpan = context.written?.locate([...path, 'cidr'])?.value;
  const taken = excepts.filter((condition) => condition.answer === 'no');
  const contains = plain ? `contains ${name}` : `contains ${address} (${name})`;
  const everyFamily = otherFamily && block.cidr.prefix === 0;
  const cidrPart: ConditionPart = {
    kind: 'cidr',
    answer,
    ...(answer === 'no'
      ? { code: otherFamily ? ('E042' as const) : ('E040' as const), expected: block.cidr.text }
      : {}),
    actual: answer === 'unknown' ? null : holder,
    path: [...path, 'cidr'],
    ...(cidrSpan === undefined ? {} : { span: cidrSpan }),
    label:
      answer === 'unknown'
        ? `needs the address of ${name}`
        : answer === 'no'
          ? otherFamily
            ? `${block.cidr.family} only; ${holder} is ${familyOf(address)}`
            : `${shown} is outside`
          : excepts.length > 0 && taken.length === 0
            ? `${contains}; no exception does`
            : contains,
    ...(answer === 'unknown' ? { needs: missingAddress(other.end) } : {}),
  };
  const groups: ConditionGroup[] = [
    {
      kind: 'cidr',
      answer,
      parts: [cidrPart],
      failing: answer === 'no' ? 1 : 0,
      distance: otherFamily ? 4 : 8,
      facts: [],
      ...(everyFamily && block.cidr.family === 'IPv4' ? { lint: 'NP504' as const } : {}),
    },
  ];
  if (excepts.length === 0 || answer === 'no') return groups;
  const parts = taken.map((condition): ConditionPart => {
    const at = [...path, 'except', condition.kind === 'except' ? condition.index : 0];
    const span = context.written?.locate(at)?.value;
    return {
      kind: 'except',
      answer: 'no',
      code: 'E041',
      actual: holder,
      path: at,
      ...(span === undefined ? {} : { span }),
      label: `takes ${holder} out again`,
    };
  });
  if (parts.length > 0) {
    groups.push({ kind: 'except', answer: 'no', parts, failing: parts.length, distance: 0, facts: [] });
  } else {
    groups.push({ kind: 'except', answer: some(['yes']), parts: [], failing: 0, distance: 0, facts: [] });
  }
  return groups;
}

function missingAddress(end: FlowEnd): NonNullable<ConditionPart['needs']> {
  return end.kind === 'pod'
    ? { object: { kind: 'Pod', namespace: end.pod.namespace, name: end.pod.name }, facts: 'addresses' }
    : { object: { kind: 'Node', name: end.kind === 'node' ? (end.name ?? '?') : '?' }, facts: 'addresses' };
}
