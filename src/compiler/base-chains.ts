import {
  accept,
  anonymousSet,
  concat,
  counter,
  drop,
  goto,
  jump,
  limit,
  match,
  meta,
  payload,
  reject,
  setRef,
  updateSet,
  vmap,
  ct,
} from 'nftables-json';
import type { Expression, Statement } from 'nftables-json';

import { routesPods } from '../model/binding.ts';
import type { NodeShape } from '../model/binding.ts';
import { familyOf, ipFamilies } from '../model/ip.ts';
import type { IpAddress, IpFamily } from '../model/ip.ts';
import { auditChain, denyChain, prologueChain } from './lower.ts';
import { familyDigit } from './object-names.ts';
import type { EnforcementOptions } from './options.ts';
import type { DesiredChain, DesiredRule, DesiredSet } from './ruleset.ts';
import { addressType } from './set-spec.ts';

/*
 * The path of a packet through table inet nftpolicy, hook forward:
 *
 *   forward-egress (-11)                              forward-ingress (-10)
 *   iif and source address -> pod-X-egress            oif and destination address -> pod-X-ingress
 *     prologue: replies, related, ND -> accept          prologue -> accept
 *     rules -> accept; end -> deny                      rules -> accept; end -> deny
 *   foreign source of a routed pod -> deny
 *   tail: any other local pod -> closed               tail: any other local pod -> closed
 *     prologue -> accept; end -> deny                   prologue -> accept; end -> deny
 *
 * `accept` ends only its own base chain, so egress cannot skip ingress. A lookup that misses ends at a tail.
 * What packets of known pods meet stands first: a pod without policies costs one lookup per direction.
 */

/** Our place on the hooks: after kube-proxy's -110, before filter 0. */
const egressPriority = -11;
const ingressPriority = -10;

const bothDirections = [
  { direction: 'egress', interfaceKey: 'iifname', addressField: 'saddr', priority: egressPriority },
  { direction: 'ingress', interfaceKey: 'oifname', addressField: 'daddr', priority: ingressPriority },
] as const;

/** Where packets of a local pod go that no dispatch map knows, or whose chain is missing: replies pass, nothing else. */
export const closedChain = 'closed';

/** Egress of routed pods by interface alone, for `--police-node-egress`: what they send to their node has any source. */
export const routedInputMap = 'pod-egress';

/**
 * Packets of and for routed pods are found by interface and the pod's address at once: a packet with another source
 * misses, and so does one for an address that another pod behind the same interface had before.
 */
export function routedMapName(direction: 'egress' | 'ingress', family: IpFamily): string {
  return `pod-${direction === 'egress' ? 'senders' : 'receivers'}-${familyDigit(family)}`;
}

/** Bridged pods are found by address. */
export function bridgedMapName(direction: 'egress' | 'ingress', family: IpFamily): string {
  return `pod-${direction}-${familyDigit(family)}`;
}

/** Address part of an IP header. */
export function addressPayload(family: IpFamily, field: 'saddr' | 'daddr'): Expression {
  return payload(family === 'IPv4' ? 'ip' : 'ip6', field);
}

/** A rule of our own, without a policy behind it. */
export function ownRule(statements: readonly Statement[], comment?: string): DesiredRule {
  return comment === undefined ? { statements, provenance: [] } : { statements, comment, provenance: [] };
}

