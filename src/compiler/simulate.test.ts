import {
  accept,
  anonymousSet,
  concat,
  counter,
  ct,
  drop,
  goto,
  jump,
  match,
  meta,
  payload,
  prefix,
  range,
  reject,
  setRef,
  vmap,
} from 'nftables-json';
import type { Statement } from 'nftables-json';
import { describe, expect, test } from 'vitest';

import { BugError } from '../model/assert.ts';
import type { DesiredChain, DesiredSet, DesiredTable, DispatchVerdict } from './ruleset.ts';
import { simulate } from './simulate.ts';
import type { Outcome, Packet } from './simulate.ts';
import { ip } from './testing/cast.ts';

const tcp: Packet = {
  iifname: 'vethA',
  oifname: 'vethB',
  saddr: ip('10.0.0.5'),
  daddr: ip('10.0.1.1'),
  protocol: 'tcp',
  sport: 40_000,
  dport: 80,
  hopLimit: 63,
  ctDirection: 'original',
  ctState: 'new',
};
const tcp6: Packet = { ...tcp, saddr: ip('fd00::5'), daddr: ip('fd00::1') };

type Rules = readonly (readonly Statement[])[];

function run(packet: Packet, base: Rules, parts: Partial<Parts> = {}): Outcome {
  const chain = (name: string, rules: Rules): DesiredChain => ({
    name,
    rules: rules.map((statements) => ({ statements, provenance: [] })),
  });
  const chains = [
    { ...chain('base', base), base: { type: 'filter', hook: 'forward', priority: 0 } } as const,
    ...Object.entries(parts.chains ?? {}).map(([name, rules]) => chain(name, rules)),
  ];
  const table: DesiredTable = {
    family: 'inet',
    sets: new Map((parts.sets ?? []).map((set) => [set.name, set])),
    maps: new Map([['m', { name: 'm', type: ['ifname'], elements: new Map(Object.entries(parts.map ?? {})) }]]),
    chains: new Map(chains.map((one) => [one.name, one])),
  };
  return simulate(table, 'base', packet);
}

interface Parts {
  readonly chains: Readonly<Record<string, Rules>>;
  readonly sets: readonly DesiredSet[];
  readonly map: Readonly<Record<string, DispatchVerdict>>;
}

/** Whether a rule with this match would drop the packet. */
function matches(packet: Packet, statement: Statement, sets: readonly DesiredSet[] = []): boolean {
  return run(packet, [[statement, drop()]], { sets }).verdict === 'drop';
}

const hash = (...elements: string[]): DesiredSet => ({
  name: 's',
  type: [],
  interval: false,
  elements: new Set(elements),
});
const intervals = (...elements: string[]): DesiredSet => ({ ...hash(...elements), interval: true });

describe('a match', () => {
  const saddr = payload('ip', 'saddr');
  const dport = payload('tcp', 'dport');
  test.each<[string, Statement, boolean]>([
    ['equal text', match(saddr, '10.0.0.5'), true],
    ['other text', match(saddr, '10.0.0.6'), false],
    ['not equal', match(saddr, '10.0.0.6', '!='), true],
    ['a prefix that holds the address', match(saddr, prefix('10.0.0.4', 30)), true],
    ['a prefix beside the address', match(saddr, prefix('10.0.0.0', 30)), false],
    ['a number', match(dport, 80), true],
    ['the last port of a range', match(dport, range(70, 80)), true],
    ['the first port of a range', match(dport, range(80, 90)), true],
    ['behind a range', match(dport, range(70, 79)), false],
    ['one of several', match(dport, anonymousSet([79, 80])), true],
    ['none of several', match(dport, anonymousSet([79, 81])), false],
    ['a port of another protocol', match(payload('udp', 'dport'), 80), false],
    ['a transport port', match(payload('th', 'dport'), 80), true],
    ['an interface pattern', match(meta('iifname'), 'veth*'), true],
    ['another interface pattern', match(meta('iifname'), 'eth*'), false],
    ['a layer 4 protocol', match(meta('l4proto'), 'tcp'), true],
    ['a family', match(meta('nfproto'), 'ipv4'), true],
    ['a connection state', match(ct('state'), ['new', 'established'], 'in'), true],
    ['a connection direction', match(ct('direction'), 'reply'), false],
  ])('%s', (_, statement, expected) => {
    expect(matches(tcp, statement)).toBe(expected);
  });

  test('on a header the packet lacks fails, whatever the operator', () => {
    expect(matches(tcp6, match(saddr, '10.0.0.5'))).toBe(false);
    expect(matches(tcp6, match(saddr, '10.0.0.5', '!='))).toBe(false);
    expect(matches({ ...tcp, protocol: 'icmp' }, match(dport, 80, '!='))).toBe(false);
  });
});

