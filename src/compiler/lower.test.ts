import { describe, expect, test } from 'vitest';

import type { NetworkPolicy } from '../model/policy.ts';
import { flattenAbove, formatProvenance, intervalAbove } from './lower.ts';
import { lower, pod, policy, textOf } from './testing/cast.ts';

const dual = pod({ ips: ['10.244.1.1', 'fd00::1'] });
const app = (name: string): object => ({ podSelector: { matchLabels: { app: name } } });
const port = (number: number): object => ({ port: number });

/** The rules of one chain, set names cut to their kind, without the prologue, the own addresses and the end. */
function rules(policies: readonly NetworkPolicy[], subject = pod(), direction = 'ingress'): readonly string[] {
  const chain = lower(policies, subject).chains.find(({ name }) => name.endsWith(direction));
  return textOf(chain)
    .slice(1, -1 - subject.addresses.length)
    .map((text) => text.replaceAll(/@([a-z]+)-\S+-([46])/g, '@$1-$2'));
}

const ingress = (...list: readonly object[]): NetworkPolicy => policy({ ingress: list });
const egress = (...list: readonly object[]): NetworkPolicy => policy({ policyTypes: ['Egress'], egress: list });

describe('a pod chain', () => {
  test('exists for isolated directions only; other directions are accepted at dispatch', () => {
    const { chains, verdicts } = lower([ingress()], pod());
    expect(chains.map(({ name }) => name)).toEqual(['pod-veth-a-ingress']);
    expect(verdicts).toEqual({ egress: { kind: 'accept' }, ingress: { kind: 'goto', chain: 'pod-veth-a-ingress' } });
  });

  test('begins with the prologue, has the own addresses behind all else and ends in the deny chain', () => {
    expect(textOf(lower([ingress({ ports: [port(80)] })], dual).chains[0])).toEqual([
      'jump prologue',
      'tcp dport 80 accept',
      'iifname "veth-a" ip saddr 10.244.1.1 accept',
      'iifname "veth-a" ip6 saddr fd00::1 accept',
      'goto deny',
    ]);
    expect(textOf(lower([egress()], dual).chains[0])).toEqual([
      'jump prologue',
      'oifname "veth-a" ip daddr 10.244.1.1 accept',
      'oifname "veth-a" ip6 daddr fd00::1 accept',
      'goto deny',
    ]);
  });

  test('knows the own address of a bridged pod by the bridge too: from outside anybody may bear it', () => {
    const bridged = { kind: 'bridged', bridge: 'cni0' } as const;
    expect(textOf(lower([ingress()], pod({ ips: ['10.244.1.1'] }), bridged).chains[0])).toEqual([
      'jump prologue',
      'iifname "cni0" ip saddr 10.244.1.1 accept',
      'goto deny',
    ]);
  });

  test('of a pod that is only audited ends in the audit chain', () => {
    const audited = policy({}, { annotations: { 'nftpolicy.dev/mode': 'audit' } });
    expect(textOf(lower([audited], pod()).chains[0]).at(-1)).toBe('goto audit');
    expect(textOf(lower([audited, policy({}, { name: 'q' })], pod()).chains[0]).at(-1)).toBe('goto deny');
  });

  test('names the policy rules behind each rule', () => {
    const chain = lower([ingress({ ports: [port(80)] })], pod()).chains[0];
    expect(chain?.rules.map(({ comment }) => comment)).toEqual([undefined, 'x/p ingress[0]', 'own address', undefined]);
  });

  test('has rules for all ports before rules by port', () => {
    expect(rules([ingress({ from: [app('a')], ports: [port(80)] }, { from: [app('b')] })])).toEqual([
      'ip saddr @peers-4 accept',
      'tcp dport 80 ip saddr @peers-4 accept',
    ]);
  });
});

