import { evaluateSide, namedPortNumbers } from '../compiler/evaluate.ts';
import type { SideReason, SideVerdict } from '../compiler/evaluate.ts';
import type { Provenance } from '../compiler/effective-policy.ts';
import type { Flow, FlowEnd, Verdict } from '../model/flow.ts';
import type { IpFamily } from '../model/ip.ts';
import type { PolicyKey } from '../model/names.ts';
import type { Direction } from '../model/policy.ts';
import type { Protocol } from '../model/port.ts';
import { sampleFlow } from './flow-ends.ts';
import type { EndClass, PodClass } from './flow-ends.ts';
import { declaredNumbers } from './policy-view.ts';
import type { PolicySection, PolicyView } from './policy-view.ts';
import { mapTable, portTable } from './port-table.ts';
import type { PortTable } from './port-table.ts';

/** What one side says to one port. */
export interface SideDecision {
  readonly verdict: Verdict;
  readonly reason: SideReason;
  /** The first rule that admits. */
  readonly admittedBy?: Provenance;
}

/** What one side says to every port of flows between two classes. */
export interface SideAnswer {
  /** Equal verdicts have one number, across states. */
  readonly id: number;
  /** This answer and no other, across states. */
  readonly serial: number;
  /** Policies that isolate the side, sorted. */
  readonly policies: readonly PolicyKey[];
  readonly verdicts: PortTable<Verdict>;
  readonly decisions: PortTable<SideDecision>;
}

/** Answers of both sides in one state, each asked of the evaluator once per section and kind of peer. */
export interface SideTable {
  /** Ends by index. Flows of the family must exist; a sample of them is taken only if the answer is not known yet. */
  side(direction: Direction, from: number, to: number, family: IpFamily): SideAnswer;
  section(pods: PodClass, direction: Direction): PolicySection | undefined;
}

/** Numbers the tables of verdicts of all states that are compared. */
export class VerdictNumbers {
  readonly #ids = new Map<string, number>();
  #serial = 0;

  nextSerial(): number {
    return this.#serial++;
  }

  idOf(verdicts: PortTable<Verdict>): number {
    const key = JSON.stringify(verdicts);
    const id = this.#ids.get(key) ?? this.#ids.size;
    this.#ids.set(key, id);
    return id;
  }
}

/** What a side with one section, and at ingress one set of named ports, has answered so far. */
interface Subject {
  readonly section: PolicySection;
  /** If nothing isolates it, the same for everyone. */
  open?: SideAnswer;
  /** By index and family of the peer. */
  readonly byPeer: (SideAnswer | undefined)[];
  /** By what the section can tell about the peer. */
  readonly bySignature: Map<string, SideAnswer>;
}

