import type { Endpoint } from './endpoint.ts';
import type { Namespace } from './namespace.ts';
import type { NamespaceName, NodeName, PodKey, PolicyKey, ServiceKey } from './names.ts';
import type { Node } from './node.ts';
import type { NetworkPolicy } from './policy.ts';
import type { Service } from './service.ts';

/** Every object the engine knows. */
export type ModelObject = Namespace | Node | Endpoint | Service | NetworkPolicy;

/** The state of a cluster at one generation. */
export interface ClusterSnapshot {
  readonly generation: number;
  readonly namespaces: ReadonlyMap<NamespaceName, Namespace>;
  readonly nodes: ReadonlyMap<NodeName, Node>;
  readonly pods: ReadonlyMap<PodKey, Endpoint>;
  readonly services: ReadonlyMap<ServiceKey, Service>;
  readonly policies: ReadonlyMap<PolicyKey, NetworkPolicy>;
}
