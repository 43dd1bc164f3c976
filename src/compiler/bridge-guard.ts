import {
  accept,
  anonymousSet,
  concat,
  counter,
  drop,
  goto,
  match,
  meta,
  payload,
  prefix,
  setRef,
  vmap,
} from 'nftables-json';
import type { Expression, Statement } from 'nftables-json';

import type { NodeShape, PodBinding } from '../model/binding.ts';
import { familyOf, ipFamilies } from '../model/ip.ts';
import type { IpAddress, IpFamily } from '../model/ip.ts';
import { ownRule } from './base-chains.ts';
import { familyDigit } from './object-names.ts';
import type { DesiredChain, DesiredMap, DesiredRule, DesiredSet, DesiredTable, DispatchVerdict } from './ruleset.ts';
import { addressType } from './set-spec.ts';

type Bridge = NodeShape['bridges'][number];

/** Before br_netfilter and before the bridge learns the MAC address. */
const guardPriority = -350;

const neighbourSolicitation = ['nd-router-solicit', 'nd-neighbor-solicit', 'nd-neighbor-advert'];
const listenerReports = ['mld-listener-report', 'mld-listener-done', 'mld2-listener-report'];

/**
 * Table bridge nftpolicy: binds addresses to bridge ports, so that the inet table may key bridged pods by address.
 * A bound port may send with its own MAC and addresses; any other port of a pod bridge is quarantined to talking
 * with its node. Tagged frames are no IP frames here and dropped: they pass the IP hooks unseen. Packets to a bound
 * address leave by its own port only: the inet table judges the address, but a frame goes where its MAC address says.
 */
export function bridgeGuard(shape: NodeShape, bindings: readonly PodBinding[]): DesiredTable {
  const bridged = bindings.filter(({ attachment }) => attachment.kind === 'bridged');
  const ports = new Map<string, DispatchVerdict>(
    bridged.map((binding) => [binding.interface, { kind: 'goto', chain: 'bound' }]),
  );
  const map: DesiredMap = { name: 'ports', type: ['ifname'], elements: ports };
  const chains = [
    neighbourChain(),
    boundChain(shape),
    ...shape.bridges.map((bridge) => quarantineChain(shape, bridge)),
    guardChain(shape),
    deliveryChain(),
  ];
  return {
    family: 'bridge',
    sets: new Map(guardSets(shape, bridged).map((set) => [set.name, set])),
    maps: new Map([[map.name, map]]),
    chains: new Map(chains.map((chain) => [chain.name, chain])),
  };
}

function guardSets(shape: NodeShape, bridged: readonly PodBinding[]): readonly DesiredSet[] {
  const gateways = shape.bridges.flatMap(({ addresses = [] }) => addresses);
  const set = (name: string, type: readonly string[], elements: Iterable<string>): DesiredSet => ({
    name,
    type,
    interval: false,
    elements: new Set(elements),
  });
  const withMac = bridged.flatMap((binding) => (binding.mac === undefined ? [] : [{ binding, mac: binding.mac }]));
  const perFamily = ipFamilies.flatMap((family) => {
    const type = addressType(family);
    const owned = bridged.flatMap(({ interface: port, mac, addresses }) =>
      addresses.filter((address) => familyOf(address) === family).map((address) => ({ port, mac, address })),
    );
    return [
      set(
        sendersName(family),
        ['ifname', 'ether_addr', type],
        owned.flatMap(({ port, mac, address }) =>
          mac === undefined || onlyDiscovers(address) ? [] : [`${port} . ${mac} . ${address}`],
        ),
      ),
      set(
        `sources-${familyDigit(family)}`,
        ['ifname', type],
        owned.map(({ port, address }) => `${port} . ${address}`),
      ),
      set(
        `known-${familyDigit(family)}`,
        [type],
        [...owned.map(({ address }) => address), ...gateways.filter((address) => familyOf(address) === family)],
      ),
    ];
  });
  return [
    set(
      'macs',
      ['ifname', 'ether_addr'],
      withMac.map(({ binding, mac }) => `${binding.interface} . ${mac}`),
    ),
    set(
      'known-macs',
      ['ether_addr'],
      withMac.map(({ mac }) => mac),
    ),
    ...perFamily,
  ];
}

