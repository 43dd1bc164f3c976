import { evaluateSide } from '../compiler/evaluate.ts';
import { createJudge } from '../compiler/judge.ts';
import type { FlowVerdict, Judge } from '../compiler/judge.ts';
import { isPoliced } from '../model/endpoint.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { Flow, FlowEnd } from '../model/flow.ts';
import { familyOf, ipFamilies } from '../model/ip.ts';
import type { IpFamily } from '../model/ip.ts';
import { directions } from '../model/policy.ts';
import type { Direction, NetworkPolicy, PolicyRule } from '../model/policy.ts';
import { everything } from '../model/label-selector.ts';
import { resolve } from '../compiler/resolve.ts';
import type { ClusterSnapshot } from '../model/snapshot.ts';
import { matches } from '../selector/match.ts';
import type { Cluster, TextEdit } from './cluster.ts';
import { endOfPod, externalEnds, groupPods, portPoints, sectionVocabulary } from './flow-space.ts';
import type { PodGroup } from './flow-space.ts';

/** A policy and what it becomes. */
export interface PolicyChange {
  readonly before: NetworkPolicy;
  readonly after: NetworkPolicy;
}

/** Flows other than the asked one that an edit changes. */
export interface OtherFlows {
  /** All of them; `null` if there were too many to judge. */
  readonly changed: number | null;
  /** Those that are the asked flow between other pods of the same classes. */
  readonly alike: number;
  /** Those that no longer pass. */
  readonly closed: number;
  readonly example?: { readonly flow: Flow; readonly verdict: FlowVerdict['verdict'] };
}

/** What an edit does: the asked flow afterwards, and the others. */
export interface EditEffect {
  readonly changes: readonly PolicyChange[];
  readonly verdict: FlowVerdict;
  readonly judge: Judge;
  readonly others: OtherFlows;
}

/** Judgements made for one edit before giving up on the other flows: well under a second. */
const maxJudgements = 300_000;

/** Edits of one policy's text. */
export interface PolicyEdit {
  readonly policy: NetworkPolicy;
  readonly edits: readonly TextEdit[];
}

/** Applies edits in memory, and judges again. `undefined` if the edited text is no such policy any more. */
export function judgeEdits(
  cluster: Cluster,
  judge: Judge,
  asked: Flow,
  policyEdits: readonly PolicyEdit[],
): EditEffect | undefined {
  const changes: PolicyChange[] = [];
  for (const { policy, edits } of policyEdits) {
    const after = cluster.edited(policy, edits);
    if (after?.kind !== 'NetworkPolicy' || after.key !== policy.key) return undefined;
    changes.push({ before: policy, after });
  }
  const policies = new Map(cluster.snapshot.policies);
  for (const { after } of changes) policies.set(after.key, after);
  const changed = createJudge({ ...cluster.snapshot, policies }, judge.context);
  return {
    changes,
    verdict: changed.judge(asked),
    judge: changed,
    others: otherFlows(cluster.snapshot, judge, changed, changes, asked),
  };
}

/**
 * Counts flows that are judged differently: per changed policy and direction, the pods it selects before or after,
 * times classes of other pods, nodes and outside addresses, times the port intervals that rules tell apart. Only the
 * pairs of classes that differ are judged pod by pod.
 */
export function otherFlows(
  snapshot: ClusterSnapshot,
  before: Judge,
  after: Judge,
  changes: readonly PolicyChange[],
  asked: Flow,
): OtherFlows {
  const counted = new Set<string>();
  const askedKeys = new Set([asked, ...(asked.arrival === undefined ? [] : [asked.arrival])].map(flowKey));
  let [changed, alike, closed, judgements] = [0, 0, 0, 0];
  let example: OtherFlows['example'];
  for (const change of changes) {
    const { namespace } = change.before;
    const policies = [...snapshot.policies.values()].filter((policy) => policy.namespace === namespace);
    policies.push(change.after);
    for (const direction of directions) {
      if (sameSection(change, direction)) continue;
      const vocabulary = sectionVocabulary(policies, direction);
      const subjects = groupPods(
        [...snapshot.pods.values()].filter(
          (pod) =>
            pod.namespace === namespace &&
            isPoliced(pod) &&
            (matches(change.before.subjects, pod.labels) || matches(change.after.subjects, pod.labels)),
        ),
        vocabulary.subjectKeys,
        [],
      );
      const [first] = subjects[0]?.pods ?? [];
      if (first === undefined) continue;
      const reaches = changedReach(change, direction, first, before);
      const policed = [...snapshot.pods.values()].filter(
        (pod) => isPoliced(pod) && ipFamilies.some((family) => reaches(endOfPod(pod, family))),
      );
      const pods = groupPods(policed, vocabulary.peerKeys, vocabulary.blocks);
      const outside = externalEnds(snapshot, vocabulary.blocks, [asked.from, asked.to]).filter(({ end }) =>
        reaches(end),
      );
      for (const subject of subjects) {
        for (const other of [...pods, ...outside]) {
          const destination = direction === 'egress' ? other : subject;
          const points = portPoints(vocabulary.ports, destination.pods[0], asked);
          for (const { protocol, port } of points) {
            judgements += 1;
            if (judgements > maxJudgements) return { changed: null, alike, closed };
            const sample = sampleFlow(subject, other, direction, protocol, port);
            if (sample === undefined || !sideDiffers(sample, direction, before, after)) continue;
            for (const flow of pairs(subject, other, direction, protocol, port)) {
              judgements += 1;
              if (judgements > maxJudgements) return { changed: null, alike, closed };
              const key = flowKey(flow);
              if (counted.has(key) || askedKeys.has(key)) continue;
              const is = after.judge(flow).verdict;
              if (before.judge(flow).verdict === is) continue;
              counted.add(key);
              changed += 1;
              if (is === 'deny') closed += 1;
              const like = isAlike(flow, asked, subject, other);
              if (like) alike += 1;
              else example ??= { flow, verdict: is };
            }
          }
        }
      }
    }
  }
  return { changed, alike, closed, ...(example === undefined ? {} : { example }) };
}

