import { expect, test } from 'vitest';

import { ElementSet } from '../compiler/element-set.ts';
import type { DesiredSet, DesiredTable, Ruleset } from '../compiler/ruleset.ts';
import { shareRuleset } from './share-ruleset.ts';

function set(name: string, elements: ReadonlySet<string>, rest: Partial<DesiredSet> = {}): DesiredSet {
  return { name, type: ['ipv4_addr'], interval: false, elements, ...rest };
}

function ruleset(sets: readonly DesiredSet[], chains: readonly string[] = ['deny']): Ruleset {
  const table: DesiredTable = {
    family: 'inet',
    sets: new Map(sets.map((one) => [one.name, one])),
    maps: new Map([['pods', { name: 'pods', type: ['ifname'], elements: new Map([['a', { kind: 'accept' }]]) }]]),
    chains: new Map(chains.map((name) => [name, { name, rules: [{ statements: [{ drop: null }], provenance: [] }] }])),
  };
  return new Map([['inet', table]]);
}

test('a ruleset that says the same is the previous one', () => {
  const previous = ruleset([set('a', new Set(['10.0.0.1']))]);
  expect(shareRuleset(previous, ruleset([set('a', new Set(['10.0.0.1']))]))).toBe(previous);
});

test('only what differs is new', () => {
  const previous = ruleset([set('a', new Set(['10.0.0.1'])), set('b', new Set(['10.0.0.2']))]);
  const next = ruleset([set('a', new Set(['10.0.0.1'])), set('b', new Set(['10.0.0.3']))], ['deny', 'more']);
  const [before, after] = [previous.get('inet')!, shareRuleset(previous, next).get('inet')!];
  expect(after.sets.get('a')).toBe(before.sets.get('a'));
  expect(after.sets.get('b')).toBe(next.get('inet')!.sets.get('b'));
  expect(after.maps).toBe(before.maps);
  expect([after.chains === before.chains, after.chains.get('deny') === before.chains.get('deny')]).toEqual([
    false,
    true,
  ]);
  expect([...after.chains.keys()]).toEqual(['deny', 'more']);
});

test('versions of elements are shared if they are the same, changed there and back, or were built anew alike', () => {
  const elements = new ElementSet(['10.0.0.1']);
  const previous = ruleset([set('a', elements)]);
  const shared = (next: ElementSet): unknown => shareRuleset(previous, ruleset([set('a', next)]));
  expect(shared(elements)).toBe(previous);
  const [one, none] = [new Set(['10.0.0.2']), new Set<string>()];
  const there = elements.with({ added: one, removed: none });
  expect(shared(there)).not.toBe(previous);
  expect(shared(there.with({ added: none, removed: one }))).toBe(previous);
  expect(shared(new ElementSet(['10.0.0.1']))).toBe(previous);
  expect(shared(new ElementSet(['10.0.0.2']))).not.toBe(previous);
});

test('elements that changed more often than there are of them are compared', () => {
  const elements = new ElementSet([]);
  const previous = ruleset([set('a', elements)]);
  const [one, none] = [new Set(['10.0.0.2']), new Set<string>()];
  const back = elements.with({ added: one, removed: none }).with({ added: none, removed: one });
  expect(elements.changesTo(back)).toBeUndefined();
  expect(shareRuleset(previous, ruleset([set('a', back)]))).toBe(previous);
});

test.each([
  ['type', { type: ['ipv6_addr'] }],
  ['interval', { interval: true }],
  ['dynamic', { dynamic: { timeoutSeconds: 1, size: 1 } }],
])('a set of another %s is another set', (_, rest) => {
  const next = ruleset([set('a', new Set(), rest)]);
  const shared = shareRuleset(ruleset([set('a', new Set())]), next);
  expect(shared.get('inet')!.sets.get('a')).toBe(next.get('inet')!.sets.get('a'));
});

test('the order is that of the new ruleset, whatever was before', () => {
  const [a, b] = [set('a', new Set()), set('b', new Set())];
  const shared = shareRuleset(ruleset([a, b]), ruleset([b, a]));
  expect([...shared.get('inet')!.sets.keys()]).toEqual(['b', 'a']);
});

test('a family that is gone is gone', () => {
  const previous = ruleset([]);
  const both: Ruleset = new Map([
    ...previous,
    ['bridge', { family: 'bridge', sets: new Map(), maps: new Map(), chains: new Map() }],
  ]);
  const shared = shareRuleset(both, ruleset([]));
  expect([...shared.keys()]).toEqual(['inet']);
  expect(shared.get('inet')).toBe(previous.get('inet'));
});
