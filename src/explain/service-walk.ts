import { placeText } from '../model/diagnostic.ts';
import { err, ok } from '../model/result.ts';
import type { Result } from '../model/result.ts';
import type { FlowProtocol } from '../model/flow.ts';
import type { Service, ServicePort } from '../model/service.ts';
import { placeOf } from './cluster.ts';
import type { Located, Member, World } from './locate.ts';
import { didYouMean } from './locate.ts';
import type { ServiceStep } from './explanation.ts';
import { externalRoutes, nodeOf } from './external-routes.ts';
import { shortName } from './flow-context.ts';
import { serviceEndpoints } from './service-endpoints.ts';

/** One way from the source to an endpoint, as policy sees it: after translation, and after source rewriting. */
export interface Route {
  readonly from: Member;
  readonly to: Member;
  readonly protocol: FlowProtocol;
  readonly port: number;
  /** The Service's port that was asked. */
  readonly servicePort: number;
  /** Where packets go before they are translated, if the source's own node does not translate them. */
  readonly leaves?: { readonly to: Member; readonly port: number };
  /** The source as the endpoint's node sees it, if a node puts its address in the place of a pod's. */
  readonly seenFrom?: Member;
  /** `entering by node-b`. */
  readonly remark?: string;
}

/** A Service question, walked to its endpoints. */
export interface Walk {
  readonly steps: readonly ServiceStep[];
  readonly routes: readonly Route[];
  readonly warnings: readonly string[];
  /** Why the Service leads nowhere; E061 or an address that only DNS knows. */
  readonly dead?: { readonly code: 'E061' | 'E090'; readonly help: readonly string[] };
}

/** What is asked of a Service. */
export interface ServiceQuestion {
  readonly from: readonly Member[];
  readonly to: Located & { readonly kind: 'service' };
  readonly protocol: FlowProtocol;
  readonly protocolGiven: boolean;
  readonly port: number | string | undefined;
}

/** Walks from a Service to its endpoints. The error is a question the Service cannot mean. */
export function walkService(world: World, question: ServiceQuestion): Result<Walk, string> {
  const { service } = question.to;
  if (service.type === 'ExternalName') return ok(externalName(world, question));
  const ports = askedPorts(question);
  if (!ports.ok) return ports;
  const steps: ServiceStep[] = [];
  const routes: Route[] = [];
  const warnings = new Set<string>();
  const help = new Set<string>();
  for (const port of ports.value) {
    const walked = walkPort(world, question, port);
    steps.push(walked.step);
    routes.push(...walked.routes);
    for (const warning of walked.warnings) warnings.add(warning);
    for (const text of walked.help) help.add(text);
  }
  const dead = routes.length === 0 ? { dead: { code: 'E061' as const, help: [...help] } } : {};
  return ok({ steps, routes, warnings: [...warnings], ...dead });
}

function askedPorts({ to, port, protocol, protocolGiven }: ServiceQuestion): Result<readonly ServicePort[], string> {
  const { service } = to;
  const declared = service.ports.map(
    (known) => `${known.port}/${known.protocol}${known.name === undefined ? '' : ` (${known.name})`}`,
  );
  if (service.ports.length === 0 && service.headless && typeof port === 'number') {
    return protocol === 'ICMP'
      ? err('ICMP is not sent to Services: ask a pod')
      : ok([{ index: -1, protocol, port, targetPort: port }]);
  }
  if (protocol === 'ICMP') return err(`ICMP is not translated by Services: ask a pod of ${service.key}`);
  if (port === undefined) {
    const wanted = service.ports.filter((known) => !protocolGiven || known.protocol === protocol);
    return wanted.length > 0 ? ok(wanted) : err(`Service ${service.key} has no ports`);
  }
  const byPort = service.ports.filter((known) =>
    typeof port === 'number' ? known.port === port : known.name === port,
  );
  const found =
    byPort.find((known) => known.protocol === protocol) ??
    (protocolGiven || typeof port === 'number' ? undefined : byPort[0]);
  if (found !== undefined) return ok([found]);
  const [otherProtocol] = byPort;
  const target = service.ports.find((known) => known.targetPort === port);
  const hint =
    otherProtocol !== undefined
      ? `; port ${port} is ${otherProtocol.protocol}: write :${port}/${otherProtocol.protocol.toLowerCase()}`
      : target !== undefined
        ? `; ${port} is its target port: ask for port ${target.port}`
        : typeof port === 'string'
          ? didYouMean(
              port,
              service.ports.flatMap(({ name }) => name ?? []),
              (name) => name,
            )
          : '';
  return err(
    `Service ${service.key} has no port ${port}/${protocol}${hint}; it has ${declared.length === 0 ? 'none' : declared.join(', ')}`,
  );
}

