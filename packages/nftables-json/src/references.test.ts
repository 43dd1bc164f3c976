import { expect, test } from 'vitest';
import { anonymousSet, concat, elem, meta, payload, setRef } from './expr.ts';
import { entryTarget, ruleReferences } from './references.ts';
import { accept, counter, goto, jump, match, updateSet, vmap } from './stmt.ts';

const saddr = payload('ip', 'saddr');

test('a rule names its sets, maps and targets, each as often as it uses them', () => {
  const { chains, sets, lookups, written } = ruleReferences({
    family: 'inet',
    table: 't',
    chain: 'c',
    expr: [
      match(concat(meta('iifname'), saddr), setRef('sources'), '!='),
      match(saddr, setRef('sources')),
      vmap(saddr, setRef('pods')),
      vmap(
        meta('l4proto'),
        anonymousSet([
          ['tcp', goto('a')],
          ['udp', jump('b')],
          ['sctp', accept()],
        ]),
      ),
      match({ map: { key: saddr, data: setRef('marks') } }, 1),
      updateSet('denied', elem(saddr, { timeout: 1 }), [counter()]),
      updateSet('seen', saddr),
      jump('d'),
    ],
  });
  expect(chains).toEqual(['a', 'b', 'd']);
  expect(sets).toEqual(['sources', 'sources', 'pods', 'marks', 'denied', 'seen']);
  expect(lookups).toEqual(['pods', 'marks']);
  expect(written).toEqual([
    { name: 'denied', perElement: true },
    { name: 'seen', perElement: false },
  ]);
});

test('only jump and goto have a target', () => {
  expect([goto('a'), jump('b'), accept(), '10.0.0.1', undefined].map(entryTarget)).toEqual([
    'a',
    'b',
    undefined,
    undefined,
    undefined,
  ]);
});
