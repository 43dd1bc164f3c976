import { accept, anonymousSet, concat, match, meta } from 'nftables-json';
import type { Listing, Statement } from 'nftables-json';
import { expect, test } from 'vitest';

import { decodeInstalled } from './installed-rules.ts';

const place = { family: 'inet', table: 'nftpolicy' } as const;

/** A listing by an nft that finds names of protocols, or by one without /etc/protocols. */
function listing(tcp: string | number, udp: string | number, icmp6: string | number): Listing {
  const rule = (expr: readonly Statement[]): Listing['rules'][number] => ({ ...place, chain: 'c', expr });
  return {
    table: { family: 'inet', name: 'nftpolicy' },
    sets: [
      {
        ...place,
        name: 's',
        type: ['ipv4_addr', 'inet_proto', 'inet_service'],
        elem: [concat('10.0.0.1', tcp, 80), concat('10.0.0.1', udp, 53)],
      },
    ],
    maps: [],
    chains: [{ ...place, name: 'c' }],
    rules: [
      rule([match(meta('l4proto'), tcp), accept()]),
      rule([match(meta('l4proto'), anonymousSet([tcp, udp])), accept()]),
      rule([match(meta('l4proto'), icmp6), accept()]),
    ],
    others: [],
  };
}

test('protocols are named as we name them, however nft lists them', () => {
  const [named, numbered] = [listing('tcp', 'udp', 'ipv6-icmp'), listing(6, 17, 58)].map((one) =>
    decodeInstalled('inet', one, []),
  );
  expect(numbered).toEqual(named);
  expect(numbered?.chains.get('c')?.rules.map(({ statements }) => statements[0])).toEqual([
    match(meta('l4proto'), 'tcp'),
    match(meta('l4proto'), anonymousSet(['tcp', 'udp'])),
    match(meta('l4proto'), 'icmpv6'),
  ]);
  expect([...(numbered?.sets.get('s')?.elements ?? [])]).toEqual(['10.0.0.1 . tcp . 80', '10.0.0.1 . udp . 53']);
});