interface PortWalk {
  readonly step: ServiceStep;
  readonly routes: readonly Route[];
  readonly warnings: readonly string[];
  readonly help: readonly string[];
}

function walkPort(world: World, question: ServiceQuestion, port: ServicePort): PortWalk {
  const { service, address: asked, entry, door } = question.to;
  const found = serviceEndpoints(world, service, port);
  const warnings: string[] = [];
  const clients = question.from.every(({ party }) => party.kind === 'external');
  // Only a Service that is reached from outside has another way in than its cluster address.
  const outside = entry === 'outside' || (clients && service.type !== 'ClusterIP');
  const span = world.cluster
    .written(world.cluster.snapshot.services.get(service.key) ?? service)
    ?.locate(['spec', 'ports', port.index])?.value;
  const fromOutside = clients ? (service.loadBalancerIps[0] ?? service.externalIps[0]) : undefined;
  const address = service.headless ? null : (asked ?? fromOutside ?? service.clusterIps[0] ?? null);
  const suffix = port.protocol === 'TCP' ? '' : `/${port.protocol}`;
  const shown = `${service.key} ${service.headless ? 'headless' : `${address ?? 'without address'}:${port.port}${suffix}`}`;
  const names = found.ready.map(({ member }) => shortName(member.ref));
  const numbers = [...new Set(found.ready.map((endpoint) => (service.headless ? port.port : endpoint.port)))];
  const target = names.length === 0 ? 'no endpoints' : `port ${numbers.join(', ')} of ${listNames(names)}`;
  const total = found.ready.length + found.left.length;
  const count =
    total === 0
      ? 'it selects no pod'
      : total === 1 && found.ready.length === 1
        ? 'endpoint 1 of 1'
        : `${found.ready.length} of ${total} endpoints ready`;
  const place = span === undefined ? '' : `${placeText(span)}, `;
  const routes: Route[] = [];
  const unreached: string[] = [];
  for (const { member, port: number } of found.ready) {
    const toPort = service.headless ? port.port : number;
    const base = { to: member, protocol: port.protocol, port: toPort, servicePort: port.port };
    const before = routes.length;
    for (const from of question.from) {
      if (outside) {
        const entrance = { service, ...(door === undefined ? {} : { door }) };
        routes.push(...externalRoutes(world, entrance, from, base, warnings));
      } else if (isLocal(service, from, member)) routes.push({ ...base, from });
    }
    if (routes.length === before) unreached.push(shortName(member.ref));
  }
  if (found.ready.length > 0 && routes.length === 0) {
    const where = outside
      ? `externalTrafficPolicy is Local and no endpoint runs on ${door?.node ?? 'the node'}`
      : `internalTrafficPolicy is Local and no endpoint runs on the node of ${question.from.map(({ ref }) => shortName(ref)).join(', ')}`;
    warnings.push(`${where}: packets are dropped before any policy`);
  } else if (outside && unreached.length > 0) {
    warnings.push(
      `externalTrafficPolicy is Local: ${door?.node ?? 'the node'} leads to its own endpoints only, not to ${listNames(unreached)}`,
    );
  }
  if (clients && entry === 'cluster' && service.type === 'ClusterIP') {
    warnings.push(`${service.key} has no address outside the cluster: this holds only where routes lead to its pods`);
  }
  if (service.headless)
    warnings.push(
      ...headlessWarning(
        port,
        found.ready.map((endpoint) => endpoint.port),
      ),
    );
  return {
    step: {
      kind: 'service',
      service: question.to.ref,
      address,
      port: port.port,
      targetPort: port.targetPort,
      endpoints: found.ready.map(({ member }) => member.ref),
      ...(span === undefined ? {} : { span }),
      text: `${shown} -> ${target}`,
      note: `${place}${count}`,
      ...(found.ready.length === 0 ? { code: 'E061' as const } : {}),
    },
    routes,
    warnings,
    help: found.ready.length > 0 ? [] : endpointHelp(world, service, found),
  };
}

