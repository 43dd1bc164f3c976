import type { IpAddress } from './ip.ts';
import type { Labels } from './labels.ts';
import type { NamespaceName, NodeName, PodKey } from './names.ts';
import type { NamedPort } from './port.ts';
import type { SourceRef } from './source-ref.ts';

/** `status.phase`. */
export type PodPhase = 'Pending' | 'Running' | 'Succeeded' | 'Failed' | 'Unknown';

/** A pod as policy sees it. */
export interface Endpoint {
  readonly kind: 'Pod';
  readonly key: PodKey;
  readonly namespace: NamespaceName;
  readonly name: string;
  readonly uid: string;
  readonly labels: Labels;
  /** `spec.nodeName`; absent until the pod is bound. */
  readonly node?: NodeName;
  readonly hostNetwork: boolean;
  readonly phase: PodPhase;
  /** `metadata.deletionTimestamp` is set. Policies keep applying (semantics 46). */
  readonly terminating: boolean;
  /** `metadata.creationTimestamp` in milliseconds, 0 if unknown: the newest pod wins an address (semantics 49). */
  readonly createdAtMs: number;
  /** `status.podIPs`, else `status.podIP` (semantics 48). Empty until the pod has an address. */
  readonly addresses: readonly IpAddress[];
  /** Named ports of containers and restartable init containers (semantics 42). */
  readonly namedPorts: readonly NamedPort[];
  /** `kind/name` of the controlling owner, for questions about workloads. */
  readonly owner?: { readonly kind: string; readonly name: string };
  /** Every declared container port, named or not: information only (semantics 43). */
  readonly declaredPorts: readonly DeclaredPort[];
  readonly source: SourceRef;
}

/** A port some container of a pod declares, with the path of its entry. */
export interface DeclaredPort {
  readonly name?: string;
  readonly protocol: NamedPort['protocol'];
  readonly port: number;
  readonly path: readonly (string | number)[];
}

/** Whether the pod has finished: it is neither subject nor peer, and owns no address (semantics 44). */
export function isFinished(pod: Endpoint): boolean {
  return pod.phase === 'Succeeded' || pod.phase === 'Failed';
}

/** Whether policy can select the pod at all: on the pod network and not finished (semantics 22, 44, 51). */
export function isPoliced(pod: Endpoint): boolean {
  return !pod.hostNetwork && !isFinished(pod);
}

/** Total order of claims on one address: the greater one owns it (semantics 49). */
export function compareClaims(a: Endpoint, b: Endpoint): number {
  if (a.createdAtMs !== b.createdAtMs) return a.createdAtMs - b.createdAtMs;
  if (a.terminating !== b.terminating) return a.terminating ? -1 : 1;
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}
