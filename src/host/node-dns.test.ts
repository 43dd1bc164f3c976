import { expect, test } from 'vitest';

import { parseLinks } from './links.ts';
import { nodeDnsAddresses } from './node-dns.ts';

const address = (local: string, scope = 'global', prefixlen = local.includes(':') ? 128 : 32): object => ({
  family: local.includes(':') ? 'inet6' : 'inet',
  local,
  prefixlen,
  scope,
});
const link = (ifname: string, ...addr_info: object[]): object => ({
  ifindex: 7,
  ifname,
  flags: ['BROADCAST', 'NOARP'],
  link_type: 'ether',
  linkinfo: { info_kind: 'dummy' },
  addr_info,
});
const facts = (...links: object[]) => ({ links: parseLinks(JSON.stringify(links)) });

test('the addresses of NodeLocal DNSCache are those of its interface, without the one that every interface has', () => {
  const cache = link(
    'nodelocaldns',
    address('169.254.20.10', 'link'),
    address('10.96.0.10'),
    address('fd00:10:96::a'),
    address('fe80::1', 'link', 64),
  );
  expect(nodeDnsAddresses(facts(link('eth0', address('10.0.0.1')), cache))).toEqual([
    '10.96.0.10',
    '169.254.20.10',
    'fd00:10:96::a',
  ]);
});

test('without the interface there are none', () => {
  expect(nodeDnsAddresses(facts(link('eth0', address('169.254.20.10'))))).toEqual([]);
});
