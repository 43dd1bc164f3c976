import { describe, expect, test } from 'vitest';

import type { NamedPort } from '../model/port.ts';
import { blockKey, mergeRules } from './merge.ts';
import { portSetKey } from './port-set.ts';
import { resolve } from './resolve.ts';
import { cidr, pod, policy } from './testing/cast.ts';

function merged(ingress: readonly object[], namedPorts?: readonly NamedPort[]): readonly string[] {
  const { policies } = resolve([policy({ ingress })], pod()).ingress;
  return mergeRules(
    policies.flatMap(({ rules }) => rules),
    namedPorts,
  ).map(({ ports, peers, provenance }) => {
    const whom =
      peers.kind === 'any'
        ? ['anyone']
        : [...peers.selectors.map(({ pods }) => pods.canonical), ...peers.blocks.map(blockKey)];
    return `${portSetKey(ports)} from ${whom.join(', ')} by ${provenance.map(({ index }) => index).join(' ')}`;
  });
}

const app = (name: string): object => ({ podSelector: { matchLabels: { app: name } } });
const named = (name: string): string => `["app","In","${name}"]`;
const port = (number: number): object => ({ port: number });

describe('mergeRules', () => {
  test('unites the peers of rules with equal ports, however they are written', () => {
    const ranges = [port(80), port(81)];
    expect(
      merged([
        { from: [app('b')], ports: [{ port: 80, endPort: 81 }] },
        { from: [app('a')], ports: ranges },
      ]),
    ).toEqual([`TCP:80-81 from ${named('a')}, ${named('b')} by 0 1`]);
  });

  test('unites the ports of rules with equal peers', () => {
    expect(
      merged([
        { from: [app('a')], ports: [port(80)] },
        { from: [app('a')], ports: [port(443)] },
      ]),
    ).toEqual([`TCP:80-80,443-443 from ${named('a')} by 0 1`]);
  });

  test('never mixes peers and ports of different rules (semantics 14)', () => {
    expect(
      merged([
        { from: [app('a')], ports: [port(80)] },
        { from: [app('b')], ports: [port(443)] },
      ]),
    ).toEqual([`TCP:443-443 from ${named('b')} by 1`, `TCP:80-80 from ${named('a')} by 0`]);
  });

  test('anyone swallows the peers with the same ports', () => {
    expect(merged([{ from: [app('a')], ports: [port(80)] }, { ports: [port(80)] }])).toEqual([
      'TCP:80-80 from anyone by 0 1',
    ]);
  });

  test('equal peers with any port keep any port', () => {
    expect(merged([{ from: [app('a')], ports: [port(80)] }, { from: [app('a')] }])).toEqual([
      `any from ${named('a')} by 0 1`,
    ]);
  });

  test('blocks with different exceptions stay two blocks (semantics 30)', () => {
    const block = (...except: string[]): object => ({ ipBlock: { cidr: '10.0.0.0/8', except } });
    expect(merged([{ from: [block('10.1.0.0/16')] }, { from: [block('10.2.0.0/16')] }])).toEqual([
      'any from 10.0.0.0/8 ! 10.1.0.0/16, 10.0.0.0/8 ! 10.2.0.0/16 by 0 1',
    ]);
  });

  test('refused rules, refused peers and ports nobody declares leave nothing', () => {
    expect(merged([{ form: [] }, { from: [{}] }])).toEqual([]);
    expect(merged([{ ports: [{ port: 'http' }] }], [])).toEqual([]);
    expect(merged([{ ports: [{ port: 'http' }] }])).toEqual(['TCP:"http" from anyone by 0']);
  });

  test('rules for any port come first', () => {
    expect(merged([{ from: [app('a')], ports: [port(80)] }, { from: [app('b')] }])).toEqual([
      `any from ${named('b')} by 1`,
      `TCP:80-80 from ${named('a')} by 0`,
    ]);
  });
});

test('a block is named by its addresses: order and repetition of exceptions do not matter', () => {
  const except = (...texts: string[]) => texts.map((text, index) => ({ cidr: cidr(text), index }));
  const key = (...texts: string[]): string => blockKey({ cidr: cidr('10.0.0.0/8'), except: except(...texts) });
  expect(key('10.2.0.0/16', '10.1.0.0/16', '10.2.0.0/16')).toBe(key('10.1.0.0/16', '10.2.0.0/16'));
  expect(key('10.1.0.0/16')).not.toBe(key('10.2.0.0/16'));
  expect(key()).toBe('10.0.0.0/8');
});
