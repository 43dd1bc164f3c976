/** Desired values for tests: the two reference rulesets in small, and arbitrary closed rulesets. */
import * as fc from 'fast-check';
import {
  accept,
  anonymousSet,
  concat,
  counter,
  ct,
  drop,
  elem,
  goto,
  jump,
  limit,
  match,
  meta,
  payload,
  prefix,
  range,
  setRef,
  updateSet,
  vmap,
} from 'nftables-json';
import type { Expression, Statement } from 'nftables-json';

import type {
  DesiredChain,
  DesiredMap,
  DesiredRule,
  DesiredSet,
  DesiredTable,
  DispatchVerdict,
  Ruleset,
  TableFamily,
} from '../../compiler/ruleset.ts';

/** A rule with no provenance. */
export function rule(...statements: readonly Statement[]): DesiredRule {
  return { statements, provenance: [] };
}

/** A rule with a comment. */
export function commented(comment: string, ...statements: readonly Statement[]): DesiredRule {
  return { statements, comment, provenance: [] };
}

/** A chain that others call. */
export function chain(name: string, ...rules: readonly DesiredRule[]): DesiredChain {
  return { name, rules };
}

/** A set without intervals. */
export function set(name: string, type: readonly string[], ...elements: readonly string[]): DesiredSet {
  return { name, type, interval: false, elements: new Set(elements) };
}

/** A verdict map; a value is `accept` or the chain to go to. */
export function map(name: string, type: string, entries: Readonly<Record<string, string>>): DesiredMap {
  const elements = new Map<string, DispatchVerdict>();
  for (const [key, value] of Object.entries(entries))
    elements.set(key, value === 'accept' ? { kind: 'accept' } : { kind: 'goto', chain: value });
  return { name, type: [type], elements };
}

/** A table of these objects. */
export function table(
  family: TableFamily,
  objects: {
    readonly sets?: readonly DesiredSet[];
    readonly maps?: readonly DesiredMap[];
    readonly chains?: readonly DesiredChain[];
  },
): DesiredTable {
  return {
    family,
    sets: new Map((objects.sets ?? []).map((one) => [one.name, one])),
    maps: new Map((objects.maps ?? []).map((one) => [one.name, one])),
    chains: new Map((objects.chains ?? []).map((one) => [one.name, one])),
  };
}

const is = (left: Expression, right: Expression): Statement => match(left, right);
const isNot = (left: Expression, right: Expression): Statement => match(left, right, '!=');
const iif = meta('iifname');
const oif = meta('oifname');

function prologue(): DesiredChain {
  return chain(
    'prologue',
    rule(is(ct('direction'), 'reply'), accept()),
    rule(match(ct('state'), 'related', 'in'), accept()),
    rule(
      is(payload('icmpv6', 'type'), anonymousSet(['nd-router-solicit', 'nd-neighbor-solicit', 'nd-neighbor-advert'])),
      is(payload('ip6', 'hoplimit'), 255),
      accept(),
    ),
  );
}

function denyChain(): DesiredChain {
  const record = (nfproto: string, protocol: string, name: string): DesiredRule =>
    rule(
      is(meta('nfproto'), nfproto),
      is(meta('l4proto'), anonymousSet(['tcp', 'udp', 'sctp'])),
      limit({ rate: 100, per: 'second', burst: 100 }),
      updateSet(
        name,
        elem(concat(payload(protocol, 'saddr'), payload(protocol, 'daddr'), meta('l4proto'), payload('th', 'dport')), {
          timeout: 300,
        }),
        [counter()],
      ),
    );
  return chain('deny', record('ipv4', 'ip', 'denied-4'), record('ipv6', 'ip6', 'denied-6'), rule(drop()));
}

function deniedSet(name: string, address: string): DesiredSet {
  return {
    name,
    type: [address, address, 'inet_proto', 'inet_service'],
    interval: false,
    dynamic: { timeoutSeconds: 300, size: 4096 },
    elements: new Set(),
  };
}

function peerSets(): DesiredSet[] {
  return [
    deniedSet('denied-4', 'ipv4_addr'),
    deniedSet('denied-6', 'ipv6_addr'),
    set('peers-api-4', ['ipv4_addr'], '10.244.1.10'),
    set('peers-api-6', ['ipv6_addr'], 'fd00:10:244:1::a'),
    set('peers-database-4', ['ipv4_addr'], '10.244.1.11'),
    set('peers-database-6', ['ipv6_addr'], 'fd00:10:244:1::b'),
    set('named-web-4', ['ipv4_addr', 'inet_proto', 'inet_service'], '10.244.1.12 . tcp . 8080'),
    {
      name: 'blocks-4',
      type: ['ipv4_addr', 'inet_proto', 'inet_service'],
      interval: true,
      elements: new Set([
        '192.168.0.0/16 . tcp . 8081-8082',
        '172.16.0.1-172.16.0.9 . udp . 53',
        '10.9.0.0-10.9.0.255 . 6 . 80',
      ]),
    },
  ];
}

