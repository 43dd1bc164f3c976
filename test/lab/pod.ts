import type { LabNode } from './node.ts';

/** A declared container port. */
export interface LabPort {
  readonly name?: string;
  readonly containerPort: number;
  readonly protocol?: 'TCP' | 'UDP' | 'SCTP';
}

/** What a pod of the lab should be. */
export interface PodOptions {
  readonly name: string;
  /** `default` by default. */
  readonly namespace?: string;
  /** As an API server gave it; by default a new one. */
  readonly uid?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly ports?: readonly LabPort[];
  /** These addresses instead of the next free ones. */
  readonly ips?: readonly string[];
  /**
   * `cni` (default) calls the real plugins; `plain` makes the same kind of interface with `ip` alone: several times
   * faster, any address, needs `ips`.
   */
  readonly attach?: 'cni' | 'plain';
  /** Name of a plain pod's veth on the node, as another network plugin would choose it; `veth` and 8 digits by default. */
  readonly hostInterface?: string;
}

/** A pod: a network namespace behind a veth of its node. */
export interface LabPod {
  readonly node: LabNode;
  readonly namespace: string;
  readonly name: string;
  readonly netns: string;
  readonly uid: string;
  readonly containerId: string;
  readonly attach: 'cni' | 'plain';
  readonly labels: Readonly<Record<string, string>>;
  readonly ports: readonly LabPort[];
  /** In the order of the node's pod CIDRs. */
  readonly ips: readonly string[];
  readonly mac: string;
  /** Name of the veth in the node's namespace. */
  readonly hostInterface: string;
}

/** A pod's address of one family; throws if it has none. */
export function addressOf(pod: Pick<LabPod, 'name' | 'ips'>, family: 'IPv4' | 'IPv6'): string {
  const ip = pod.ips.find((address) => address.includes(':') === (family === 'IPv6'));
  if (ip === undefined) throw new Error(`${pod.name} has no ${family} address`);
  return ip;
}
