import type { Cidr } from './cidr.ts';
import type { IpAddress } from './ip.ts';
import type { NodeName } from './names.ts';
import type { SourceRef } from './source-ref.ts';

/** A Node: its addresses (InternalIP and ExternalIP) decide what "own node" means (semantics 54). */
export interface Node {
  readonly kind: 'Node';
  readonly name: NodeName;
  readonly uid: string;
  readonly addresses: readonly IpAddress[];
  readonly podCidrs: readonly Cidr[];
  /** Keys of its taints, in order; absent if it has none. */
  readonly taints?: readonly string[];
  readonly source: SourceRef;
}
