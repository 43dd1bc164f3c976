import { createJudge } from '../compiler/judge.ts';
import type { Judge } from '../compiler/judge.ts';
import type { FlowProtocol } from '../model/flow.ts';
import type { IpAddress, IpFamily } from '../model/ip.ts';
import { err, ok } from '../model/result.ts';
import type { Result } from '../model/result.ts';
import { familyOf } from '../model/ip.ts';
import type { Service } from '../model/service.ts';
import { askedFlows, familiesOf, flowBetween, memberClasses } from './asked-flows.ts';
import type { AskedFlow, MemberClass, PortQuestion } from './asked-flows.ts';
import type { Cluster } from './cluster.ts';
import { conclude } from './conclude.ts';
import { explainDns } from './dns-step.ts';
import type { ExplainedDns } from './dns-step.ts';
import { createDirectory } from './ends.ts';
import type { EndRef, Explanation } from './explanation.ts';
import type { FlowContext } from './flow-context.ts';
import { explainFlow } from './flow-step.ts';
import { locate } from './locate.ts';
import type { Located, World } from './locate.ts';
import { mergeFlows } from './merge-flows.ts';
import { walkService } from './service-walk.ts';
import { silentNamespaces } from './silent-namespaces.ts';
import type { Route, Walk } from './service-walk.ts';
import { withUnread } from './unread.ts';

/** A question, as the command line puts it. */
export interface Question {
  readonly from: string;
  /** Without port. */
  readonly to: string;
  readonly port?: number | string;
  readonly protocol: FlowProtocol;
  /** The protocol was written, not assumed. */
  readonly protocolGiven: boolean;
  /** Of ends that name none. */
  readonly namespace: string;
  readonly family?: IpFamily;
  /** Judge name resolution for Service questions. */
  readonly dns: boolean;
  readonly dnsService: { readonly namespace: string; readonly name: string };
}

/** Options that the operator of the cluster sets. */
export interface ExplainOptions {
  readonly policeNodeEgress?: boolean;
  /** Addresses at which every node answers DNS itself. */
  readonly nodeDns?: ReadonlySet<IpAddress>;
}

/** Answers a question. The error is a question nobody can answer: an end, a port or a family that does not exist. */
export function explain(
  cluster: Cluster,
  question: Question,
  options: ExplainOptions = {},
): Result<Explanation, string> {
  const templates: World['templates'] = new Map();
  const withTemplates: Cluster = {
    ...cluster,
    written: (object) => (object.kind === 'Pod' ? templates.get(object) : undefined) ?? cluster.written(object),
  };
  const directory = createDirectory(cluster.snapshot);
  const world: World = { cluster: withTemplates, directory, templates, nodeDns: options.nodeDns ?? new Set() };
  const judge = createJudge(cluster.snapshot, options);

  const from = locate(world, question.from, question.namespace);
  if (!from.ok) return from;
  if (from.value.kind === 'service')
    return err(`a Service opens no connections: ask from its pods, or from a workload such as deploy/NAME`);
  const target = locate(world, question.to, question.namespace);
  if (!target.ok) return target;
  const to = nodePortService(world, target.value, question) ?? target.value;

  const answered =
    to.kind === 'service'
      ? answerService(world, judge, from.value, to, question)
      : answerDirect(world, judge, from.value, to, question);
  if (!answered.ok) return answered;
  const { asked, walk, dns, names } = answered.value;
  const explained = asked.map((each) => ({
    portClass: each.portClass,
    explained: explainFlow(contextOf(withTemplates, each), judge, {
      count: each.count,
      ...(each.remark === undefined ? {} : { remark: each.remark }),
    }),
  }));
  const answer = conclude(withTemplates, judge, {
    question,
    from: from.value.ref,
    to: to.ref,
    flows: mergeFlows(explained),
    walk,
    dns,
    ...names,
  });
  const ends = asked.flatMap(({ flow }) => [flow.from, flow.to]);
  return ok(withUnread(answer, silentNamespaces(cluster.snapshot, ends)));
}

function contextOf(cluster: Cluster, { flow, from, to, arrival, servicePort, portClass }: AskedFlow): FlowContext {
  const shared = {
    cluster,
    ...(servicePort === undefined ? {} : { servicePort }),
    ...(portClass === undefined ? {} : { lastPort: portClass.to }),
  };
  const context = { ...shared, flow, from, to };
  return arrival === undefined || flow.arrival === undefined
    ? context
    : { ...context, arrival: { ...shared, ...arrival, flow: flow.arrival } };
}

interface Answered {
  readonly asked: readonly AskedFlow[];
  readonly walk?: Walk;
  readonly dns?: ExplainedDns;
  readonly names: { readonly manyFrom: boolean; readonly manyTo: boolean };
}

type Ends = Exclude<Located, { kind: 'service' }>;

