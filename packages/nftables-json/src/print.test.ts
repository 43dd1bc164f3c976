import { describe, expect, test } from 'vitest';
import { and, anonymousSet, concat, ct, elem, meta, or, payload, prefix, range, rawPayload, setRef } from './expr.ts';
import type { Statement, UnknownStatement } from './grammar.ts';
import { printReplacing, printRule, printTable } from './print.ts';
import { printSeconds } from './print-rule.ts';
import {
  accept,
  continueStatement,
  counter,
  drop,
  goto,
  jump,
  limit,
  log,
  match,
  reject,
  returnStatement,
  updateSet,
  vmap,
} from './stmt.ts';

const inTable = { family: 'inet', table: 't' } as const;

describe('a rule prints as', () => {
  test.each<{ readonly text: string; readonly expr: readonly Statement[] }>([
    { text: 'ip saddr @peers-api-4 accept', expr: [match(payload('ip', 'saddr'), setRef('peers-api-4')), accept()] },
    { text: 'ip saddr != 10.0.0.0/8 drop', expr: [match(payload('ip', 'saddr'), prefix('10.0.0.0', 8), '!='), drop()] },
    { text: 'tcp dport { 80, 443 }', expr: [match(payload('tcp', 'dport'), anonymousSet([80, 443]))] },
    { text: 'tcp dport 8081-8082', expr: [match(payload('tcp', 'dport'), range(8081, 8082))] },
    { text: 'meta l4proto . th dport @s', expr: [match(concat(meta('l4proto'), payload('th', 'dport')), setRef('s'))] },
    { text: 'iifname "veth*" goto deny', expr: [match(meta('iifname'), 'veth*'), goto('deny')] },
    { text: 'oifname { "a", "b" }', expr: [match(meta('oifname'), anonymousSet(['a', 'b']))] },
    {
      text: 'iifname . ip saddr { "a" . 10.0.0.1 }',
      expr: [match(concat(meta('iifname'), payload('ip', 'saddr')), anonymousSet([concat('a', '10.0.0.1')]))],
    },
    { text: 'iifname vmap @pods', expr: [vmap(meta('iifname'), setRef('pods'))] },
    {
      text: 'tcp dport vmap { 80 : accept, 81 : jump a }',
      expr: [
        vmap(
          payload('tcp', 'dport'),
          anonymousSet([
            [80, accept()],
            [81, jump('a')],
          ]),
        ),
      ],
    },
    {
      text: 'ct state established,related accept',
      expr: [match(ct('state'), ['established', 'related'], 'in'), accept()],
    },
    { text: 'ct state == established', expr: [match(ct('state'), 'established')] },
    { text: 'ct direction reply', expr: [match(ct('direction'), 'reply')] },
    { text: 'arp saddr ip 0.0.0.0', expr: [match(payload('arp', 'saddr ip'), '0.0.0.0')] },
    { text: '@nh,96,32 1', expr: [match(rawPayload('nh', 96, 32), 1)] },
    {
      text: 'meta mark & 255 == 1'.replace('meta mark', 'mark').replace(' ==', ''),
      expr: [match(and(meta('mark'), 255), 1)],
    },
    {
      text: 'tcp flags & (fin | syn) == syn'.replace(' ==', ''),
      expr: [match(and(payload('tcp', 'flags'), or('fin', 'syn')), 'syn')],
    },
    { text: 'limit rate 100/second burst 100 packets', expr: [limit({ rate: 100, per: 'second', burst: 100 })] },
    {
      text: 'limit rate over 10 kbytes/minute',
      expr: [limit({ rate: 10, per: 'minute', rate_unit: 'kbytes', inv: true })],
    },
    {
      text: 'update @d { ip saddr timeout 5m counter }',
      expr: [updateSet('d', elem(payload('ip', 'saddr'), { timeout: 300 }), [counter()])],
    },
    { text: 'log prefix "x" group 2', expr: [log({ prefix: 'x', group: 2 })] },
    { text: 'reject with tcp reset', expr: [reject({ type: 'tcp reset' })] },
    { text: 'reject with icmpx admin-prohibited', expr: [reject({ type: 'icmpx', expr: 'admin-prohibited' })] },
    { text: 'counter continue', expr: [counter(), continueStatement()] },
    { text: 'counter return', expr: [{ counter: { packets: 5, bytes: 500 } }, returnStatement()] },
    { text: '<unknown {"future":1}> accept', expr: [{ future: 1 } as unknown as UnknownStatement, accept()] },
  ])('$text', ({ text, expr }) => {
    expect(printRule({ expr })).toBe(text);
  });

  test('its statements and its comment', () => {
    expect(printRule({ expr: [accept()], comment: 'own address' })).toBe('accept comment "own address"');
  });
});

