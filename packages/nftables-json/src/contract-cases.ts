/** What the kernel answers to every verb on every object: the cases behind the executor contract. */
import type { ContractCase } from './contract-words.ts';
import { base, addChain, addRule, addSet, addMap, inSet, one, two, rule } from './contract-words.ts';
import { anonymousSet, meta, payload, range, setRef } from './expr.ts';
import { accept, counter, drop, goto, match, vmap } from './stmt.ts';
import { tableCases } from './contract-tables.ts';
import { chainCases } from './contract-chains.ts';
import { ruleCases } from './contract-rules.ts';
import { setCases } from './contract-sets.ts';
import { mapCases } from './contract-maps.ts';
import { elementCases } from './contract-elements.ts';
import type { Command } from './grammar.ts';

/** Every case, at least one per verb and object that nft combines. */
export const contractCases: readonly ContractCase[] = [
  ...tableCases,
  ...chainCases,
  ...ruleCases,
  ...setCases,
  ...mapCases,
  ...elementCases,
];

/** A ruleset with every kind of object, in load order, to compare listings. */
export const sampleRuleset: readonly Command[] = [
  addChain('pod'),
  { add: { chain: base('forward') } },
  addSet('s', { elem: [one, two] }),
  addMap('m', {
    elem: [
      [one, goto('pod')],
      [two, accept()],
    ],
  }),
  {
    add: {
      rule: {
        ...rule('pod', match(payload('tcp', 'dport'), range(8081, 8082)), inSet('s'), counter(), accept()),
        comment: 'namespace/policy ingress[0]',
      },
    },
  },
  addRule('pod', match(meta('l4proto'), anonymousSet(['tcp', 'udp'])), drop()),
  addRule('forward', vmap(payload('ip', 'daddr'), setRef('m'))),
  addRule('forward', match(meta('oifname'), 'veth*'), goto('pod')),
];
