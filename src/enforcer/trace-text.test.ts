import { expect, test } from 'vitest';

import { parseTraceLine, tracedPath } from './trace-text.ts';

// Printed by nft 1.0.6 on kernel 6.18.
const text = `trace id 7c5b4cdb inet nftpolicy-trace follow packet: iif "va" oif "vb" ip saddr 10.9.1.2 tcp dport 81
trace id 7c5b4cdb inet nftpolicy-trace follow rule tcp dport 81 meta nftrace set 1 # handle 3 (verdict continue)
trace id 7c5b4cdb inet nftpolicy-trace follow policy accept
trace id 7c5b4cdb inet nftpolicy forward-egress packet: iif "va" oif "vb" ip saddr 10.9.1.2 tcp dport 81
trace id 7c5b4cdb inet nftpolicy forward-egress rule jump prologue # handle 15 (verdict jump prologue)
trace id 7c5b4cdb inet nftpolicy forward-egress policy accept
trace id 7c5b4cdb inet nftpolicy forward-ingress rule jump prologue # handle 16 (verdict jump prologue)
trace id 7c5b4cdb inet nftpolicy forward-ingress rule oifname vmap @pod-ingress # handle 17 (verdict goto pod-vb-ingress)
trace id 7c5b4cdb inet nftpolicy pod-vb-ingress rule goto deny comment "# handle 99 (verdict accept)" # handle 13 (verdict goto deny)
trace id 7c5b4cdb inet nftpolicy deny rule meta l4proto { tcp, udp } update @denied-4 { ip saddr . th dport } # handle 10 (verdict continue)
trace id 7c5b4cdb inet nftpolicy deny rule drop # handle 11 (verdict drop)`;

const lines = text.split('\n').flatMap((line) => parseTraceLine(line) ?? []);

test('a traced packet becomes the rules of our table that gave a verdict', () => {
  expect(tracedPath(lines, 'nftpolicy').map(({ chain, handle, verdict }) => `${chain} ${handle} ${verdict}`)).toEqual([
    'forward-ingress 17 goto pod-vb-ingress',
    'pod-vb-ingress 13 goto deny',
    'deny 11 drop',
  ]);
});

test('a jump counts when the chain it went to decided', () => {
  const decided = [
    'trace id 1 inet nftpolicy forward-egress rule jump prologue # handle 15 (verdict jump prologue)',
    'trace id 1 inet nftpolicy prologue rule ct direction reply accept # handle 14 (verdict accept)',
  ].flatMap((line) => parseTraceLine(line) ?? []);
  expect(tracedPath(decided, 'nftpolicy').map(({ handle }) => handle)).toEqual([15, 14]);
});

test('the end of a base chain and rules without handles are read, other lines are not', () => {
  expect(parseTraceLine('trace id a1 inet filter forward policy drop ')).toMatchObject({
    kind: 'policy',
    verdict: 'drop',
  });
  expect(parseTraceLine('trace id a1 bridge nftpolicy guard rule accept (verdict accept)')).toEqual({
    id: 'a1',
    family: 'bridge',
    table: 'nftpolicy',
    chain: 'guard',
    kind: 'rule',
    verdict: 'accept',
  });
  for (const line of [
    '',
    'trace id a1 inet t c packet: iif "a"',
    'trace id a1 inet t c verdict continue',
    '# new generation 3',
  ])
    expect(parseTraceLine(line)).toBeUndefined();
});
