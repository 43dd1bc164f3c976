import type { IpAddress } from './ip.ts';
import type { Labels } from './labels.ts';
import type { NamespaceName, ServiceKey } from './names.ts';
import type { Protocol } from './port.ts';
import type { SourceRef } from './source-ref.ts';

/** One port of a Service. `targetPort` is a number or the name of a container port. */
export interface ServicePort {
  readonly index: number;
  readonly name?: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly targetPort: number | string;
  readonly nodePort?: number;
}

/** What policy questions need of a Service. */
export interface Service {
  readonly kind: 'Service';
  readonly key: ServiceKey;
  readonly namespace: NamespaceName;
  readonly name: string;
  readonly uid: string;
  readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName';
  /** Absent: a Service without selector, whose endpoints are written by someone else. */
  readonly selector?: Labels;
  /** Empty for headless Services. */
  readonly clusterIps: readonly IpAddress[];
  readonly headless: boolean;
  readonly externalIps: readonly IpAddress[];
  readonly loadBalancerIps: readonly IpAddress[];
  readonly externalName?: string;
  readonly externalTrafficPolicy: 'Cluster' | 'Local';
  readonly internalTrafficPolicy: 'Cluster' | 'Local';
  readonly ports: readonly ServicePort[];
  readonly source: SourceRef;
}