function podChains(own: (direction: 'in' | 'out', veth: string) => Statement[]): DesiredChain[] {
  const flow = concat(payload('ip', 'saddr'), meta('l4proto'), payload('th', 'dport'));
  return [
    chain(
      'pod-vethA-egress',
      commented('own address', ...own('out', 'vethA'), is(payload('ip', 'daddr'), '10.244.1.10'), accept()),
      commented(
        'default/api egress[0]',
        is(payload('tcp', 'dport'), 5432),
        is(payload('ip', 'daddr'), setRef('peers-database-4')),
        accept(),
      ),
      commented(
        'default/api egress[0]',
        is(payload('tcp', 'dport'), 5432),
        is(payload('ip6', 'daddr'), setRef('peers-database-6')),
        accept(),
      ),
      rule(
        is(concat(payload('ip', 'daddr'), meta('l4proto'), payload('th', 'dport')), setRef('named-web-4')),
        accept(),
      ),
      rule(goto('deny')),
    ),
    chain(
      'pod-vethB-ingress',
      commented('own address', ...own('in', 'vethB'), is(payload('ip', 'saddr'), '10.244.1.11'), accept()),
      commented(
        'default/database ingress[0]',
        is(meta('l4proto'), 'tcp'),
        is(payload('ip', 'saddr'), setRef('peers-api-4')),
        accept(),
      ),
      commented(
        'default/database ingress[0]',
        is(payload('tcp', 'dport'), 5432),
        is(payload('ip6', 'saddr'), setRef('peers-api-6')),
        accept(),
      ),
      commented(
        'default/database ingress[1]',
        is(payload('tcp', 'dport'), range(8081, 8082)),
        is(payload('ip', 'saddr'), prefix('192.168.0.0', 16)),
        isNot(payload('ip', 'saddr'), prefix('192.168.50.2', 32)),
        accept(),
      ),
      rule(is(flow, setRef('blocks-4')), accept()),
      rule(goto('deny')),
    ),
  ];
}

function forward(name: string, priority: number, ...rules: readonly DesiredRule[]): DesiredChain {
  return { name, base: { type: 'filter', hook: 'forward', priority }, rules };
}

/** The routed reference ruleset: dispatch by interface. */
export function routedRuleset(): Ruleset {
  const inet = table('inet', {
    sets: [
      ...peerSets(),
      set('sources-4', ['ifname', 'ipv4_addr'], 'vethA . 10.244.1.10', 'vethB . 10.244.1.11', 'vethC . 10.244.1.12'),
      set('sources-6', ['ifname', 'ipv6_addr'], 'vethA . fd00:10:244:1::a', 'vethB . fd00:10:244:1::b'),
    ],
    maps: [
      map('pod-egress', 'ifname', { vethA: 'pod-vethA-egress', vethB: 'accept', vethC: 'accept' }),
      map('pod-ingress', 'ifname', { vethA: 'accept', vethB: 'pod-vethB-ingress', vethC: 'accept' }),
    ],
    chains: [
      prologue(),
      denyChain(),
      ...podChains((direction, veth) => [is(direction === 'in' ? iif : oif, veth)]),
      forward(
        'forward-egress',
        -11,
        commented(
          "source is not the pod's address",
          is(iif, 'veth*'),
          isNot(concat(iif, payload('ip', 'saddr')), setRef('sources-4')),
          goto('deny'),
        ),
        commented(
          "source is not the pod's address",
          is(iif, 'veth*'),
          isNot(concat(iif, payload('ip6', 'saddr')), setRef('sources-6')),
          goto('deny'),
        ),
        rule(jump('prologue')),
        rule(vmap(iif, setRef('pod-egress'))),
        commented('unknown local pod: fail closed', is(iif, 'veth*'), goto('deny')),
      ),
      forward(
        'forward-ingress',
        -10,
        rule(jump('prologue')),
        rule(vmap(oif, setRef('pod-ingress'))),
        commented('unknown local pod: fail closed', is(oif, 'veth*'), goto('deny')),
      ),
    ],
  });
  return new Map([['inet', inet]]);
}

