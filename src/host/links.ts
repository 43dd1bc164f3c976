import { z } from 'zod';

import { parseCidr } from '../model/cidr.ts';
import type { Cidr } from '../model/cidr.ts';
import { familyBits, familyOf, parseIp } from '../model/ip.ts';
import type { IpAddress } from '../model/ip.ts';
import { HostError } from './commands.ts';

/** An address of an interface with the length of its subnet's prefix. */
export interface LinkAddress {
  readonly address: IpAddress;
  readonly prefix: number;
  /** `global`, `link`, `host`, … */
  readonly scope: string;
}

/** A network interface of one network namespace. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** `veth`, `bridge`, `vlan`, …; absent for physical interfaces and the loopback. */
  readonly kind?: string;
  readonly loopback: boolean;
  readonly down?: true;
  /** UDP port on which a VXLAN or Geneve device receives. */
  readonly tunnelPort?: number;
  readonly mac?: string;
  /** The interface this one is enslaved to. */
  readonly master?: string;
  /** Index of the other end of a veth, or of the lower device; counted in the namespace `peerNamespaceId` names. */
  readonly peerIndex?: number;
  /** Id that this namespace gives to the peer's namespace; absent if the peer is in the same one. */
  readonly peerNamespaceId?: number;
  readonly addresses: readonly LinkAddress[];
}

/**
 * A unicast route with its interfaces. Local, broadcast, multicast and refusing routes are left out, and those that the
 * node learned from packets (router advertisements, redirects): a pod can send them and must not shape what we believe.
 */
export interface Route {
  /** `default` is `0.0.0.0/0` or `::/0`. */
  readonly destination: Cidr;
  readonly hops: readonly { readonly interface: string; readonly gateway: boolean }[];
}

/** What the node has learned about an address on a link. */
export interface Neighbour {
  readonly address: IpAddress;
  readonly interface: string;
  readonly mac: string;
}

/** A learned entry of a bridge's forwarding table. */
export interface ForwardingEntry {
  readonly mac: string;
  readonly port: string;
  readonly bridge: string;
}

const linkSchema = z.object({
  ifindex: z.int(),
  ifname: z.string().min(1),
  flags: z.array(z.string()).default([]),
  address: z.string().optional(),
  master: z.string().optional(),
  link_index: z.int().optional(),
  link_netnsid: z.int().optional(),
  linkinfo: z
    .object({ info_kind: z.string().optional(), info_data: z.looseObject({ port: z.unknown().optional() }).optional() })
    .optional(),
  addr_info: z
    .array(z.object({ local: z.string().optional(), prefixlen: z.int().optional(), scope: z.string().optional() }))
    .default([]),
});

const hopSchema = z.object({
  dev: z.string().optional(),
  gateway: z.unknown().optional(),
  via: z.unknown().optional(),
});
const routeSchema = hopSchema.extend({
  dst: z.string(),
  type: z.string().optional(),
  protocol: z.string().optional(),
  nexthops: z.array(hopSchema).optional(),
});

const neighbourSchema = z.object({
  dst: z.string().optional(),
  dev: z.string(),
  lladdr: z.string().optional(),
  state: z.array(z.string()).default([]),
});

const forwardingSchema = z.object({
  mac: z.string(),
  ifname: z.string(),
  master: z.string().optional(),
  state: z.string().optional(),
  flags: z.array(z.string()).default([]),
});

/** Parses `ip -j -d addr show`. Throws {@link HostError} on anything else, nothing included: there is always a loopback. */
export function parseLinks(text: string): Link[] {
  if (text.trim() === '') throw new HostError('output-unreadable', 'ip -j -d addr', 'printed nothing');
  return parseRows('ip -j -d addr', text, linkSchema).map((row) => {
    const kind = row.linkinfo?.info_kind;
    const port = row.linkinfo?.info_data?.port;
    const addresses = row.addr_info.flatMap(({ local, prefixlen, scope }) => {
      const address = local === undefined ? undefined : parseIp(local);
      return address === undefined
        ? []
        : [{ address, prefix: prefixlen ?? familyBits(familyOf(address)), scope: scope ?? 'global' }];
    });
    return {
      index: row.ifindex,
      name: row.ifname,
      ...(kind === undefined ? {} : { kind }),
      loopback: row.flags.includes('LOOPBACK'),
      ...(row.flags.includes('UP') ? {} : { down: true as const }),
      ...((kind === 'vxlan' || kind === 'geneve') && typeof port === 'number' ? { tunnelPort: port } : {}),
      ...(row.address === undefined ? {} : { mac: row.address.toLowerCase() }),
      ...(row.master === undefined ? {} : { master: row.master }),
      ...(row.link_index === undefined ? {} : { peerIndex: row.link_index }),
      ...(row.link_netnsid === undefined ? {} : { peerNamespaceId: row.link_netnsid }),
      addresses,
    };
  });
}

/** Parses `ip -j -4|-6 route show table all`. Throws {@link HostError} on anything else. */
export function parseRoutes(family: '4' | '6', text: string): Route[] {
  return parseRows(`ip -j -${family} route`, text, routeSchema).flatMap((row) => {
    if (row.type !== undefined && row.type !== 'unicast') return [];
    if (row.protocol === 'ra' || row.protocol === 'redirect') return [];
    const hops = (row.nexthops ?? [row]).flatMap(({ dev, gateway, via }) =>
      dev === undefined ? [] : [{ interface: dev, gateway: gateway !== undefined || via !== undefined }],
    );
    const destination = parseDestination(family, row.dst);
    return destination === undefined || hops.length === 0 ? [] : [{ destination, hops }];
  });
}

/** Parses `ip -j neigh show`; entries that never answered are left out. Throws {@link HostError} on anything else. */
export function parseNeighbours(text: string): Neighbour[] {
  return parseRows('ip -j neigh', text, neighbourSchema).flatMap(({ dst, dev, lladdr, state }) => {
    const address = dst === undefined ? undefined : parseIp(dst);
    if (address === undefined || lladdr === undefined || state.includes('FAILED') || state.includes('INCOMPLETE'))
      return [];
    return [{ address, interface: dev, mac: lladdr.toLowerCase() }];
  });
}

/** Parses `bridge -j fdb show`; only learned entries, not the ports' own addresses. Throws {@link HostError} on anything else. */
export function parseForwarding(text: string): ForwardingEntry[] {
  return parseRows('bridge -j fdb', text, forwardingSchema).flatMap(({ mac, ifname, master, state, flags }) =>
    master === undefined || state === 'permanent' || flags.includes('self')
      ? []
      : [{ mac: mac.toLowerCase(), port: ifname, bridge: master }],
  );
}

function parseDestination(family: '4' | '6', text: string): Cidr | undefined {
  if (text === 'default') return parseCidr(family === '4' ? '0.0.0.0/0' : '::/0')?.cidr;
  return parseCidr(text.includes('/') ? text : `${text}/${family === '4' ? 32 : 128}`)?.cidr;
}

/** iproute2 prints nothing at all for an empty table, and `{}` for rows that a filter removed. */
function parseRows<T>(command: string, text: string, schema: z.ZodType<T>): T[] {
  if (text.trim() === '') return [];
  try {
    const rows = z.array(z.looseObject({})).parse(JSON.parse(text));
    return rows.filter((row) => Object.keys(row).length > 0).map((row) => schema.parse(row));
  } catch (cause) {
    throw new HostError('output-unreadable', command, 'printed something that is not the JSON we know', { cause });
  }
}
