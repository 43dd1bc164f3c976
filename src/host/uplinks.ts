import { familyBits, familyOf } from '../model/ip.ts';
import type { HostFacts } from './facts.ts';
import type { Link } from './links.ts';

/** Why an interface surely leads away from this node, or `undefined` if nothing says so. */
export function uplinkReason(facts: Pick<HostFacts, 'routes' | 'links'>, link: Link): string | undefined {
  if (link.loopback) return 'it is the loopback';
  if (link.kind === undefined) return 'it is a physical interface';
  for (const { destination, hops } of facts.routes) {
    const own = hops.filter((hop) => hop.interface === link.name);
    if (own.length > 0 && destination.prefix === 0) return 'it has a default route';
    if (own.some(({ gateway }) => gateway)) return `it has a route to ${destination.text} through a gateway`;
  }
  return undefined;
}

/** Like {@link uplinkReason}, for an interface that is no pod's as far as is known: a subnet on it means neighbours that are no pods. */
export function strangerReason(facts: Pick<HostFacts, 'routes' | 'links'>, link: Link): string | undefined {
  const uplink = uplinkReason(facts, link);
  if (uplink !== undefined) return uplink;
  // Network plugins give the node's end of a pod's veth no address, or one with a host prefix.
  const subnet = link.addresses.find(
    ({ address, prefix, scope }) => scope === 'global' && prefix < familyBits(familyOf(address)),
  );
  return subnet === undefined ? undefined : `it has the address ${subnet.address}/${subnet.prefix}`;
}

/** The bridge that a link is a port of, if its master is one. */
export function bridgeOfPort(links: readonly Link[], link: Link): Link | undefined {
  return links.find(({ name, kind }) => name === link.master && kind === 'bridge');
}