describe('ports', () => {
  test.each([
    ['none: no match', undefined, ['accept']],
    ['one', [port(80)], ['tcp dport 80 accept']],
    ['several of one protocol: one rule', [port(80), port(82)], ['tcp dport { 80, 82 } accept']],
    ['a range', [{ port: 80, endPort: 90 }], ['tcp dport 80-90 accept']],
    [
      'a range beside a number: one rule each',
      [port(70), { port: 80, endPort: 90 }],
      ['tcp dport 70 accept', 'tcp dport 80-90 accept'],
    ],
    ['a protocol', [{ protocol: 'SCTP' }], ['meta l4proto sctp accept']],
    [
      'two protocols: one rule each',
      [port(53), { port: 53, protocol: 'UDP' }],
      ['tcp dport 53 accept', 'udp dport 53 accept'],
    ],
    ['only refused entries: no rule', [port(0)], []],
  ])('%s', (_, ports, expected) => {
    expect(rules([ingress({ ports })])).toEqual(expected);
  });

  test('a name means what the subject declares, for ingress', () => {
    const subject = pod({ ports: ['http:8080/TCP', 'http:53/UDP'] });
    expect(rules([ingress({ ports: [{ port: 'http' }] })], subject)).toEqual(['tcp dport 8080 accept']);
    expect(rules([ingress({ ports: [{ port: 'other' }] })], subject)).toEqual([]);
  });

  test('a name means what each peer declares, for egress: a set of address, protocol and port', () => {
    const subject = pod({ ports: ['http:8080/TCP'] });
    const policies = [egress({ to: [app('a')], ports: [{ port: 'http' }] })];
    expect(rules(policies, subject, 'egress')).toEqual(['ip daddr . meta l4proto . th dport @named-4 accept']);
    expect(lower(policies, subject).sets).toMatchObject([
      { withPorts: true, parts: [{ numbers: [], names: [{ protocol: 'TCP', name: 'http' }] }] },
    ]);
  });

  test('an egress name without peers means every pod (semantics 40)', () => {
    const { sets } = lower([egress({ ports: [{ port: 'http' }] })], pod());
    expect(sets).toMatchObject([{ parts: [{ selector: { namespaces: { kind: 'selector' } } }] }]);
  });

  test('an egress name behind a block needs both the block and the declaring pod', () => {
    const to = [{ ipBlock: { cidr: '10.0.0.0/8', except: ['10.1.0.0/16'] } }];
    expect(rules([egress({ to, ports: [{ port: 'http' }] })], pod(), 'egress')).toEqual([
      'ip daddr 10.0.0.0/8 ip daddr != 10.1.0.0/16 ip daddr . meta l4proto . th dport @named-4 accept',
    ]);
  });
});

describe('families', () => {
  test('each has its own set and rule; a pod of one family has no rule of the other (semantics 61)', () => {
    const policies = [ingress({ from: [app('a')] })];
    expect(rules(policies, dual)).toEqual(['ip saddr @peers-4 accept', 'ip6 saddr @peers-6 accept']);
    expect(rules(policies, pod({ ips: ['fd00::1'] }))).toEqual(['ip6 saddr @peers-6 accept']);
  });

  test('a block has rules of its own family only (semantics 62)', () => {
    expect(rules([ingress({ from: [{ ipBlock: { cidr: '10.0.0.0/8' } }] })], dual)).toEqual([
      'ip saddr 10.0.0.0/8 accept',
    ]);
  });

  test('a block of everything names its family: IPv4 stays IPv4 (semantics 32)', () => {
    const from = ['0.0.0.0/0', '::/0'].map((cidr) => ({ ipBlock: { cidr } }));
    expect(rules([ingress({ from })], dual)).toEqual(['meta nfproto ipv4 accept', 'meta nfproto ipv6 accept']);
  });
});

describe('many rules', () => {
  const distinct = (count: number): NetworkPolicy =>
    ingress(...Array.from({ length: count }, (_, n) => ({ from: [app(`a${n}`)], ports: [port(80 + 2 * n)] })));

  test(`up to ${flattenAbove} selector rules stay plain, more become one lookup`, () => {
    expect(rules([distinct(flattenAbove)])).toHaveLength(flattenAbove);
    expect(rules([distinct(flattenAbove + 1)])).toEqual(['ip saddr . meta l4proto . th dport @flat-4 accept']);
  });

  test('what has no single port stays plain beside the lookup', () => {
    const ranges = ingress(
      ...Array.from({ length: flattenAbove }, (_, n) => ({ from: [app(`a${n}`)], ports: [port(80 + 2 * n)] })),
      { from: [app('r')], ports: [{ port: 1000, endPort: 2000 }, port(3000)] },
      { from: [app('any')] },
    );
    expect(rules([ranges])).toEqual([
      'ip saddr @peers-4 accept',
      'tcp dport 1000-2000 ip saddr @peers-4 accept',
      'ip saddr . meta l4proto . th dport @flat-4 accept',
    ]);
  });

  test('port names take part in the lookup', () => {
    const named = egress(
      ...Array.from({ length: flattenAbove }, (_, n) => ({ to: [app(`a${n}`)], ports: [port(80 + 2 * n)] })),
      { to: [app('n')], ports: [{ port: 'http' }] },
    );
    expect(rules([named], pod(), 'egress')).toEqual(['ip daddr . meta l4proto . th dport @flat-4 accept']);
    const [spec] = lower([named], pod()).sets;
    expect(spec?.parts.flatMap(({ names }) => names)).toEqual([{ protocol: 'TCP', name: 'http' }]);
  });

  test(`up to ${intervalAbove} block rules stay plain, more become one interval lookup`, () => {
    const blocks = (count: number): NetworkPolicy =>
      ingress({
        from: Array.from({ length: count }, (_, n) => ({ ipBlock: { cidr: `10.${n}.0.0/16` } })),
        ports: [port(80)],
      });
    expect(rules([blocks(intervalAbove)])).toHaveLength(intervalAbove);
    expect(rules([blocks(intervalAbove + 1)])).toEqual(['ip saddr . meta l4proto . th dport @blocks-4 accept']);
    expect(lower([blocks(intervalAbove + 1)], pod()).sets[0]).toMatchObject({
      interval: true,
      fixed: [`10.0.0.0-10.${intervalAbove}.255.255 . tcp . 80`],
    });
  });

  test('interval lookups with and without ports stand side by side', () => {
    const list = Array.from({ length: intervalAbove }, (_, n) => ({ ipBlock: { cidr: `10.${2 * n}.0.0/16` } }));
    const texts = rules([ingress({ from: list, ports: [port(80)] }, { from: [{ ipBlock: { cidr: '9.0.0.0/8' } }] })]);
    expect(texts).toHaveLength(2);
    expect(texts.filter((text) => text.includes('th dport @blocks-4'))).toHaveLength(1);
  });
});