/** The bridged reference ruleset: dispatch by address, and the guard in the bridge family. */
export function bridgedRuleset(): Ruleset {
  const inet = table('inet', {
    sets: peerSets(),
    maps: [
      map('pod-egress-4', 'ipv4_addr', { '10.244.1.10': 'pod-vethA-egress', '10.244.1.11': 'accept' }),
      map('pod-egress-6', 'ipv6_addr', { 'fd00:10:244:1::a': 'pod-vethA-egress', 'fd00:10:244:1::b': 'accept' }),
      map('pod-ingress-4', 'ipv4_addr', { '10.244.1.10': 'accept', '10.244.1.11': 'pod-vethB-ingress' }),
      map('pod-ingress-6', 'ipv6_addr', { 'fd00:10:244:1::a': 'accept', 'fd00:10:244:1::b': 'pod-vethB-ingress' }),
    ],
    chains: [
      prologue(),
      denyChain(),
      ...podChains(() => []),
      forward(
        'forward-egress',
        -11,
        rule(jump('prologue')),
        rule(vmap(payload('ip', 'saddr'), setRef('pod-egress-4'))),
        rule(vmap(payload('ip6', 'saddr'), setRef('pod-egress-6'))),
        commented('unknown local pod: fail closed', is(iif, 'cni0'), goto('deny')),
      ),
      forward(
        'forward-ingress',
        -10,
        rule(jump('prologue')),
        rule(vmap(payload('ip', 'daddr'), setRef('pod-ingress-4'))),
        rule(vmap(payload('ip6', 'daddr'), setRef('pod-ingress-6'))),
        commented('unknown local pod: fail closed', is(oif, 'cni0'), goto('deny')),
      ),
    ],
  });
  const ether = payload('ether', 'type');
  const guard: DesiredChain = {
    name: 'guard',
    base: { type: 'filter', hook: 'prerouting', priority: -350 },
    rules: [
      rule(vmap(iif, setRef('ports'))),
      commented('unknown local pod: fail closed', is(iif, 'veth*'), goto('quarantine')),
    ],
  };
  const tagged = commented(
    'tagged frames bypass the IP hooks',
    is(ether, anonymousSet(['8021q', '8021ad'])),
    counter(),
    drop(),
  );
  const bridge = table('bridge', {
    sets: [
      set('macs', ['ifname', 'ether_addr'], 'vethA . 02:00:00:00:00:0a', 'vethB . 02:00:00:00:00:0b'),
      set('sources-4', ['ifname', 'ipv4_addr'], 'vethA . 10.244.1.10', 'vethB . 10.244.1.11'),
      set('sources-6', ['ifname', 'ipv6_addr'], 'vethA . fd00:10:244:1::a', 'vethB . fd00:10:244:1::b'),
      set('known-macs', ['ether_addr'], '02:00:00:00:00:0a', '02:00:00:00:00:0b'),
      set('known-4', ['ipv4_addr'], '10.244.1.10', '10.244.1.11'),
    ],
    maps: [map('ports', 'ifname', { vethA: 'bound', vethB: 'bound' })],
    chains: [
      chain(
        'neighbour',
        rule(
          is(payload('icmpv6', 'type'), anonymousSet(['nd-neighbor-solicit', 'nd-neighbor-advert'])),
          is(payload('ip6', 'hoplimit'), 255),
          accept(),
        ),
        rule(counter(), drop()),
      ),
      chain(
        'bound',
        tagged,
        rule(isNot(concat(iif, payload('ether', 'saddr')), setRef('macs')), counter(), drop()),
        rule(is(ether, 'ip'), is(concat(iif, payload('ip', 'saddr')), setRef('sources-4')), accept()),
        rule(
          is(ether, 'ip'),
          is(payload('ip', 'saddr'), '0.0.0.0'),
          is(payload('udp', 'sport'), 68),
          is(payload('udp', 'dport'), 67),
          accept(),
        ),
        rule(is(ether, 'arp'), is(concat(iif, payload('arp', 'saddr ip')), setRef('sources-4')), accept()),
        rule(is(ether, 'ip6'), is(payload('ip6', 'saddr'), prefix('fe80::', 10)), goto('neighbour')),
        rule(is(ether, 'ip6'), is(payload('ip6', 'saddr'), '::'), goto('neighbour')),
        rule(is(ether, 'ip6'), is(concat(iif, payload('ip6', 'saddr')), setRef('sources-6')), accept()),
        rule(counter(), drop()),
      ),
      chain(
        'quarantine',
        tagged,
        rule(is(payload('ether', 'saddr'), setRef('known-macs')), counter(), drop()),
        rule(
          is(ether, 'ip'),
          is(payload('ip', 'saddr'), prefix('10.244.1.0', 24)),
          isNot(payload('ip', 'saddr'), setRef('known-4')),
          accept(),
        ),
        rule(is(ether, 'arp'), is(payload('arp', 'saddr ip'), '0.0.0.0'), accept()),
        rule(counter(), drop()),
      ),
      guard,
    ],
  });
  return new Map([
    ['inet', inet],
    ['bridge', bridge],
  ]);
}

