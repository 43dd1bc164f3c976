import {
  accept,
  anonymousSet,
  concat,
  counter,
  drop,
  goto,
  limit,
  match,
  meta,
  payload,
  prefix,
  range,
  setRef,
  vmap,
} from 'nftables-json';
import type { MatchOperator, Expression, Statement } from 'nftables-json';
import { describe, expect, test } from 'vitest';

import { chainsNamed, ruleKey, setsNamed } from './rule-key.ts';

const is = (left: Expression, right: Expression, op: MatchOperator = '=='): Statement => match(left, right, op);
const key = (family: 'inet' | 'bridge', ...statements: readonly Statement[]): string =>
  ruleKey(family, statements, undefined);
const saddr = payload('ip', 'saddr');
const ether = payload('ether', 'type');

describe('rule keys', () => {
  test.each<{ name: string; family: 'inet' | 'bridge'; a: Statement[]; b: Statement[] }>([
    {
      name: 'counted packets',
      family: 'inet',
      a: [counter(), drop()],
      b: [{ counter: { packets: 7, bytes: 9 } }, drop()],
    },
    {
      name: 'a full-length block',
      family: 'inet',
      a: [is(saddr, prefix('10.0.0.1', 32)), accept()],
      b: [is(saddr, '10.0.0.1'), accept()],
    },
    {
      name: 'a range that is a block',
      family: 'inet',
      a: [is(saddr, range('10.0.0.0', '10.0.0.255')), accept()],
      b: [is(saddr, prefix('10.0.0.0', 24)), accept()],
    },
    {
      name: 'the order in an anonymous set',
      family: 'inet',
      a: [is(meta('l4proto'), anonymousSet(['tcp', 'udp'])), drop()],
      b: [is(meta('l4proto'), anonymousSet(['udp', 'tcp'])), drop()],
    },
    {
      name: 'a protocol by number',
      family: 'inet',
      a: [is(meta('l4proto'), 6), drop()],
      b: [is(meta('l4proto'), 'tcp'), drop()],
    },
    {
      name: 'a protocol implied by its port',
      family: 'inet',
      a: [is(meta('l4proto'), 'tcp'), is(payload('tcp', 'dport'), 80), accept()],
      b: [is(payload('tcp', 'dport'), 80), accept()],
    },
    {
      name: 'a port named by its protocol',
      family: 'inet',
      a: [is(meta('l4proto'), 'udp'), is(payload('th', 'dport'), 53), accept()],
      b: [is(payload('udp', 'dport'), 53), accept()],
    },
    {
      name: 'the family implied by an address',
      family: 'inet',
      a: [is(meta('nfproto'), 'ipv4'), is(saddr, '10.0.0.1'), accept()],
      b: [is(saddr, '10.0.0.1'), accept()],
    },
    {
      name: 'the ether type implied by an address',
      family: 'bridge',
      a: [is(ether, 'ip'), is(concat(meta('iifname'), saddr), setRef('s')), accept()],
      b: [is(concat(meta('iifname'), saddr), setRef('s')), accept()],
    },
    {
      name: 'defaults of a limit',
      family: 'inet',
      a: [limit({ rate: 1, per: 'second' }), drop()],
      b: [limit({ rate: 1, per: 'second', burst: 5, rate_unit: 'packets' }), drop()],
    },
    {
      name: 'the implicit operator',
      family: 'inet',
      a: [is(saddr, '10.0.0.1', 'in'), drop()],
      b: [is(saddr, '10.0.0.1'), drop()],
    },
  ])('are equal modulo $name', ({ family, a, b }) => {
    expect(key(family, ...a)).toBe(key(family, ...b));
  });

  test.each<{ name: string; family: 'inet' | 'bridge'; a: Statement[]; b: Statement[] }>([
    {
      name: 'a family that nothing implies',
      family: 'inet',
      a: [is(meta('nfproto'), 'ipv4'), accept()],
      b: [accept()],
    },
    {
      name: 'a family that another header implies',
      family: 'inet',
      a: [is(meta('nfproto'), 'ipv4'), is(payload('ip6', 'saddr'), '::'), accept()],
      b: [is(payload('ip6', 'saddr'), '::'), accept()],
    },
    {
      name: 'an ether type in the inet family',
      family: 'inet',
      a: [is(ether, 'ip'), is(saddr, '10.0.0.1'), accept()],
      b: [is(saddr, '10.0.0.1'), accept()],
    },
    {
      name: 'a negated protocol',
      family: 'inet',
      a: [is(meta('l4proto'), 'tcp', '!='), is(payload('tcp', 'dport'), 80), accept()],
      b: [is(payload('tcp', 'dport'), 80), accept()],
    },
    {
      name: 'a test before a limit',
      family: 'inet',
      a: [is(meta('l4proto'), 'tcp'), limit({ rate: 1, per: 'second' }), is(payload('tcp', 'dport'), 80), accept()],
      b: [limit({ rate: 1, per: 'second' }), is(payload('tcp', 'dport'), 80), accept()],
    },
    {
      name: 'a test before a map lookup',
      family: 'inet',
      a: [is(meta('nfproto'), 'ipv4'), vmap(meta('iifname'), setRef('m')), is(saddr, '10.0.0.1'), accept()],
      b: [vmap(meta('iifname'), setRef('m')), is(saddr, '10.0.0.1'), accept()],
    },
    {
      name: 'the operator',
      family: 'inet',
      a: [is(saddr, setRef('s'), '!='), accept()],
      b: [is(saddr, setRef('s')), accept()],
    },
    {
      name: 'a bit test against equality',
      family: 'inet',
      a: [is({ ct: { key: 'state' } }, 'related', 'in'), accept()],
      b: [is({ ct: { key: 'state' } }, 'related'), accept()],
    },
    { name: 'the verdict', family: 'inet', a: [drop()], b: [accept()] },
    { name: 'the order of verdict and drop', family: 'inet', a: [counter(), drop()], b: [drop()] },
  ])('differ by $name', ({ family, a, b }) => {
    expect(key(family, ...a)).not.toBe(key(family, ...b));
  });

  test('differ by the comment', () => {
    expect(ruleKey('inet', [drop()], 'a')).not.toBe(ruleKey('inet', [drop()], 'b'));
  });

  test('know which sets and chains a rule names, and do not look into comments', () => {
    const text = ruleKey('inet', [is(saddr, setRef('peers')), goto('deny')], '"@other" "target":"none"');
    expect(setsNamed(text)).toEqual(['peers']);
    expect(chainsNamed(text)).toEqual(['deny']);
  });
});
