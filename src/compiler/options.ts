import type { IpAddress } from '../model/ip.ts';

/** What the operator may choose about enforcement. */
export interface EnforcementOptions {
  /** `every-packet`: each original-direction packet is judged, so tightening cuts live flows. `new-connections`: first packets only. */
  readonly enforce: 'every-packet' | 'new-connections';
  /** What happens to traffic of local pods the agent does not know (yet). */
  readonly unknownPods: 'drop' | 'accept';
  /** Answer refused packets (TCP reset, ICMP error) instead of dropping them silently. */
  readonly reject: boolean;
  /** Enforce egress rules towards the pod's own node too. */
  readonly policeNodeEgress: boolean;
  /**
   * With `policeNodeEgress`: where DNS on the node stays reachable for every pod. `auto`: at the addresses of the
   * node's own DNS cache, if it has one.
   */
  readonly nodeDns: 'auto' | readonly IpAddress[];
  /** Record refused flows in a bounded set. */
  readonly recordDenied: boolean;
}

/** The safe defaults. */
export const defaultOptions: EnforcementOptions = {
  enforce: 'every-packet',
  unknownPods: 'drop',
  reject: false,
  policeNodeEgress: false,
  nodeDns: 'auto',
  recordDenied: true,
};
