import { familyOf, ipFamilies } from '../model/ip.ts';
import type { IpAddress, IpFamily } from '../model/ip.ts';
import type { NodeName } from '../model/names.ts';
import type { Node } from '../model/node.ts';
import type { HostFacts } from './facts.ts';

/** Who this node is. */
export interface NodeFacts {
  readonly name: NodeName;
  /** Addresses of the node: those the API names first, then all its interfaces have; no duplicates. */
  readonly addresses: readonly IpAddress[];
  /** Families in which the node has any of them. */
  readonly families: readonly IpFamily[];
}

/** Joins what the API and the kernel know about the node. `node` is absent until the API has named it. */
export function nodeFacts(name: NodeName, facts: HostFacts, node?: Node): NodeFacts {
  const own = facts.links.flatMap(({ addresses }) =>
    addresses.filter(({ scope }) => scope === 'global').map(({ address }) => address),
  );
  const addresses = [...new Set([...(node?.addresses ?? []), ...own])];
  return {
    name,
    addresses,
    families: ipFamilies.filter((family) => addresses.some((address) => familyOf(address) === family)),
  };
}
