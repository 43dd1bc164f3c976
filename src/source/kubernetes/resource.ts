import type { ResourceKind } from '../source.ts';

/** One collection of the API, as it is listed and watched. */
export interface Resource {
  readonly kind: ResourceKind;
  readonly apiVersion: string;
  /** `''` for the core group. */
  readonly group: string;
  /** `networkpolicies`. */
  readonly plural: string;
  /** `/api/v1/pods`: all namespaces. */
  readonly path: string;
  readonly fieldSelector?: string;
  /** Wider, for servers that do not know all fields of the other. */
  readonly widerFieldSelector?: string;
}

/** Finished pods and pods on the host network are nobody's subject or peer: the server need not send them. */
export const policedPods = 'status.phase!=Succeeded,status.phase!=Failed,spec.hostNetwork=false';
/** What servers without `spec.hostNetwork` among the fields to select by can leave out of it. */
export const unfinishedPods = 'status.phase!=Succeeded,status.phase!=Failed';

const resources: Readonly<Record<ResourceKind, Omit<Resource, 'kind' | 'path'>>> = {
  Pod: { apiVersion: 'v1', group: '', plural: 'pods' },
  Namespace: { apiVersion: 'v1', group: '', plural: 'namespaces' },
  Node: { apiVersion: 'v1', group: '', plural: 'nodes' },
  Service: { apiVersion: 'v1', group: '', plural: 'services' },
  NetworkPolicy: { apiVersion: 'networking.k8s.io/v1', group: 'networking.k8s.io', plural: 'networkpolicies' },
};

/** The cluster-wide collection of a kind, narrowed by the server if a field selector is given. */
export function resourceOf(kind: ResourceKind, fieldSelector?: string, widerFieldSelector?: string): Resource {
  const { apiVersion, group, plural } = resources[kind];
  const root = group === '' ? '/api' : '/apis';
  const path = `${root}/${apiVersion}/${plural}`;
  return {
    kind,
    apiVersion,
    group,
    plural,
    path,
    ...(fieldSelector !== undefined && { fieldSelector }),
    ...(widerFieldSelector !== undefined && { widerFieldSelector }),
  };
}
