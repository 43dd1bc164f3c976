import { describe, expect, test } from 'vitest';
import type { EndClass } from '../explain/flow-ends.ts';
import type { PortList } from '../explain/port-table.ts';
import { protocols } from '../model/port.ts';
import { portListText, setName } from './flow-sets.ts';

const whole = protocols.map((protocol) => ({ protocol, from: 1, to: 65535 }));
const tcp = (from: number, to = from) => ({ protocol: 'TCP' as const, from, to });

describe('ports in words', () => {
  test.each<[string, PortList]>([
    ['all', { ports: whole, other: true }],
    ['all TCP, UDP and SCTP', { ports: whole, other: false }],
    ['all but TCP 80', { ports: [tcp(1, 79), tcp(81, 65535), ...whole.slice(1)], other: true }],
    ['TCP 80,443-445', { ports: [tcp(80), tcp(443, 445)], other: false }],
    ['TCP any; UDP 53', { ports: [tcp(1, 65535), { protocol: 'UDP', from: 53, to: 53 }], other: false }],
    ['ICMP and others', { ports: [], other: true }],
    ['TCP 22; ICMP and others', { ports: [tcp(22)], other: true }],
  ])('%s', (text, list) => {
    expect(portListText(list)).toBe(text);
  });
});

describe('a set of classes in words', () => {
  const end = (kind: EndClass['kind'], name: string): EndClass =>
    ({ kind, name, namespace: name.split('/')[0] }) as unknown as EndClass;
  const ends = [
    ...['a/1', 'a/2', 'b/1', 'b/2', 'b/3'].map((name) => end('pods', name)),
    end('nodes', 'own node'),
    end('nodes', 'other nodes'),
    end('outside', '10.0.0.0/8'),
    end('outside', 'anyone else outside'),
  ];
  const none = (): boolean => false;

  test.each<[string, readonly number[]]>([
    ['anyone', [0, 1, 2, 3, 4, 5, 6, 7, 8]],
    ['anyone but b/1 and own node', [0, 1, 3, 4, 6, 7, 8]],
    ['every pod', [0, 1, 2, 3, 4]],
    ['every pod but a/1', [1, 2, 3, 4]],
    ['a/*', [0, 1]],
    ['b/*, nodes', [2, 3, 4, 5, 6]],
    ['every pod but a/2, nodes', [0, 2, 3, 4, 5, 6]],
    ['b/1, anyone outside', [2, 7, 8]],
    ['10.0.0.0/8', [7]],
  ])('%s', (text, set) => {
    expect(setName(set, ends, none)).toBe(text);
  });

  test('calls a class that has no such flows as if it were in the set', () => {
    expect(setName([1, 2, 3, 4], ends, (index) => index === 0)).toBe('every pod');
  });
});