describe('names', () => {
  const names = (policies: readonly NetworkPolicy[], subject = pod()): readonly string[] =>
    lower(policies, subject).sets.map(({ name }) => name);

  test('equal peers share a set, whoever uses it', () => {
    const policies = [ingress({ from: [app('a'), app('b')] })];
    expect(names(policies)).toEqual(names(policies, pod({ name: 'other', ips: ['10.244.1.9'] })));
  });

  // The slug is for people: it may be cut, and different labels can give the same words.
  test('the digest alone tells definitions apart', () => {
    const digests = [
      [ingress({ from: [app('a')] })],
      [ingress({ from: [app('a'), app('b')] })],
      [ingress({ from: [app('a'), app('c')] })],
      [egress({ to: [app('a')], ports: [{ port: 'http' }] })],
      [egress({ to: [app('a')], ports: [{ port: 'dns' }] })],
      [egress({ to: [app('a')], ports: [{ port: 'http', protocol: 'UDP' }] })],
      [egress({ to: [app('a'), app('b')], ports: [{ port: 'http' }] })],
      [ingress({ from: [{ namespaceSelector: {}, podSelector: { matchLabels: { app: 'a' } } }] })],
    ].flatMap((policies) => names(policies).map((name) => /-([0-9a-f]{32})-4$/.exec(name)?.[1]));
    expect(digests).not.toContain(undefined);
    expect(new Set(digests).size).toBe(8);
  });
});

describe('formatProvenance', () => {
  const at = (policyName: string, index: number) =>
    ({ policy: `default/${policyName}`, direction: 'ingress', index }) as Parameters<
      typeof formatProvenance
    >[0][number];

  test('lists the rules', () => {
    expect(formatProvenance([at('a', 0), at('b', 1)])).toBe('default/a ingress[0], default/b ingress[1]');
  });

  test('stays within the 128 bytes of a rule comment and counts the rest', () => {
    const many = Array.from({ length: 200 }, (_, n) => at(`policy-${n}`, n));
    const long = [at('x'.repeat(300), 0), at('b', 1)];
    for (const provenance of [many, long, long.slice(0, 1)]) {
      expect(Buffer.byteLength(formatProvenance(provenance))).toBeLessThanOrEqual(128);
    }
    expect(formatProvenance(many)).toMatch(/, default\/policy-\d+ ingress\[\d+\] \+\d+$/);
    expect(formatProvenance(long)).toMatch(/~ \+1$/);
  });
});

describe('rules whose parts would multiply', () => {
  test('stay rules when their blocks and ports would be too many boxes', () => {
    const count = 300;
    const nested = Array.from({ length: count }, (_, i) => ({
      from: [{ ipBlock: { cidr: `10.${i >> 8}.${i & 255}.0/25` } }],
      ports: [{ port: i + 1, endPort: 65_535 - i }],
    }));
    const { chains, sets } = lower([ingress(...nested)], pod());
    expect([chains[0]?.rules.length, sets.length]).toEqual([count + 3, 0]);
  });

  test('stay rules when one peer would bring too many entries to a flat set', () => {
    const ports = Array.from({ length: 32 }, (_, i) => port(1000 + 2 * i));
    const many = Array.from({ length: 60 }, (_, i) => ({
      from: [{ podSelector: { matchExpressions: [{ key: `k${i}`, operator: 'DoesNotExist' }] } }],
      ports: [...ports, port(2000 + 2 * i)].slice(1),
    }));
    const { sets } = lower([ingress(...many)], pod());
    const entries = sets.flatMap((set) => (set.withPorts ? set.parts.map(({ numbers }) => numbers.length) : []));
    expect(entries.reduce((sum, one) => sum + one, 0)).toBe(1024);
    expect(sets.filter(({ name }) => name.startsWith('peers-'))).toHaveLength(60 - 1024 / 32);
  });
});