/** Of a link-local address nothing else passes; see {@link unaddressedIpv6}. */
function onlyDiscovers(address: IpAddress): boolean {
  return /^fe[89ab]/.test(address);
}

const dropTagged = ownRule(
  [match(payload('ether', 'type'), anonymousSet(['8021q', '8021ad'])), counter(), drop()],
  'tagged frames bypass the IP hooks',
);

const countedDrop = ownRule([counter(), drop()]);

function etherType(type: 'ip' | 'ip6' | 'arp'): Statement {
  return match(payload('ether', 'type'), type);
}

/** Link-local and unspecified sources carry neighbour discovery and multicast listener reports only. */
function neighbourChain(): DesiredChain {
  const icmp = (types: readonly string[], hopLimit: number): DesiredRule =>
    ownRule([
      match(payload('icmpv6', 'type'), anonymousSet(types)),
      match(payload('ip6', 'hoplimit'), hopLimit),
      accept(),
    ]);
  return { name: 'neighbour', rules: [icmp(neighbourSolicitation, 255), icmp(listenerReports, 1), countedDrop] };
}

const unaddressedIpv6: readonly DesiredRule[] = [
  ownRule([etherType('ip6'), match(payload('ip6', 'saddr'), prefix('fe80::', 10)), goto('neighbour')]),
  ownRule([etherType('ip6'), match(payload('ip6', 'saddr'), '::'), goto('neighbour')]),
];

/**
 * What a neighbour advertisement says counts, not who sends it. Link-local addresses carry nothing but discovery, so
 * they need no owner. None where nft cannot match the target.
 */
function targetCheck({ neighbourTargets }: NodeShape, notAllowed: readonly Statement[]): readonly DesiredRule[] {
  if (neighbourTargets !== true) return [];
  const advertisement = match(payload('icmpv6', 'type'), 'nd-neighbor-advert');
  return [ownRule([advertisement, ...notAllowed, counter(), drop()], "advertises another's address")];
}

const neighbourTarget = payload('icmpv6', 'taddr');

/** What a port sent that the guard did not know at once: anything but IP packets of bound pods. */
function boundChain(shape: NodeShape): DesiredChain {
  const port = meta('iifname');
  return {
    name: 'bound',
    rules: [
      dropTagged,
      ownRule([match(concat(port, payload('ether', 'saddr')), setRef('macs'), '!='), counter(), drop()]),
      ownRule([
        etherType('ip'),
        match(payload('ip', 'saddr'), '0.0.0.0'),
        match(payload('udp', 'sport'), 68),
        match(payload('udp', 'dport'), 67),
        accept(),
      ]),
      ownRule([etherType('arp'), match(concat(port, payload('arp', 'saddr ip')), setRef('sources-4')), accept()]),
      ownRule([etherType('arp'), match(payload('arp', 'saddr ip'), '0.0.0.0'), accept()]),
      ...targetCheck(shape, [
        match(neighbourTarget, prefix('fe80::', 10), '!='),
        match(concat(port, neighbourTarget), setRef('sources-6'), '!='),
      ]),
      ...unaddressedIpv6,
      ownRule([etherType('ip6'), match(concat(port, payload('ip6', 'saddr')), setRef('sources-6')), accept()]),
      countedDrop,
    ],
  };
}

function quarantineName({ name }: Bridge): string {
  return `quarantine-${name}`;
}

