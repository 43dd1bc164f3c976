/** A small cast for the tests of the compiler: objects as a manifest would give them, decoded. */
import { printRule } from 'nftables-json';

import type { PodBinding } from '../../model/binding.ts';
import { parseCidr } from '../../model/cidr.ts';
import type { Cidr } from '../../model/cidr.ts';
import { decodeObject } from '../../model/decode/object.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import type { IpAddress } from '../../model/ip.ts';
import type { Namespace } from '../../model/namespace.ts';
import type { NetworkPolicy } from '../../model/policy.ts';
import type { ModelObject } from '../../model/snapshot.ts';
import { lowerEndpoint } from '../lower.ts';
import type { LoweredEndpoint } from '../lower.ts';
import { resolve } from '../resolve.ts';
import type { DesiredChain } from '../ruleset.ts';

/** What matters of a pod. `ports` are `name:number/protocol`. */
export interface PodDraft {
  readonly name?: string;
  readonly namespace?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly node?: string;
  readonly ips?: readonly string[];
  readonly ports?: readonly string[];
  readonly phase?: string;
  readonly hostNetwork?: boolean;
}

/** A pod; `x/a` on node `n1` with the address 10.244.1.1 unless said otherwise. */
export function pod(draft: PodDraft = {}): Endpoint {
  const { name = 'a', namespace = 'x', labels = {}, node = 'n1', ips = ['10.244.1.1'], ports = [] } = draft;
  const containerPorts = ports.map((text) => {
    const [portName = '', number = '', protocol = ''] = text.split(/[:/]/);
    return { name: portName, containerPort: Number(number), protocol };
  });
  return decode('Pod', 'v1', {
    metadata: { name, namespace, labels },
    spec: { nodeName: node, hostNetwork: draft.hostNetwork ?? false, containers: [{ ports: containerPorts }] },
    status: { phase: draft.phase ?? 'Running', podIPs: ips.map((ip) => ({ ip })) },
  }) as Endpoint;
}

/** A policy `x/p` with this spec. */
export function policy(spec: object, metadata: object = {}): NetworkPolicy {
  const head = { name: 'p', namespace: 'x', ...metadata };
  return decode('NetworkPolicy', 'networking.k8s.io/v1', { metadata: head, spec }) as NetworkPolicy;
}

/** A namespace with labels. */
export function namespace(name: string, labels: Readonly<Record<string, string>> = {}): Namespace {
  return decode('Namespace', 'v1', { metadata: { name, labels } }) as Namespace;
}

/** A block. Throws if it is none. */
export function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  if (parsed === undefined) throw new Error(`no block: ${text}`);
  return parsed.cidr;
}

/** An address, trusted. */
export function ip(text: string): IpAddress {
  return text as IpAddress;
}

/** A pod on interface `veth-NAME`. */
export function bind(subject: Endpoint, attachment: PodBinding['attachment'] = { kind: 'routed' }): PodBinding {
  return {
    pod: subject.key,
    uid: subject.uid,
    interface: `veth-${subject.name}`,
    mac: '02:00:00:00:00:01',
    addresses: subject.addresses,
    attachment,
  };
}

/** A pod with its policies, lowered. */
export function lower(
  policies: readonly NetworkPolicy[],
  subject: Endpoint,
  attachment: PodBinding['attachment'] = { kind: 'routed' },
): LoweredEndpoint {
  return lowerEndpoint(resolve(policies, subject), bind(subject, attachment));
}

/** The rules of a chain as nft text, without comments. */
export function textOf(chain: DesiredChain | undefined): readonly string[] {
  return (chain?.rules ?? []).map(({ statements }) => printRule({ expr: statements }));
}

function decode(kind: string, apiVersion: string, fields: object): ModelObject {
  const { object } = decodeObject({ apiVersion, kind, ...fields }, { kind: 'cluster', resourceVersion: '1' });
  if (object === undefined) throw new Error(`no ${kind}: ${JSON.stringify(fields)}`);
  return object;
}
