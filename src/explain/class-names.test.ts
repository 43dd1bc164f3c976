import { describe, expect, test } from 'vitest';
import { parseCidr } from '../model/cidr.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { uniteIntervals } from '../model/interval.ts';
import { namespaceName, podKey } from '../model/names.ts';
import { describeAddresses, minimalCidrs, nameClasses } from './class-names.ts';

function pod(name: string, owner?: readonly [kind: string, name: string]): Endpoint {
  return {
    kind: 'Pod',
    key: podKey('shop', name),
    namespace: namespaceName('shop'),
    name,
    uid: name,
    labels: new Map(),
    hostNetwork: false,
    phase: 'Running',
    terminating: false,
    createdAtMs: 0,
    addresses: [],
    namedPorts: [],
    declaredPorts: [],
    source: { kind: 'cluster', resourceVersion: '1' },
    ...(owner === undefined ? {} : { owner: { kind: owner[0], name: owner[1] } }),
  };
}

const web = ['a', 'b', 'c'].map((end) => pod(`web-6d4cf-${end}`, ['ReplicaSet', 'web-6d4cf']));
const db = ['db-0', 'db-1'].map((name) => pod(name, ['StatefulSet', 'db']));

describe('the name of a class', () => {
  test.each<[string, readonly (readonly Endpoint[])[], readonly string[]]>([
    ['is the workload that is wholly in it', [web, db], ['web', 'db']],
    ['names the pods of a workload that is split', [[...web, db[0]!], [db[1]!]], ['db-0+web', 'db-1']],
    ['is * for all pods of several workloads', [[...web, ...db]], ['*']],
    [
      'is a prefix that no other pod has',
      [['x-1', 'x-2', 'x-3', 'x-4'].map((name) => pod(name)), [pod('y')]],
      ['x-*', 'y'],
    ],
    [
      'counts what is too much to name',
      [['x-1', 'x-2', 'x-3', 'x-4'].map((name) => pod(name)), [pod('x-5')]],
      ['x-1+x-2+2 more', 'x-5'],
    ],
  ])('%s', (_name, classes, names) => {
    expect(nameClasses(classes)).toEqual(names);
  });

  test('is never that of another class', () => {
    expect(nameClasses([[web[0]!], [web[0]!]])).toEqual(['web', 'web#2']);
  });
});

describe('addresses in words', () => {
  const intervals = (...cidrs: string[]) => uniteIntervals(cidrs.map((text) => parseCidr(text)!.cidr));

  test('are the fewest blocks', () => {
    expect(minimalCidrs('IPv4', intervals('10.0.0.0/25', '10.0.0.128/25', '10.0.1.0/24'))).toEqual(['10.0.0.0/23']);
    expect(minimalCidrs('IPv4', [{ first: 0n, last: 0xffffffffn }])).toEqual(['0.0.0.0/0']);
    expect(minimalCidrs('IPv4', [{ first: 1n, last: 4n }])).toEqual(['0.0.0.1/32', '0.0.0.2/31', '0.0.0.4/32']);
    expect(minimalCidrs('IPv6', [{ first: 0n, last: (1n << 128n) - 1n }])).toEqual(['::/0']);
  });

  test('are a block without its holes where that is shorter', () => {
    const rest = [
      { first: 0n, last: 0x09ffffffn },
      { first: 0x0b000000n, last: 0xffffffffn },
    ];
    expect(describeAddresses('IPv4', rest)).toBe('0.0.0.0/0 except 10.0.0.0/8');
    expect(describeAddresses('IPv4', intervals('10.0.0.0/8', '12.0.0.0/8'))).toBe('10.0.0.0/8 and 12.0.0.0/8');
  });
});
