import { accept, ct, drop, goto, jump, match } from 'nftables-json';
import { expect, test } from 'vitest';

import type { Ruleset } from '../compiler/ruleset.ts';
import { chain, map, rule, table } from './testing/rulesets.ts';
import { withhold } from './withhold.ts';

const refused = { kind: 'chain', family: 'inet', name: 'pod-vethA-ingress' } as const;
const deny = chain('deny', rule(drop()));
const prologue = chain('prologue', rule(match(ct('direction'), 'reply'), accept()));
const closed = chain('closed', rule(jump('prologue')), rule(goto('deny')));

function verdict(...chains: Parameters<typeof table>[1]['chains'] & object): unknown {
  const pods = chain(refused.name, rule(goto('deny')));
  const dispatch = map('pod-ingress', 'ifname', { vethA: refused.name });
  const ruleset: Ruleset = new Map([['inet', table('inet', { maps: [dispatch], chains: [pods, ...chains] })]]);
  return withhold(ruleset, [refused])?.ruleset.get('inet')?.maps.get('pod-ingress')?.elements.get('vethA');
}

test('a pod whose chain is refused is closed to all but replies', () => {
  expect(verdict(deny, prologue, closed)).toEqual({ kind: 'goto', chain: 'closed' });
});

test('it is closed to all where replies have no chain, and has no element where nothing refuses', () => {
  expect(verdict(deny)).toEqual({ kind: 'goto', chain: 'deny' });
  expect(verdict(chain('other', rule(drop())))).toBeUndefined();
});