/** The two base chains on `forward`, and on `input` what every pod is held to and, by option, the egress rules. */
export function baseChains(shape: NodeShape, options: EnforcementOptions): readonly DesiredChain[] {
  const tail = options.unknownPods === 'drop' ? goto(closedChain) : accept();
  const tailComment = options.unknownPods === 'drop' ? 'unknown local pod: fail closed' : 'unknown local pod: accepted';
  const chains: DesiredChain[] = bothDirections.map(({ direction, interfaceKey, addressField, priority }) => {
    const isInterface = (name: string): Statement => match(meta(interfaceKey), name);
    const routedPods = podInterfaces(shape, interfaceKey);
    const rules: DesiredRule[] = [];
    if (direction === 'egress') rules.push(...tunnelRules(shape, options));
    if (routesPods(shape)) {
      for (const family of ipFamilies) {
        const key = concat(meta(interfaceKey), addressPayload(family, addressField));
        rules.push(ownRule([vmap(key, setRef(routedMapName(direction, family)))]));
      }
    }
    for (const { name } of shape.bridges) {
      for (const family of ipFamilies) {
        const map = setRef(bridgedMapName(direction, family));
        rules.push(ownRule([isInterface(name), vmap(addressPayload(family, addressField), map)]));
      }
    }
    if (direction === 'egress') rules.push(...routedPods.flatMap((isPods) => sourceCheck(isPods, options)));
    else if (options.unknownPods === 'accept' && routesPods(shape)) {
      const known = match(meta(interfaceKey), setRef(boundSet));
      rules.push(ownRule([known, goto(closedChain)], 'not an address of the pod'));
    }
    for (const isPods of routedPods) rules.push(ownRule([...isPods, tail], tailComment));
    for (const { name } of shape.bridges) rules.push(ownRule([isInterface(name), tail], tailComment));
    return { name: `forward-${direction}`, base: { type: 'filter', hook: 'forward', priority }, rules };
  });
  chains.push(...inputGuard(shape, options));
  if (options.policeNodeEgress) chains.push(inputChain(shape, nodeDnsOf(shape, options), { tail, tailComment }));
  return chains;
}

/** What a packet of a routed pod matches, bound or not; one alternative per pattern, all without what is surely no pod's. */
function podInterfaces(shape: NodeShape, key: 'iifname' | 'oifname'): readonly (readonly Statement[])[] {
  const kindKey = key === 'iifname' ? 'iifkind' : 'oifkind';
  const kind = shape.anyVeth === true ? [[match(meta(kindKey), 'veth'), ...without(shape.strangers, key)]] : [];
  const patterns = shape.routed.map((pattern) => {
    const prefix = pattern.endsWith('*') ? pattern.slice(0, -1) : undefined;
    const covered = prefix === undefined ? [] : shape.strangers?.filter((name) => name.startsWith(prefix));
    return [match(meta(key), pattern), ...without(covered, key)];
  });
  return [...kind, ...patterns];
}

function without(names: readonly string[] | undefined, key: 'iifname' | 'oifname'): readonly Statement[] {
  const [first, ...others] = names ?? [];
  if (first === undefined) return [];
  return [match(meta(key), others.length === 0 ? first : anonymousSet([first, ...others]), '!=')];
}

/**
 * A pod may only send from its own addresses: ingress rules of other pods trust the source. Packets that do have left for
 * their pod's chain before. A pod that nobody knows and that is accepted may send from any that is no other pod's here.
 */
function sourceCheck(isPods: readonly Statement[], options: EnforcementOptions): readonly DesiredRule[] {
  const open = options.unknownPods === 'accept';
  const bound = open ? [match(meta('iifname'), setRef(boundSet), 'in')] : [];
  const own = ipFamilies.map((family) =>
    ownRule([...isPods, ...bound, notOwn(family), goto(forgedChain(options))], "source is not the pod's address"),
  );
  return open ? [...own, ...impostors(isPods, options)] : own;
}

/** Packets with the address of another pod of the node. */
function impostors(isPods: readonly Statement[], options: EnforcementOptions): readonly DesiredRule[] {
  return ipFamilies.map((family) => {
    const known = match(addressPayload(family, 'saddr'), setRef(localName(family)), 'in');
    return ownRule([...isPods, known, notOwn(family), goto(forgedChain(options))], "source is another pod's address");
  });
}

function notOwn(family: IpFamily): Statement {
  return match(concat(meta('iifname'), addressPayload(family, 'saddr')), setRef(sourcesName(family)), '!=');
}

/** Where packets with a source that is not their sender's end: an answer would go to somebody who never asked. */
function forgedChain(options: EnforcementOptions): string {
  return options.reject ? 'deny-forged' : denyChain;
}