/** Builds a {@link SideTable} for state number `state` of the classes. */
export function createSideTable(
  view: PolicyView,
  state: number,
  ends: readonly EndClass[],
  numbers: VerdictNumbers,
): SideTable {
  const subjects = new Map<string, Subject>();
  const sectionIds = new Map<PolicySection, number>();
  let nobody: SideAnswer | undefined;

  function findSubject(pods: PodClass, direction: Direction): Subject {
    const member = pods.members[0]?.views[state];
    if (member === undefined) throw new RangeError(`${pods.name} has no pod in state ${state}`);
    const section = member[direction];
    const id = sectionIds.get(section) ?? sectionIds.size;
    sectionIds.set(section, id);
    const key = `${id} ${direction === 'ingress' ? declaredNumbers(member.pod, section.names) : ''}`;
    const subject: Subject = subjects.get(key) ?? { section, byPeer: [], bySignature: new Map() };
    subjects.set(key, subject);
    return subject;
  }

  function side(direction: Direction, from: number, to: number, family: IpFamily): SideAnswer {
    const egress = direction === 'egress';
    const subject = (egress ? egresses : ingresses)[egress ? from : to];
    if (subject === undefined) return (nobody ??= evaluate(direction, undefined, from, to, family));
    if (!subject.section.isolated) return (subject.open ??= evaluate(direction, subject.section, from, to, family));
    const index = 2 * (egress ? to : from) + (family === 'IPv4' ? 0 : 1);
    return (subject.byPeer[index] ??= askOnce(subject, direction, from, to, family));
  }

  function askOnce(subject: Subject, direction: Direction, from: number, to: number, family: IpFamily): SideAnswer {
    const signature = peerSignature(subject.section, ends[direction === 'egress' ? to : from], family, state);
    const answer = subject.bySignature.get(signature) ?? evaluate(direction, subject.section, from, to, family);
    subject.bySignature.set(signature, answer);
    return answer;
  }

  function evaluate(
    direction: Direction,
    section: PolicySection | undefined,
    i: number,
    j: number,
    family: IpFamily,
  ): SideAnswer {
    const [source, target] = [ends[i], ends[j]];
    const sample = source === undefined || target === undefined ? undefined : sampleFlow(source, target, family);
    const [from, to] = [sample?.from[state], sample?.to[state]];
    if (from === undefined || to === undefined) throw new RangeError(`no flow in state ${state}`);
    const policy = view.judge.effectivePolicy(direction === 'egress' ? from : to);
    const ask = (flow: Pick<Flow, 'protocol' | 'port'>): SideDecision =>
      toDecision(evaluateSide(policy, direction, { from, to, family, ...flow }, view.judge.context));
    const decisions = portTable(
      (protocol) => (section === undefined ? [] : portCuts(section, protocol, to)),
      (protocol, port) => ask({ protocol, port }),
      ask({ protocol: 'ICMP' }),
      sameDecision,
    );
    const verdicts = mapTable(
      decisions,
      ({ verdict }) => verdict,
      (a, b) => a === b,
    );
    return {
      id: numbers.idOf(verdicts),
      serial: numbers.nextSerial(),
      policies: section?.policies ?? [],
      verdicts,
      decisions,
    };
  }

  const egresses = ends.map((end) => (end.kind === 'pods' ? findSubject(end, 'egress') : undefined));
  const ingresses = ends.map((end) => (end.kind === 'pods' ? findSubject(end, 'ingress') : undefined));
  return { side, section: (pods, direction) => pods.members[0]?.views[state]?.[direction] };
}

/** Everything a section's rules can learn about a peer. Equal texts get equal answers. */
function peerSignature(section: PolicySection, peer: EndClass | undefined, family: IpFamily, state: number): string {
  const member = peer?.kind === 'pods' ? peer.members[0]?.views[state] : undefined;
  const place = peer?.kind === 'pods' ? peer.faces.get(family)?.classes[state] : peer?.addressClass;
  let text = peer?.kind === 'nodes' ? (peer.relation[state] ?? '') : '';
  for (const test of section.tests) {
    if (test.kind === 'selector') text += `,${member?.answers[test.index] ?? 'no'}`;
    else text += place === undefined || place === 'unknown' ? ',?' : place.blocks.has(test.key) ? ',in' : ',out';
  }
  if (section.direction === 'ingress' || section.names.length === 0 || member === undefined) return text;
  return `${text} ${declaredNumbers(member.pod, section.names)}`;
}

/** The ports at which the answer of a section can change: where a port or a range begins, and behind its end. */
function* portCuts(section: PolicySection, protocol: Protocol, to: FlowEnd): Generator<number, void> {
  for (const rule of section.rules) {
    if (rule.ports === 'any') continue;
    for (const port of rule.ports) {
      if (port.kind === 'invalid' || port.protocol !== protocol) continue;
      if (port.kind === 'range') yield* [port.from, port.to + 1];
      if (port.kind !== 'named' || to.kind !== 'pod') continue;
      for (const number of namedPortNumbers(to.pod, port.name, protocol)) yield* [number, number + 1];
    }
  }
}

function toDecision({ verdict, reason, admittedBy: [first] }: SideVerdict): SideDecision {
  return first === undefined ? { verdict, reason } : { verdict, reason, admittedBy: first };
}

function sameDecision(a: SideDecision, b: SideDecision): boolean {
  return (
    a.verdict === b.verdict &&
    a.reason === b.reason &&
    a.admittedBy?.policy === b.admittedBy?.policy &&
    a.admittedBy?.index === b.admittedBy?.index
  );
}
