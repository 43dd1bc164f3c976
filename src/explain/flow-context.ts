import type { Endpoint } from '../model/endpoint.ts';
import type { Flow, FlowEnd } from '../model/flow.ts';
import type { Direction } from '../model/policy.ts';
import { placeOf } from './cluster.ts';
import type { Cluster } from './cluster.ts';
import type { EndRef } from './explanation.ts';

/** A flow with what its explanation needs besides: how the ends are called and how the question got here. */
export interface FlowContext {
  readonly cluster: Cluster;
  readonly flow: Flow;
  readonly from: EndRef;
  readonly to: EndRef;
  /** The port that was asked of a Service, before translation. */
  readonly servicePort?: number;
  /** The flow stands for its port and all up to this one. */
  readonly lastPort?: number;
  /** Of the flow's arrival, if it has one. */
  readonly arrival?: FlowContext;
}

/** The flow as the policies of a direction see it. */
export function sideContext(context: FlowContext, direction: Direction): FlowContext {
  return direction === 'ingress' ? (context.arrival ?? context) : context;
}

/** The end a direction's policies are about. */
export function subjectOf(context: FlowContext, direction: Direction): { readonly end: FlowEnd; readonly ref: EndRef } {
  return direction === 'egress'
    ? { end: context.flow.from, ref: context.from }
    : { end: context.flow.to, ref: context.to };
}

/** The end a direction's peers are about. */
export function otherOf(context: FlowContext, direction: Direction): { readonly end: FlowEnd; readonly ref: EndRef } {
  return subjectOf(context, direction === 'egress' ? 'ingress' : 'egress');
}

/** What an end is called once its namespace is clear: `web-7d9c5`, `node/a`, `10.0.0.1`. */
export function shortName(ref: EndRef): string {
  switch (ref.kind) {
    case 'Address':
      return ref.address;
    case 'Block':
      return ref.cidr;
    case 'Node':
      return `node/${ref.name}`;
    case 'Pod':
      return ref.name;
    case 'Service':
    case 'Deployment':
    case 'StatefulSet':
    case 'DaemonSet':
    case 'ReplicaSet':
    case 'Job':
    case 'CronJob':
      return `${ref.kind.toLowerCase()} ${ref.name}`;
  }
}

/** The declared ports of a pod as `tls = 8443/TCP (cluster.yaml:47)`, in order. */
export function declaredPorts(cluster: Cluster, pod: Endpoint): readonly string[] {
  return pod.declaredPorts.map((declared) => {
    const place = placeOf(cluster, pod, declared.path);
    const number = `${declared.port}/${declared.protocol}`;
    return `${declared.name === undefined ? number : `${declared.name} = ${number}`}${place === undefined ? '' : ` (${place})`}`;
  });
}
