import type { Brand } from './brand.ts';

/** The name of a Namespace. */
export type NamespaceName = Brand<string, 'NamespaceName'>;
/** The name of a Node. */
export type NodeName = Brand<string, 'NodeName'>;
/** `namespace/name` of a Pod. */
export type PodKey = Brand<string, 'PodKey'>;
/** `namespace/name` of a NetworkPolicy. */
export type PolicyKey = Brand<string, 'PolicyKey'>;
/** `namespace/name` of a Service. */
export type ServiceKey = Brand<string, 'ServiceKey'>;

/** Brands the name of a Namespace. */
export function namespaceName(name: string): NamespaceName {
  return name as NamespaceName;
}

/** Brands the name of a Node. */
export function nodeName(name: string): NodeName {
  return name as NodeName;
}

/** The key of a Pod. Neither part can hold a slash (RFC 1123 names), so the key is unique. */
export function podKey(namespace: string, name: string): PodKey {
  return `${namespace}/${name}` as PodKey;
}

/** The key of a NetworkPolicy. */
export function policyKey(namespace: string, name: string): PolicyKey {
  return `${namespace}/${name}` as PolicyKey;
}

/** The key of a Service. */
export function serviceKey(namespace: string, name: string): ServiceKey {
  return `${namespace}/${name}` as ServiceKey;
}

/** Orders by code units: the same order on every machine and in every locale. */
export function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