/**
 * What no pod may send to its node, whatever its policies: packets with the address of another pod of the node, which
 * would answer the other, and packets into a tunnel of the node. On a bridge the guard has seen to the addresses.
 */
function inputGuard(shape: NodeShape, options: EnforcementOptions): readonly DesiredChain[] {
  const forged = podInterfaces(shape, 'iifname').flatMap((isPods) => impostors(isPods, options));
  const rules = [...forged, ...tunnelRules(shape, options)];
  if (rules.length === 0) return [];
  return [{ name: 'input-guard-egress', base: { type: 'filter', hook: 'input', priority: egressPriority - 1 }, rules }];
}

/** No pod speaks the node's tunnel protocols: what comes out of a tunnel is taken for another node's, source and all. */
function tunnelRules(shape: NodeShape, options: EnforcementOptions): readonly DesiredRule[] {
  const { ports = [], protocols = [] } = shape.tunnels ?? {};
  const [port, ...others] = ports;
  const entrances: Statement[] = [
    ...(port === undefined ? [] : [match(payload('udp', 'dport'), others.length === 0 ? port : anonymousSet(ports))]),
    ...protocols.map((protocol) => match(meta('l4proto'), protocol)),
  ];
  const pods = [...podInterfaces(shape, 'iifname'), ...shape.bridges.map(({ name }) => [match(meta('iifname'), name)])];
  return pods.flatMap((isPods) =>
    entrances.map((entrance) => ownRule([...isPods, entrance, goto(forgedChain(options))], "into the node's tunnel")),
  );
}

/** Addresses of the bound pods. */
export function localName(family: IpFamily): string {
  return `local-${familyDigit(family)}`;
}

/** Interfaces with a bound pod; used only when unknown pods are accepted, whose addresses nobody knows. */
export const boundSet = 'bound-interfaces';

/** Addresses each interface may send from. */
export function sourcesName(family: IpFamily): string {
  return `sources-${familyDigit(family)}`;
}

/** Where DNS on the node stays reachable while egress to it is policed. */
export function nodeDnsOf(
  { nodeDns: found = [] }: Pick<NodeShape, 'nodeDns'>,
  { nodeDns }: Pick<EnforcementOptions, 'nodeDns'>,
): readonly IpAddress[] {
  return nodeDns === 'auto' ? found : nodeDns;
}

/** DNS is asked over UDP and TCP; the cache of NodeLocal DNSCache switches tracking off for both. */
function nodeDnsRules(addresses: readonly IpAddress[]): readonly DesiredRule[] {
  return ipFamilies.flatMap((family) => {
    const own = [...new Set(addresses.filter((address) => familyOf(address) === family))];
    const [first, ...others] = own;
    if (first === undefined) return [];
    const to = match(addressPayload(family, 'daddr'), others.length === 0 ? first : anonymousSet(own));
    const dns = (protocol: 'udp' | 'tcp'): DesiredRule =>
      ownRule([to, match(payload(protocol, 'dport'), 53), accept()], "the node's own DNS");
    return [dns('udp'), dns('tcp')];
  });
}

/** Egress rules for packets a pod sends to its own node (`--police-node-egress`); ND, DHCP, DNS and replies pass. */
function inputChain(
  shape: NodeShape,
  nodeDns: readonly IpAddress[],
  { tail, tailComment }: { readonly tail: Statement; readonly tailComment: string },
): DesiredChain {
  const rules: DesiredRule[] = [
    ownRule(
      [
        match(payload('udp', 'sport'), anonymousSet([68, 546])),
        match(payload('udp', 'dport'), anonymousSet([67, 547])),
        accept(),
      ],
      'DHCP',
    ),
    ...nodeDnsRules(nodeDns),
  ];
  if (routesPods(shape)) rules.push(ownRule([vmap(meta('iifname'), setRef(routedInputMap))]));
  for (const { name } of shape.bridges) {
    for (const family of ipFamilies) {
      rules.push(
        ownRule([
          match(meta('iifname'), name),
          vmap(addressPayload(family, 'saddr'), setRef(bridgedMapName('egress', family))),
        ]),
      );
    }
  }
  for (const isPods of podInterfaces(shape, 'iifname')) rules.push(ownRule([...isPods, tail], tailComment));
  for (const { name } of shape.bridges) rules.push(ownRule([match(meta('iifname'), name), tail], tailComment));
  return { name: 'input-egress', base: { type: 'filter', hook: 'input', priority: egressPriority }, rules };
}

