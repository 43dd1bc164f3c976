import { familyBits, familyOf } from '../model/ip.ts';
import type { HostFacts } from './facts.ts';
import type { Link } from './links.ts';

/** Why an interface is a way out of this node, whoever else uses it, or `undefined` if nothing says so. */
export function exitReason(facts: Pick<HostFacts, 'routes'>, link: Link): string | undefined {
  if (link.loopback) return 'it is the loopback';
  if (link.kind === undefined) return 'it is a physical interface';
  const leadsOut = facts.routes.some(
    ({ destination, hops }) => destination.prefix === 0 && hops.some((hop) => hop.interface === link.name),
  );
  return leadsOut ? 'it has a default route' : undefined;
}

/** Like {@link exitReason}; also a route through a gateway, which may be a pod that forwards for others. */
export function uplinkReason(facts: Pick<HostFacts, 'routes'>, link: Link): string | undefined {
  const exit = exitReason(facts, link);
  if (exit !== undefined) return exit;
  const route = facts.routes.find(({ hops }) => hops.some((hop) => hop.interface === link.name && hop.gateway));
  return route === undefined ? undefined : `it has a route to ${route.destination.text} through a gateway`;
}

/** Like {@link uplinkReason}, for an interface that is no pod's as far as is known: a subnet on it means neighbours that are no pods. */
export function strangerReason(facts: Pick<HostFacts, 'routes'>, link: Link): string | undefined {
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
