import type { Judge } from '../compiler/judge.ts';
import { cidrContains } from '../model/cidr.ts';
import type { Cidr } from '../model/cidr.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { Flow, FlowProtocol } from '../model/flow.ts';

import type { IpAddress, IpFamily } from '../model/ip.ts';
import { directions } from '../model/policy.ts';
import { isProtocol } from '../model/port.ts';
import { err, ok } from '../model/result.ts';
import type { Result } from '../model/result.ts';
import { addressOwners } from '../selector/address-owners.ts';
import { sharedFamilies, toEnd } from './ends.ts';
import type { EndRef } from './explanation.ts';
import { shortName } from './flow-context.ts';
import { groupPods, sectionVocabulary } from './flow-space.ts';
import { nodeMember, podMember } from './locate.ts';
import type { Located, Member, World } from './locate.ts';
import { addressClasses, intervalText, portClasses } from './partition.ts';
import type { PortClass } from './partition.ts';

/** One flow to judge, for itself or for others like it. */
export interface AskedFlow {
  readonly from: EndRef;
  readonly to: EndRef;
  readonly flow: Flow;
  /** The ends of the flow's arrival, if it has one. */
  readonly arrival?: { readonly from: EndRef; readonly to: EndRef };
  /** How many flows it stands for. */
  readonly count: number;
  readonly servicePort?: number;
  readonly remark?: string;
  readonly portClass?: PortClass;
}

/** Which port is meant. */
export interface PortQuestion {
  readonly port: number | string | undefined;
  readonly protocol: FlowProtocol;
  readonly protocolGiven: boolean;
  readonly family: IpFamily | undefined;
}

/** A member that stands for `count` members no policy tells apart. */
export interface MemberClass {
  readonly member: Member;
  readonly count: number;
}

/** The members of an end, one for each class that policies can tell apart; a block becomes its parts. */
export function memberClasses(
  world: World,
  located: Exclude<Located, { kind: 'service' }>,
  other: readonly Member[] | undefined,
  judge: Judge,
): readonly MemberClass[] {
  if (located.kind === 'members') return classesOf(world, located.members, other);
  const { cluster } = world;
  const owners = addressOwners(cluster.snapshot.pods.values());
  const known = new Set<IpAddress>([
    ...owners.keys(),
    ...[...cluster.snapshot.nodes.values()].flatMap(({ addresses }) => addresses),
  ]);
  const sections = (other ?? []).flatMap(({ party }) => {
    const end = party.kind === 'pod' ? { kind: 'pod' as const, pod: party.pod } : undefined;
    return end === undefined ? [] : directions.map((direction) => judge.effectivePolicy(end)?.[direction]);
  });
  const { cidr } = located;
  const outside = addressClasses(cidr, sections, (address) => known.has(address)).map(
    ({ first, last, sample }): MemberClass => ({
      member: {
        ref: { kind: 'Block', cidr: intervalText(cidr.family, first, last) },
        party: { kind: 'external', addresses: [sample] },
      },
      count: 1,
    }),
  );
  const pods: Member[] = [];
  for (const pod of new Set(owners.values())) {
    if (!pod.addresses.some((address) => cidrContains(cidr, address))) continue;
    const member = podMember(world, pod);
    if (member.ok) pods.push(within(member.value, cidr));
  }
  const nodes = [...cluster.snapshot.nodes.values()]
    .filter(({ addresses }) => addresses.some((address) => cidrContains(cidr, address)))
    .map((node): MemberClass => ({ member: within(nodeMember(node), cidr), count: 1 }));
  return [...outside, ...classesOf(world, pods, other), ...nodes];
}

/** A member as far as it lies in a block: its address of the other family was not asked about. */
function within(member: Member, cidr: Cidr): Member {
  const { party } = member;
  if (party.kind === 'external') return member;
  return {
    ...member,
    party: { ...party, addresses: party.addresses.filter((address) => cidrContains(cidr, address)) },
  };
}

function classesOf(
  { cluster }: World,
  members: readonly Member[],
  other: readonly Member[] | undefined,
): readonly MemberClass[] {
  if (members.length <= 1) return members.map((member) => ({ member, count: 1 }));
  const policies = [...cluster.snapshot.policies.values()];
  const keys = new Set<string>();
  const namespaces = new Set<string>();
  for (const { party } of [...members, ...(other ?? [])]) if (party.kind === 'pod') namespaces.add(party.pod.namespace);
  for (const direction of directions) {
    const vocabulary = sectionVocabulary(policies, direction);
    for (const key of [...vocabulary.subjectKeys, ...vocabulary.peerKeys]) keys.add(key);
  }
  const near = policies.filter(({ namespace }) => namespaces.has(namespace));
  const blocks = directions.flatMap((direction) => sectionVocabulary(near, direction).blocks);
  const byNode = (other ?? []).some(({ party }) => party.kind === 'node');
  const plain = new Map<Endpoint, Member>();
  const classes: MemberClass[] = [];
  for (const member of members) {
    if (member.party.kind === 'pod') plain.set(member.party.pod, member);
    else classes.push({ member, count: 1 });
  }
  const byNodeName = new Map<string, Endpoint[]>();
  for (const pod of plain.keys()) {
    const node = byNode ? (pod.node ?? '') : '';
    byNodeName.set(node, [...(byNodeName.get(node) ?? []), pod]);
  }
  for (const pods of byNodeName.values()) {
    for (const group of groupPods(pods, keys, blocks)) {
      const [first] = group.pods;
      const member = first === undefined ? undefined : plain.get(first);
      if (member !== undefined) classes.push({ member, count: group.pods.length });
    }
  }
  return classes;
}