function headlessWarning(port: ServicePort, targets: readonly number[]): readonly string[] {
  const differs = targets.some((target) => target !== port.port);
  return differs
    ? [`a headless Service translates no ports: clients reach port ${port.port} of the pod itself, not the target port`]
    : [];
}

/** `internalTrafficPolicy: Local` keeps traffic from inside on its node. */
function isLocal(service: Service, from: Member, to: Member): boolean {
  if (service.internalTrafficPolicy !== 'Local' || service.headless) return true;
  const [a, b] = [nodeOf(from), nodeOf(to)];
  return a === undefined || b === undefined || a === b;
}

function endpointHelp(
  world: World,
  service: Service,
  { left, from }: ReturnType<typeof serviceEndpoints>,
): readonly string[] {
  if (left.length > 0) return left;
  if (from === 'nobody') return [`${service.key} has no selector: give its EndpointSlices with -f`];
  if (from === 'slices') return ['its EndpointSlices name no ready endpoint for this port'];
  const wanted = [...(service.selector ?? [])];
  const text = wanted.map(([key, value]) => `${key}=${value}`).join(',');
  for (const pod of world.cluster.snapshot.pods.values()) {
    if (pod.namespace !== service.namespace) continue;
    const missed = wanted.filter(([key, value]) => pod.labels.get(key) !== value);
    if (missed.length !== 1 || wanted.length + pod.labels.size === 0) continue;
    const [key = '', value = ''] = missed[0] ?? [];
    const has = pod.labels.get(key);
    if (has !== undefined && didYouMean(value, [has], (name) => name) !== '') {
      const place = placeOf(world.cluster, service, ['spec', 'selector', key]);
      const where = place === undefined ? '' : ` (${place})`;
      return [`no pod in "${service.namespace}" has ${text}${where}; did you mean ${key}=${has}, as ${pod.name} has?`];
    }
  }
  return [`no pod in "${service.namespace}" has ${text}`];
}

function externalName(world: World, { to, port }: ServiceQuestion): Walk {
  const { service } = to;
  const host = service.externalName ?? 'another name';
  const span = world.cluster.written(service)?.locate(['spec', 'externalName'])?.pair;
  return {
    steps: [
      {
        kind: 'service',
        service: to.ref,
        address: null,
        port: typeof port === 'number' ? port : null,
        targetPort: null,
        endpoints: [],
        ...(span === undefined ? {} : { span }),
        text: `${service.key} is another name for ${host}`,
        ...(span === undefined ? {} : { note: placeText(span) }),
      },
    ],
    routes: [],
    warnings: [],
    dead: { code: 'E090', help: [`policy sees the address that ${host} resolves to: ask again with it`] },
  };
}

/** `a`, `a, b`, `a, b and 3 more`. */
export function listNames(names: readonly string[]): string {
  return names.length <= 3 ? names.join(', ') : `${names.slice(0, 2).join(', ')} and ${names.length - 2} more`;
}