/** Chains every pod chain relies on. */
export function sharedChains(options: EnforcementOptions, audited: boolean): readonly DesiredChain[] {
  const closed = { name: closedChain, rules: [ownRule([jump(prologueChain)]), ownRule([goto(denyChain)])] };
  const chains = [prologue(options), deny(options, denyChain), closed];
  if (options.reject) chains.push(deny({ ...options, reject: false }, forgedChain(options)));
  if (audited) chains.push({ name: auditChain, rules: [...record('audited'), ownRule([accept()])] });
  return chains;
}

/**
 * Replies, errors that belong to a connection, and neighbour discovery. The hop limit proves that ND and MLD were not
 * routed. Router advertisements are accepted nowhere: a pod's router is its node, whose packets never enter forward.
 */
function prologue(options: EnforcementOptions): DesiredChain {
  const icmp = (types: readonly string[], hopLimit: number): DesiredRule =>
    ownRule([
      match(payload('icmpv6', 'type'), anonymousSet(types)),
      match(payload('ip6', 'hoplimit'), hopLimit),
      accept(),
    ]);
  const tracked =
    options.enforce === 'every-packet'
      ? [ownRule([match(ct('direction'), 'reply'), accept()]), ownRule([match(ct('state'), 'related', 'in'), accept()])]
      : [ownRule([match(ct('state'), ['established', 'related'], 'in'), accept()])];
  return {
    name: prologueChain,
    rules: [
      ...tracked,
      icmp(['nd-router-solicit', 'nd-neighbor-solicit', 'nd-neighbor-advert'], 255),
      icmp(['mld-listener-query', 'mld-listener-report', 'mld-listener-done', 'mld2-listener-report'], 1),
    ],
  };
}

/** The drop stands alone: a full set ends the recording rule, and a drop behind it would never run. */
function deny(options: EnforcementOptions, name: string): DesiredChain {
  const refuse = options.reject
    ? [
        ownRule([match(meta('l4proto'), 'tcp'), reject({ type: 'tcp reset' })]),
        ownRule([reject({ type: 'icmpx', expr: 'admin-prohibited' })]),
      ]
    : [];
  return { name, rules: [...(options.recordDenied ? record('denied') : []), ...refuse, ownRule([drop()])] };
}

/** Family and protocol precede the limit, so that one family does not spend the other's tokens and ICMP has no port. */
function record(set: 'denied' | 'audited'): readonly DesiredRule[] {
  return ipFamilies.map((family) =>
    ownRule([
      match(meta('nfproto'), family === 'IPv4' ? 'ipv4' : 'ipv6'),
      match(meta('l4proto'), anonymousSet(['tcp', 'udp', 'sctp'])),
      limit({ rate: 100, per: 'second', burst: 100 }),
      updateSet(
        `${set}-${familyDigit(family)}`,
        concat(
          addressPayload(family, 'saddr'),
          addressPayload(family, 'daddr'),
          meta('l4proto'),
          payload('th', 'dport'),
        ),
        [counter()],
      ),
    ]),
  );
}

/** The bounded, self-expiring sets the kernel writes refused flows to. */
export function recordSets(options: EnforcementOptions, audited: boolean): readonly DesiredSet[] {
  const kinds = [...(options.recordDenied ? ['denied'] : []), ...(audited ? ['audited'] : [])];
  return kinds.flatMap((kind) =>
    ipFamilies.map((family) => ({
      name: `${kind}-${familyDigit(family)}`,
      type: [addressType(family), addressType(family), 'inet_proto', 'inet_service'],
      interval: false,
      dynamic: { timeoutSeconds: 300, size: 4096 },
      elements: new Set<string>(),
    })),
  );
}