/** The flows between two lists of classes. The error says why there are none. */
export function askedFlows(
  from: readonly MemberClass[],
  to: readonly MemberClass[],
  question: PortQuestion,
  judge: Judge,
): Result<readonly AskedFlow[], string> {
  const flows: AskedFlow[] = [];
  let problem: string | undefined;
  for (const source of from) {
    for (const target of to) {
      const families = familiesOf(source.member, target.member, question.family);
      if (families.length === 0) {
        const wanted =
          question.family === undefined ? 'no address family in common' : `no ${question.family} address in common`;
        problem ??= `${shortName(source.member.ref)} and ${shortName(target.member.ref)} have ${wanted}`;
        continue;
      }
      for (const family of families) {
        const ports = portsOf(source.member, target.member, family, question, judge);
        if (!ports.ok) {
          problem ??= ports.error;
          continue;
        }
        for (const part of ports.value) {
          const flow = flowBetween(source.member, target.member, family, part.protocol, part.port);
          if (flow === undefined) continue;
          flows.push({
            from: source.member.ref,
            to: target.member.ref,
            flow,
            count: source.count * target.count,
            ...(part.portClass === undefined ? {} : { portClass: part.portClass }),
          });
        }
      }
    }
  }
  return flows.length > 0 ? ok(flows) : err(problem ?? 'there is nothing to ask');
}

/** Families in which two members talk; a pod without known address counts as having any, so one is enough. */
export function familiesOf(from: Member, to: Member, only: IpFamily | undefined): readonly IpFamily[] {
  const shared = sharedFamilies(from.party, to.party).filter((family) => only === undefined || family === only);
  const open = [from, to].every(({ party }) => party.addresses.length === 0);
  return open ? shared.slice(0, 1) : shared;
}

/** A flow of one family; `undefined` if an end has no address of it. */
export function flowBetween(
  from: Member,
  to: Member,
  family: IpFamily,
  protocol: FlowProtocol,
  port: number | undefined,
): Flow | undefined {
  const source = toEnd(from.party, family);
  const target = toEnd(to.party, family);
  if (source === undefined || target === undefined) return undefined;
  return { from: source, to: target, family, protocol, ...(port === undefined ? {} : { port }) };
}

interface AskedPort {
  readonly protocol: FlowProtocol;
  readonly port?: number;
  readonly portClass?: PortClass;
}

function portsOf(
  from: Member,
  to: Member,
  family: IpFamily,
  question: PortQuestion,
  judge: Judge,
): Result<readonly AskedPort[], string> {
  const { port, protocol, protocolGiven } = question;
  if (protocol === 'ICMP')
    return port === undefined ? ok([{ protocol }]) : err('ICMP has no ports: leave the port out');
  if (typeof port === 'number') return ok([{ protocol, port }]);
  if (typeof port === 'string') return namedPort(to, port, protocol, protocolGiven);
  const source = toEnd(from.party, family);
  const target = toEnd(to.party, family);
  if (source === undefined || target === undefined) return ok([]);
  const only = protocolGiven && isProtocol(protocol) ? protocol : undefined;
  const classes = portClasses(source, target, judge, only);
  return ok(classes.map((portClass) => ({ protocol: portClass.protocol, port: portClass.port, portClass })));
}

function namedPort(
  to: Member,
  name: string,
  protocol: FlowProtocol,
  protocolGiven: boolean,
): Result<readonly AskedPort[], string> {
  const title = shortName(to.ref);
  const { party } = to;
  if (party.kind === 'pod' && party.unknown?.has('ports') === true) {
    return err(
      `nobody said which port ${title} calls ${JSON.stringify(name)}: give the pod with -f, or ask for a number`,
    );
  }
  const pod = party.kind === 'pod' ? party.pod : party.kind === 'node' ? party.hostNetworkPod : undefined;
  if (pod === undefined)
    return err(`${title} is no pod, so no port of it is called ${JSON.stringify(name)}: ask for a number`);
  const found = pod.declaredPorts.filter(
    (declared) => declared.name === name && (!protocolGiven || declared.protocol === protocol),
  );
  if (found.length > 0) return ok(found.map((declared) => ({ protocol: declared.protocol, port: declared.port })));
  const named = pod.declaredPorts.flatMap((declared) =>
    declared.name === undefined ? [] : [`${declared.name} = ${declared.port}/${declared.protocol}`],
  );
  return err(
    `${title} declares no port named ${JSON.stringify(name)}; it declares ${named.length === 0 ? 'no names' : named.join(', ')}`,
  );
}