describe('a lookup', () => {
  const key = concat(payload('ip', 'saddr'), meta('l4proto'), payload('th', 'dport'));

  test('finds an element that equals every field', () => {
    expect(matches(tcp, match(key, setRef('s')), [hash('10.0.0.5 . tcp . 80')])).toBe(true);
    expect(matches(tcp, match(key, setRef('s')), [hash('10.0.0.5 . udp . 80', '10.0.0.5 . tcp . 81')])).toBe(false);
    expect(matches(tcp, match(key, setRef('s'), '!='), [hash('10.0.0.5 . tcp . 81')])).toBe(true);
  });

  test('finds any of several boxes, ends included, in every field at once', () => {
    const boxes = [intervals('10.0.0.6-10.0.0.9 . tcp . 1-99', '10.0.0.1-10.0.0.5 . tcp . 80-90')];
    expect(matches(tcp, match(key, setRef('s')), boxes)).toBe(true);
    expect(matches({ ...tcp, dport: 79 }, match(key, setRef('s')), boxes)).toBe(false);
    expect(matches({ ...tcp, dport: 90 }, match(key, setRef('s')), boxes)).toBe(true);
    expect(matches({ ...tcp, dport: 91 }, match(key, setRef('s')), boxes)).toBe(false);
  });

  test('misses with a key that the packet lacks', () => {
    expect(matches(tcp6, match(key, setRef('s'), '!='), [hash()])).toBe(false);
  });

  test('in a verdict map goes where the element says; a miss goes on with the next rule', () => {
    const map: Parts['map'] = { vethA: { kind: 'goto', chain: 'pod' }, vethC: { kind: 'accept' } };
    const rules = [[vmap(meta('iifname'), setRef('m'))], [drop()]];
    const ask = (iifname: string) => run({ ...tcp, iifname }, rules, { map, chains: { pod: [[reject()]] } }).verdict;
    expect([ask('vethA'), ask('vethC'), ask('vethX')]).toEqual(['reject', 'accept', 'drop']);
  });
});

describe('the path', () => {
  test('goto does not return, jump does', () => {
    const chains = { empty: [[counter()]] };
    expect(run(tcp, [[goto('empty')], [drop()]], { chains }).verdict).toBe('accept');
    expect(run(tcp, [[jump('empty')], [drop()]], { chains }).verdict).toBe('drop');
  });

  test('the end of a base chain accepts', () => {
    expect(run(tcp, [])).toEqual({ verdict: 'accept', path: [] });
  });

  test('names the rules that took part and ends with the one that decided', () => {
    const chains = { a: [[match(meta('iifname'), 'eth0'), drop()], [goto('b')]], b: [[drop()]], none: [] };
    const { verdict, path } = run(tcp, [[jump('none')], [jump('a')]], { chains });
    expect(verdict).toBe('drop');
    expect(path.map(({ chain, index }) => `${chain} ${index}`)).toEqual(['base 1', 'a 1', 'b 0']);
  });

  test('a rule behind a statement without verdict goes on', () => {
    expect(run(tcp, [[counter(), accept()]]).path).toHaveLength(1);
  });
});

describe('what it does not know', () => {
  test.each<[string, Rules]>([
    ['an expression', [[match(payload('ip', 'ttl'), 1), drop()]]],
    ['an operator', [[match(meta('iifname'), 'a', '<'), drop()]]],
    ['a chain', [[goto('nowhere')]]],
    ['a set', [[match(payload('ip', 'saddr'), setRef('nowhere')), drop()]]],
    ['a statement', [[{ xt: null } as unknown as Statement]]],
    ['a value', [[match(meta('iifname'), { elem: { val: 'a' } }), drop()]]],
  ])('%s throws: it never guesses', (_, rules) => {
    expect(() => run(tcp, rules)).toThrow(BugError);
  });

  test('a chain that is no base chain cannot be asked', () => {
    const table: DesiredTable = { family: 'inet', sets: new Map(), maps: new Map(), chains: new Map() };
    expect(() => simulate(table, 'base', tcp)).toThrow('no base chain');
  });

  test('jumps beyond what the kernel allows are an error', () => {
    expect(() => run(tcp, [[jump('loop')]], { chains: { loop: [[jump('loop')]] } })).toThrow('too deep');
  });
});