const addresses = fc.constantFrom('10.0.0.1', '10.0.0.2', '10.0.0.3', '10.0.0.4');
const setTypes: readonly (readonly string[])[] = [['ipv4_addr'], ['ipv4_addr'], ['ipv4_addr', 'inet_service']];

function arbitrarySet(name: string): fc.Arbitrary<DesiredSet> {
  return fc
    .record({ type: fc.constantFrom(...setTypes), members: fc.array(addresses, { maxLength: 4 }) })
    .map(({ type, members }): DesiredSet => ({
      name,
      type,
      interval: false,
      elements: new Set(type.length === 1 ? members : members.map((address) => `${address} . 80`)),
    }));
}

function arbitraryTable(family: TableFamily): fc.Arbitrary<DesiredTable> {
  return fc
    .record({
      sets: fc.tuple(...['s1', 's2', 's3'].map((name) => fc.option(arbitrarySet(name)))),
      called: fc.subarray(['c1', 'c2', 'c3', 'c4']),
      maps: fc.subarray(['m1', 'm2']),
      mapType: fc.constantFrom('ipv4_addr', 'ipv4_addr', 'ipv4_addr', 'ifname'),
      bases: fc.subarray(['b1', 'b2'], { minLength: 0 }),
      priority: fc.constantFrom(-10, -10, -10, 5),
      picks: fc.array(fc.nat(), { minLength: 40, maxLength: 40 }),
    })
    .map((drawn): DesiredTable => {
      let next = 0;
      const pick = <T>(from: readonly T[]): T | undefined =>
        from[(drawn.picks[next++ % 40] ?? 0) % Math.max(1, from.length)];
      const sets = drawn.sets.filter((one) => one !== null);
      const chains = drawn.called.map((name, index): DesiredChain => {
        const rules: DesiredRule[] = [];
        const named = pick([undefined, ...sets]);
        if (named !== undefined) {
          const key = payload('ip', 'saddr');
          const field = named.type.length === 1 ? key : concat(key, payload('th', 'dport'));
          rules.push(rule(is(field, setRef(named.name)), accept()));
        }
        // Calls go to later names only: no loops.
        const target = pick([undefined, ...drawn.called.slice(index + 1)]);
        rules.push(rule(target === undefined ? drop() : goto(target)));
        return chain(name, ...rules);
      });
      const maps = drawn.maps.map((name): DesiredMap => {
        const keys = drawn.mapType === 'ifname' ? ['veth1', 'veth2', 'veth3'] : ['10.0.0.1', '10.0.0.2', '10.0.0.3'];
        const entries: Record<string, string> = {};
        for (const key of keys) {
          const value = pick(['', 'accept', ...drawn.called]);
          if (value !== undefined && value !== '') entries[key] = value;
        }
        return map(name, drawn.mapType, entries);
      });
      const bases = drawn.bases.map((name): DesiredChain => {
        const rules: DesiredRule[] = [];
        for (const one of maps)
          rules.push(rule(vmap(drawn.mapType === 'ifname' ? iif : payload('ip', 'saddr'), setRef(one.name))));
        rules.push(rule(is(iif, 'veth*'), drop()));
        return forward(name, drawn.priority, ...rules);
      });
      return table(family, { sets, maps, chains: [...chains, ...bases] });
    });
}

/** Closed rulesets over few names: two of them share most names and differ in type, hook, rules or elements. */
export function rulesets(): fc.Arbitrary<Ruleset> {
  return fc
    .record({ inet: arbitraryTable('inet'), bridge: fc.option(arbitraryTable('bridge')) })
    .map(({ inet, bridge }): Ruleset => {
      const ruleset = new Map<TableFamily, DesiredTable>([['inet', inet]]);
      if (bridge !== null) ruleset.set('bridge', bridge);
      return ruleset;
    });
}
