import type { Judge } from '../compiler/judge.ts';
import type { IpFamily } from '../model/ip.ts';
import { serviceKey } from '../model/names.ts';
import { familiesOf, flowBetween } from './asked-flows.ts';
import { worst } from './explanation.ts';
import type { DnsStep, EndRef } from './explanation.ts';
import { explainFlow } from './flow-step.ts';
import type { ExplainedFlow } from './flow-step.ts';
import { nodeDnsMember } from './locate.ts';
import type { Member, World } from './locate.ts';
import { serviceEndpoints } from './service-endpoints.ts';

/** The name resolution of a question, with the explained flows behind the step. */
export interface ExplainedDns {
  readonly step: DnsStep;
  readonly flows: readonly ExplainedFlow[];
  readonly warnings: readonly string[];
}

/**
 * May the source ask the cluster's name server? UDP decides; names still resolve without TCP unless answers are long,
 * so TCP alone is a warning. Where nodes answer DNS themselves, they are asked. Without such a Service nothing is judged.
 */
export function explainDns(
  world: World,
  from: Member,
  server: { readonly namespace: string; readonly name: string },
  judge: Judge,
  family: IpFamily | undefined,
): ExplainedDns {
  const ref: EndRef = { kind: 'Service', ...server };
  const service = world.cluster.snapshot.services.get(serviceKey(server.namespace, server.name));
  const flows: ExplainedFlow[] = [];
  const ask = (to: Member, protocol: 'UDP' | 'TCP', port: number): void => {
    const [first] = familiesOf(from, to, family);
    const flow = first === undefined ? undefined : flowBetween(from, to, first, protocol, port);
    if (flow === undefined) return;
    const context = { cluster: world.cluster, flow, from: from.ref, to: to.ref, servicePort: 53 };
    flows.push(explainFlow(context, judge));
  };
  for (const protocol of ['UDP', 'TCP'] as const) {
    for (const address of world.nodeDns) ask(nodeDnsMember(address), protocol, 53);
    if (world.nodeDns.size > 0) continue;
    const port = service?.ports.find((known) => known.protocol === protocol && known.port === 53);
    if (service === undefined || port === undefined) continue;
    for (const endpoint of serviceEndpoints(world, service, port).ready) ask(endpoint.member, protocol, endpoint.port);
  }
  const udp = flows.filter(({ step }) => step.protocol === 'UDP');
  const tcp = flows.filter(({ step }) => step.protocol === 'TCP');
  const deciding = udp.length > 0 ? udp : tcp;
  const verdict = deciding.length === 0 ? null : worst(deciding.map(({ step }) => step.verdict));
  const tcpBlocked = verdict !== 'DENIED' && verdict !== null && tcp.some(({ step }) => step.verdict === 'DENIED');
  return {
    step: { kind: 'dns', verdict, server: ref, flows: flows.map(({ step }) => step) },
    flows,
    warnings: tcpBlocked ? ['DNS over TCP 53 is blocked: names with long answers do not resolve'] : [],
  };
}