/** A port nobody is bound to may answer its node from an unused address of the node's blocks; the inet tail drops the rest. */
function quarantineChain(shape: NodeShape, bridge: Bridge): DesiredChain {
  const unused = (family: IpFamily): readonly DesiredRule[] =>
    bridge.podCidrs
      .filter((cidr) => cidr.family === family)
      .flatMap((cidr) => {
        const inBlock = (protocol: string, field: string): readonly Statement[] => {
          const address = payload(protocol, field);
          return [
            match(address, prefix(cidr.base, cidr.prefix)),
            match(address, setRef(`known-${familyDigit(family)}`), '!='),
            accept(),
          ];
        };
        return family === 'IPv4'
          ? [
              ownRule([etherType('ip'), ...inBlock('ip', 'saddr')]),
              ownRule([etherType('arp'), ...inBlock('arp', 'saddr ip')]),
            ]
          : [ownRule([etherType('ip6'), ...inBlock('ip6', 'saddr')])];
      });
  return {
    name: quarantineName(bridge),
    rules: [
      dropTagged,
      ownRule([match(payload('ether', 'saddr'), setRef('known-macs')), counter(), drop()]),
      ...unused('IPv4'),
      ownRule([etherType('arp'), match(payload('arp', 'saddr ip'), '0.0.0.0'), accept()]),
      ...targetCheck(shape, [match(neighbourTarget, setRef('known-6'))]),
      ...unaddressedIpv6,
      ...unused('IPv6'),
      countedDrop,
    ],
  };
}

/** Port, MAC and IP addresses that belong together. */
function sendersName(family: IpFamily): string {
  return `senders-${familyDigit(family)}`;
}

/** All that most frames meet, in one lookup. What is not ICMPv6 is no advertisement. */
function fromOwner(family: IpFamily): DesiredRule {
  const protocol = family === 'IPv4' ? 'ip' : 'ip6';
  const notIcmp = family === 'IPv4' ? [] : [match(meta('l4proto'), 'icmpv6', '!=')];
  const sender = concat(meta('iifname'), payload('ether', 'saddr'), payload(protocol, 'saddr'));
  return ownRule([etherType(protocol), ...notIcmp, match(sender, setRef(sendersName(family))), accept()]);
}

function guardChain(shape: NodeShape): DesiredChain {
  const unknown = shape.bridges.map((bridge) => {
    const port =
      bridge.ports.kind === 'bridge-name'
        ? match(meta('ibrname'), bridge.name)
        : match(meta('iifname'), bridge.ports.pattern);
    return ownRule([port, goto(quarantineName(bridge))], 'unknown local pod: fail closed');
  });
  return {
    name: 'guard',
    base: { type: 'filter', hook: 'prerouting', priority: guardPriority },
    rules: [...ipFamilies.map(fromOwner), ownRule([vmap(meta('iifname'), setRef('ports'))]), ...unknown],
  };
}

/**
 * A pod could else reach any port of the bridge by its MAC address, with the address of a pod it may talk to, or draw
 * packets that the node sends to another pod by advertising its own MAC address for that pod's IPv6 address. Postrouting
 * sees frames of ports and of the node.
 */
function deliveryChain(): DesiredChain {
  const destination = (family: IpFamily): Expression => payload(family === 'IPv4' ? 'ip' : 'ip6', 'daddr');
  const isIp = (family: IpFamily): Statement => etherType(family === 'IPv4' ? 'ip' : 'ip6');
  const own = (family: IpFamily): DesiredRule => {
    const place = concat(meta('oifname'), destination(family));
    return ownRule([isIp(family), match(place, setRef(`sources-${familyDigit(family)}`)), accept()]);
  };
  const elsewhere = (family: IpFamily): DesiredRule =>
    ownRule(
      [isIp(family), match(destination(family), setRef(`known-${familyDigit(family)}`)), counter(), drop()],
      "not the address' own port",
    );
  return {
    name: 'delivery',
    base: { type: 'filter', hook: 'postrouting', priority: guardPriority },
    rules: [...ipFamilies.map(own), ...ipFamilies.map(elsewhere)],
  };
}
