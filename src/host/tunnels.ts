import type { OpenTunnels } from '../model/binding.ts';
import type { Link } from './links.ts';

/** IP protocols that devices of a kind receive: 4 is IPv4 in IP, 41 IPv6 in IP, 47 GRE. */
const PROTOCOLS: ReadonlyMap<string, readonly number[]> = new Map<string, readonly number[]>([
  ...['ipip', 'sit', 'ip6tnl'].map((kind) => [kind, [4, 41]] as const),
  ...['gre', 'gretap', 'erspan', 'ip6gre', 'ip6gretap', 'ip6erspan'].map((kind) => [kind, [47]] as const),
]);

/**
 * Tunnels of the node that take packets from anybody; `undefined` if there is none. WireGuard and IPsec know their peers.
 */
export function openTunnels(links: readonly Link[]): OpenTunnels | undefined {
  const up = links.filter(({ down }) => down !== true);
  const unique = (numbers: readonly number[]): number[] => [...new Set(numbers)].sort((a, b) => a - b);
  const ports = unique(up.flatMap(({ tunnelPort }) => tunnelPort ?? []));
  const protocols = unique(up.flatMap(({ kind }) => PROTOCOLS.get(kind ?? '') ?? []));
  return ports.length + protocols.length === 0 ? undefined : { ports, protocols };
}
