import type { Cidr } from './cidr.ts';
import type { IpAddress } from './ip.ts';
import type { PodKey } from './names.ts';

/** How a pod's interface joins the node: its own route, or a port of a bridge. */
export type Attachment = { readonly kind: 'routed' } | { readonly kind: 'bridged'; readonly bridge: string };

/** A local pod and the host interface that is surely its own. */
export interface PodBinding {
  readonly pod: PodKey;
  /** Identity of the pod; a new pod of the same name has another. */
  readonly uid: string;
  /** Host side of the veth, at most 15 bytes. */
  readonly interface: string;
  /** The pod side's MAC address, lower case. Always known for bridged pods: the guard binds frames to it. */
  readonly mac?: string;
  /** Addresses the pod may send from. */
  readonly addresses: readonly IpAddress[];
  readonly attachment: Attachment;
}

/** How the guard recognises ports of the pod bridge among all ports of the node. */
export type BridgePorts =
  /** `meta ibrname`, where the kernel has NFT_BRIDGE_META. */
  | { readonly kind: 'bridge-name' }
  /** By interface name pattern, when the pod bridge is the only bridge with such ports. */
  | { readonly kind: 'pattern'; readonly pattern: string };

/**
 * How packets enter tunnels of the node that believe every sender (VXLAN, IP in IP, …): what a pod sends there would come
 * out with whatever source address it wrote inside.
 */
export interface OpenTunnels {
  /** UDP ports. */
  readonly ports: readonly number[];
  /** IP protocols. */
  readonly protocols: readonly number[];
}

/** What the agent knows of its node's network: where pods hang and how to recognise a pod it does not know. */
export interface NodeShape {
  /** Patterns (`veth*`) of host interfaces of routed pods. */
  readonly routed: readonly string[];
  /** Every veth is taken for a routed pod's, whatever its name: nobody knows how the network plugin names them. */
  readonly anyVeth?: true;
  /** Interfaces that `routed` or `anyVeth` covers and that are surely no pod's: an uplink with a pod-like name. */
  readonly strangers?: readonly string[];
  /** Addresses of a DNS cache on the node itself, sorted; absent if there is none. */
  readonly nodeDns?: readonly IpAddress[];
  /** Absent if the node has none. */
  readonly tunnels?: OpenTunnels;
  /** nft can match which address a neighbour advertisement is about, so the guard holds it to its port's own. */
  readonly neighbourTargets?: true;
  readonly bridges: readonly {
    readonly name: string;
    readonly ports: BridgePorts;
    /** Pod addresses of this node: what a port that is not known yet may use towards its node. */
    readonly podCidrs: readonly Cidr[];
    /** The node's own addresses on the bridge, which are its pods' gateways: no port may claim one. */
    readonly addresses?: readonly IpAddress[];
  }[];
}

/** Whether pods of the node may be routed, by its shape. */
export function routesPods({ routed, anyVeth }: NodeShape): boolean {
  return routed.length > 0 || anyVeth === true;
}
