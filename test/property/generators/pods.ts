import * as fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import type { RawObject } from '../../oracle/question.ts';
import {
  anyOf,
  arbLabels,
  arbPort,
  arbProtocol,
  nodeAddresses,
  podAddresses,
  portNames,
  present,
  weighted,
} from './roster.ts';

/** The families a cluster gives to its pods and nodes. */
export type Families = 'dual' | 'IPv4' | 'IPv6';

/** Everything about a pod except its name. */
export interface PodDraft {
  readonly labels: unknown;
  readonly node: 'n1' | 'n2';
  /** Which families of those the cluster has. */
  readonly families: Families;
  /** Indexes into the pods' addresses; `undefined`: the pod's own. */
  readonly address: { readonly IPv4: number | undefined; readonly IPv6: number | undefined };
  /** How the status states the addresses. */
  readonly statement: 'podIPs' | 'reversed' | 'podIP only' | 'podIPs empty' | 'none';
  readonly phase: string;
  readonly terminating: boolean;
  readonly created: string | undefined;
  readonly containers: readonly unknown[];
  readonly initContainers: readonly unknown[] | undefined;
}

const arbContainerPort = fc
  .record({
    name: weighted<string | undefined>([6, anyOf(...portNames)], [1, fc.constant(undefined)]),
    containerPort: arbPort,
    protocol: weighted<string | null | undefined>([4, arbProtocol], [1, anyOf(undefined, null)]),
  })
  .map(present);

function arbContainer(extra: object): Arbitrary<object> {
  return fc
    .array(arbContainerPort, { maxLength: 5, size: 'max' })
    .map((ports) => ({ name: 'c', image: 'i', ...extra, ...(ports.length === 0 ? {} : { ports }) }));
}

const arbAddress: Arbitrary<number | undefined> = weighted<number | undefined>(
  [8, fc.constant(undefined)],
  [1, fc.nat({ max: podAddresses.length - 1 })],
);

/** A pod in any state of its life; now and then it claims an address of another. */
export const arbPod: Arbitrary<PodDraft> = fc.record({
  labels: weighted<unknown>([12, arbLabels], [1, anyOf<unknown>(undefined, null, { app: null })]),
  node: anyOf<'n1' | 'n2'>('n1', 'n2'),
  families: weighted<Families>([5, fc.constant('dual')], [1, anyOf('IPv4', 'IPv6')]),
  address: weighted(
    [3, arbAddress.map((both) => ({ IPv4: both, IPv6: both }))],
    [1, fc.record({ IPv4: arbAddress, IPv6: arbAddress })],
  ),
  statement: weighted<PodDraft['statement']>(
    [10, fc.constant('podIPs')],
    [1, fc.constant('reversed')],
    [1, anyOf('podIP only', 'podIPs empty')],
    [1, fc.constant('none')],
  ),
  phase: weighted(
    [14, fc.constant('Running')],
    [1, fc.constant('Pending')],
    [1, fc.constant('Unknown')],
    [3, anyOf('Succeeded', 'Failed')],
  ),
  terminating: weighted([8, fc.constant(false)], [1, fc.constant(true)]),
  created: anyOf(undefined, '2026-01-01T00:00:00Z', '2026-01-01T00:00:01Z', '2026-03-01T12:00:00Z'),
  containers: fc.array(arbContainer({}), { minLength: 1, maxLength: 2 }),
  initContainers: weighted<readonly unknown[] | undefined>(
    [3, fc.constant(undefined)],
    [1, fc.tuple(arbContainer({ restartPolicy: 'Always' }))],
    [1, fc.tuple(arbContainer({}), arbContainer({ restartPolicy: 'Always' }))],
    [1, fc.tuple(arbContainer({}))],
  ),
});

/** The object of a draft on the pod network. `slot` is the index of its own addresses. */
export function podObject(key: string, slot: number, draft: PodDraft, cluster: Families): RawObject {
  const address = (family: 'IPv4' | 'IPv6'): string => podAddresses[draft.address[family] ?? slot]![family];
  return build(key, draft, familiesOf(draft, cluster).map(address), {});
}

/** The object of a draft on the host network: its addresses are its node's. */
export function hostPodObject(key: string, draft: PodDraft, cluster: Families): RawObject {
  const addresses = (cluster === 'dual' ? (['IPv4', 'IPv6'] as const) : [cluster]).map(
    (f) => nodeAddresses[draft.node][f],
  );
  return build(key, draft, addresses, { hostNetwork: true });
}

function familiesOf(draft: PodDraft, cluster: Families): readonly ('IPv4' | 'IPv6')[] {
  if (cluster !== 'dual') return [cluster];
  return draft.families === 'dual' ? ['IPv4', 'IPv6'] : [draft.families];
}

function build(key: string, draft: PodDraft, addresses: readonly string[], network: object): RawObject {
  const [namespace, name] = key.split('/');
  const metadata = {
    name,
    namespace,
    labels: draft.labels,
    creationTimestamp: draft.created,
    deletionTimestamp: draft.terminating ? '2026-06-01T00:00:00Z' : undefined,
  };
  const { containers, initContainers } = draft;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: present(metadata),
    spec: present({ nodeName: draft.node, ...network, initContainers, containers }),
    status: { phase: draft.phase, ...stateAddresses(draft.statement, addresses) },
  };
}

function stateAddresses(statement: PodDraft['statement'], addresses: readonly string[]): object {
  const ordered = statement === 'reversed' ? [...addresses].reverse() : addresses;
  switch (statement) {
    case 'podIPs':
    case 'reversed':
      return { podIP: ordered[0], podIPs: ordered.map((ip) => ({ ip })) };
    case 'podIP only':
      return { podIP: ordered[0] };
    case 'podIPs empty':
      return { podIP: ordered[0], podIPs: [] };
    case 'none':
      return {};
  }
}