function sameSection({ before, after }: PolicyChange, direction: Direction): boolean {
  return (
    before.subjects.canonical === after.subjects.canonical &&
    fingerprint(before[direction]) === fingerprint(after[direction])
  );
}

/**
 * Whether a rule that only one of the two versions has can match an end, whatever the port: all other ends are judged
 * alike before and after. Everybody, if the policy selects other pods or isolates otherwise.
 */
function changedReach(
  { before, after }: PolicyChange,
  direction: Direction,
  subject: Endpoint,
  { context }: Judge,
): (end: FlowEnd | undefined) => boolean {
  const [was, is] = [before[direction], after[direction]];
  if (before.subjects.canonical !== after.subjects.canonical || was.isolates !== is.isolates) return () => true;
  const print = (rule: PolicyRule): string => fingerprint({ ...rule, index: 0 });
  const [old, fresh] = [new Set(was.rules.map(print)), new Set(is.rules.map(print))];
  const rules = [
    ...was.rules.filter((rule) => !fresh.has(print(rule))),
    ...is.rules.filter((rule) => !old.has(print(rule))),
  ];
  const changed = resolve([{ ...after, subjects: everything, [direction]: { isolates: true, rules } }], subject);
  return (end) => {
    const family = end?.address === undefined ? 'IPv4' : familyOf(end.address);
    const self = endOfPod(subject, family) ?? { kind: 'pod', pod: subject };
    if (end === undefined) return false;
    const ends = direction === 'egress' ? { from: self, to: end } : { from: end, to: self };
    let reached: boolean | undefined;
    evaluateSide(changed, direction, { ...ends, family, protocol: 'TCP', port: 1 }, context, (trace) => {
      reached = trace.rules.some(
        ({ rule, peers }) => rule.peers === 'any' || peers.some(({ answer }) => answer !== 'no'),
      );
    });
    // Without a trace a fixed exemption decided: for this subject, but perhaps not for others.
    return reached ?? true;
  };
}

function fingerprint(value: unknown): string {
  return JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? part.toString() : part));
}

function sideDiffers(flow: Flow, direction: Direction, before: Judge, after: Judge): boolean {
  const subject = direction === 'egress' ? flow.from : flow.to;
  const was = evaluateSide(before.effectivePolicy(subject), direction, flow, before.context).verdict;
  return was !== evaluateSide(after.effectivePolicy(subject), direction, flow, after.context).verdict;
}

type Side = PodGroup | { readonly pods: readonly []; readonly end: FlowEnd };

function sampleFlow(
  subject: PodGroup,
  other: Side,
  direction: Direction,
  protocol: Flow['protocol'],
  port: number | undefined,
): Flow | undefined {
  const [pod] = subject.pods;
  const mates = other.pods.length === 0 ? [] : other.pods.filter((mate) => mate !== pod).slice(0, 1);
  if (pod === undefined) return undefined;
  for (const flow of pairFlows(pod, mates, other, direction, protocol, port)) return flow;
  return undefined;
}

function* pairs(
  subject: PodGroup,
  other: Side,
  direction: Direction,
  protocol: Flow['protocol'],
  port: number | undefined,
): Generator<Flow> {
  for (const pod of subject.pods) yield* pairFlows(pod, other.pods, other, direction, protocol, port);
}

function* pairFlows(
  pod: Endpoint,
  mates: readonly Endpoint[],
  other: Side,
  direction: Direction,
  protocol: Flow['protocol'],
  port: number | undefined,
): Generator<Flow> {
  for (const family of ipFamilies) {
    const self = endOfPod(pod, family);
    if (self === undefined) continue;
    const ends =
      'end' in other
        ? outsideEnd(other.end, family)
        : mates.flatMap((mate) => (mate === pod ? [] : [endOfPod(mate, family) ?? []].flat()));
    for (const end of ends) {
      const base = { family, protocol, ...(port === undefined ? {} : { port }) };
      yield direction === 'egress' ? { from: self, to: end, ...base } : { from: end, to: self, ...base };
    }
  }
}

function outsideEnd(end: FlowEnd, family: IpFamily): readonly FlowEnd[] {
  return end.address?.includes(':') === (family === 'IPv6') ? [end] : [];
}

function isAlike(flow: Flow, asked: Flow, subject: PodGroup, other: Side): boolean {
  if (flow.protocol !== asked.protocol || flow.port !== asked.port) return false;
  const members = new Set([...subject.pods, ...other.pods].map(({ key }) => key));
  return [asked.from, asked.to].every((end) =>
    end.kind === 'pod' ? members.has(end.pod.key) : 'end' in other && other.end.address === end.address,
  );
}

function flowKey({ from, to, family, protocol, port }: Flow): string {
  const name = (end: FlowEnd): string => (end.kind === 'pod' ? end.pod.key : `host ${end.address ?? ''}`);
  return `${name(from)} ${name(to)} ${family} ${protocol} ${port ?? ''}`;
}