test.each([
  [0, '0s'],
  [59, '59s'],
  [300, '5m'],
  [93_784, '1d2h3m4s'],
])('%i seconds print as %s', (seconds, text) => {
  expect(printSeconds(seconds)).toBe(text);
});

const objects = {
  table: { family: 'inet', name: 't' },
  chains: [
    { ...inTable, name: 'forward', type: 'filter', hook: 'forward', prio: -11, policy: 'accept' },
    { ...inTable, name: 'pod-b' },
    { ...inTable, name: 'pod-a' },
  ],
  sets: [
    {
      ...inTable,
      name: 'sources',
      type: ['ifname', 'ipv4_addr'],
      elem: [concat('vethB', '10.0.0.2'), concat('vethA', '10.0.0.1')],
    },
    {
      ...inTable,
      name: 'denied',
      type: 'ipv4_addr',
      size: 16,
      flags: ['timeout'],
      timeout: 300,
      elem: [elem('10.0.0.1', { timeout: 60, counter: { packets: 1, bytes: 2 } })],
    },
    {
      ...inTable,
      name: 'blocks',
      type: ['ipv4_addr', 'inet_service'],
      flags: ['interval'],
      elem: [concat(prefix('10.0.0.0', 8), range(1, 2))],
    },
  ],
  maps: [
    {
      ...inTable,
      name: 'pods',
      type: 'ifname',
      map: 'verdict',
      elem: [
        ['vethA', goto('pod-a')],
        ['vethB', accept()],
      ],
    },
  ],
  rules: [
    { ...inTable, chain: 'pod-a', expr: [drop()], handle: 9 },
    { ...inTable, chain: 'forward', expr: [vmap(meta('iifname'), setRef('pods'))] },
    { ...inTable, chain: 'pod-a', expr: [accept()], handle: 3 },
  ],
} as const;

test('a table prints with its parts in a stable order', () => {
  expect(printTable(objects)).toBe(`table inet t {
	set blocks {
		type ipv4_addr . inet_service
		flags interval
		elements = { 10.0.0.0/8 . 1-2 }
	}

	set denied {
		type ipv4_addr
		size 16
		flags timeout
		timeout 5m
		elements = { 10.0.0.1 counter packets 1 bytes 2 timeout 1m }
	}

	set sources {
		type ifname . ipv4_addr
		elements = { "vethA" . 10.0.0.1, "vethB" . 10.0.0.2 }
	}

	chain pod-a {
		drop
		accept
	}

	chain pod-b {
	}

	map pods {
		type ifname : verdict
		elements = { "vethA" : goto pod-a, "vethB" : accept }
	}

	chain forward {
		type filter hook forward priority -11; policy accept;
		iifname vmap @pods
	}
}
`);
});

test('the order in which objects come does not matter', () => {
  const reversed = {
    ...objects,
    chains: objects.chains.toReversed(),
    sets: objects.sets.toReversed().map((set) => ({ ...set, elem: [...set.elem].reverse() })),
  };
  expect(printTable(reversed)).toBe(printTable(objects));
});

test('a table can be printed to replace itself', () => {
  expect(printReplacing(objects.table)).toBe('add table inet t\ndelete table inet t\n');
});