function answerDirect(world: World, judge: Judge, from: Ends, to: Ends, question: Question): Result<Answered, string> {
  const sources = memberClasses(world, from, to.kind === 'members' ? to.members : undefined, judge);
  const targets = memberClasses(world, to, from.kind === 'members' ? from.members : undefined, judge);
  const asked = askedFlows(sources, targets, portQuestion(question), judge);
  return asked.ok ? ok({ asked: asked.value, names: { manyFrom: isMany(sources), manyTo: isMany(targets) } }) : asked;
}

function answerService(
  world: World,
  judge: Judge,
  from: Ends,
  to: Located & { kind: 'service' },
  question: Question,
): Result<Answered, string> {
  const sources = memberClasses(world, from, undefined, judge);
  const members = sources.map(({ member }) => member);
  const walk = walkService(world, {
    from: members,
    to,
    protocol: question.protocol,
    protocolGiven: question.protocolGiven,
    port: question.port,
  });
  if (!walk.ok) return walk;
  const asked: AskedFlow[] = [];
  let problem: string | undefined;
  const targets = new Set<string>();
  const served = servedFamilies(to);
  for (const route of walk.value.routes) {
    targets.add(JSON.stringify(route.to.ref));
    const [lone] = served?.size === 1 ? served : [];
    const families = familiesOf(route.from, route.to, question.family ?? lone).filter(
      (family) => served?.has(family) ?? true,
    );
    if (families.length === 0)
      problem ??= `${question.from} and an endpoint of ${to.service.key} have no address family in common`;
    for (const family of families) {
      const flow = routeFlow(route, family);
      if (flow === undefined) continue;
      const source = sources.find(({ member }) => member === route.from);
      asked.push({
        ...flow,
        from: route.from.ref,
        count: source?.count ?? 1,
        servicePort: route.servicePort,
        ...(route.remark === undefined ? {} : { remark: route.remark }),
      });
    }
  }
  if (asked.length === 0 && problem !== undefined) return err(problem);
  const first = members.find(({ party }) => party.kind === 'pod');
  const dns =
    question.dns && first !== undefined && to.address === undefined
      ? { dns: explainDns(world, first, question.dnsService, judge, question.family) }
      : {};
  return ok({ asked, walk: walk.value, ...dns, names: { manyFrom: isMany(sources), manyTo: targets.size > 1 } });
}

/** The flow of a route, with its arrival if a node on the way changes an address. */
function routeFlow(
  { from, to, protocol, port, leaves, seenFrom }: Route,
  family: IpFamily,
): Pick<AskedFlow, 'to' | 'flow' | 'arrival'> | undefined {
  const first = leaves ?? { to, port };
  const flow = flowBetween(from, first.to, family, protocol, first.port);
  if (flow === undefined || (leaves === undefined && seenFrom === undefined)) return flow && { to: first.to.ref, flow };
  const source = seenFrom ?? from;
  const arrival = flowBetween(source, to, family, protocol, port);
  return arrival && { to: first.to.ref, flow: { ...flow, arrival }, arrival: { from: source.ref, to: to.ref } };
}

/** The families a Service is asked in: that of its address, those of its cluster addresses; any if it has none. */
function servedFamilies({ service, address }: Located & { kind: 'service' }): ReadonlySet<IpFamily> | undefined {
  const addresses = address === undefined ? service.clusterIps : [address];
  return addresses.length === 0 ? undefined : new Set(addresses.map(familyOf));
}

function isMany(classes: readonly MemberClass[]): boolean {
  return classes.reduce((sum, { count }) => sum + count, 0) > 1;
}

function portQuestion({ port, protocol, protocolGiven, family }: Question): PortQuestion {
  return { port, protocol, protocolGiven, family };
}

/** A node's port that belongs to a Service leads there. */
function nodePortService(
  world: World,
  to: Located,
  { port, protocol }: Question,
): (Located & { kind: 'service' }) | undefined {
  if (to.kind !== 'members' || typeof port !== 'number') return undefined;
  const [member] = to.members;
  if (member?.party.kind !== 'node' || member.party.hostNetworkPod !== undefined) return undefined;
  for (const service of world.cluster.snapshot.services.values()) {
    const found = service.ports.find((known) => known.nodePort === port && known.protocol === protocol);
    if (found === undefined) continue;
    const { addresses, name } = member.party;
    const [address] = addresses;
    const ref: EndRef = { kind: 'Service', namespace: service.namespace, name: service.name };
    const entered: Service = { ...service, ports: [{ ...found, port }] };
    return {
      kind: 'service',
      ref,
      service: entered,
      entry: 'outside',
      // A node that was named has all its addresses, one that was asked by an address has this one.
      ...(addresses.length > 1 || address === undefined ? {} : { address }),
      ...(name === undefined ? {} : { door: { node: name, port } }),
    };
  }
  return undefined;
}
