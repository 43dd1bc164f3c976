/** Cases of the executor contract: maps. */
import type { ContractCase } from './contract-words.ts';
import { base, map, ref, addChain, addRule, addSet, addMap, one, two } from './contract-words.ts';
import { payload, setRef } from './expr.ts';
import { accept, drop, goto, jump, vmap } from './stmt.ts';

/** What the kernel answers about maps. */
export const mapCases: readonly ContractCase[] = [
  {
    verb: 'add',
    object: 'map',
    name: 'elements join an existing map',
    given: [[addChain('c'), addMap('m', { elem: [[one, goto('c')]] })]],
    when: [
      addMap('m', {
        elem: [
          [one, goto('c')],
          [two, accept()],
        ],
      }),
    ],
    outcome: 'ok',
  },
  {
    verb: 'add',
    object: 'map',
    name: 'another value for a key is refused',
    given: [[addMap('m', { elem: [[one, accept()]] })]],
    when: [addMap('m', { elem: [[one, drop()]] })],
    outcome: 'exists',
  },
  {
    verb: 'add',
    object: 'map',
    name: 'jump and goto are different values',
    given: [[addChain('c'), addMap('m', { elem: [[one, goto('c')]] })]],
    when: [addMap('m', { elem: [[one, jump('c')]] })],
    outcome: 'exists',
  },
  {
    verb: 'add',
    object: 'map',
    name: 'two values for one key in one command are refused',
    when: [
      addMap('m', {
        elem: [
          [one, accept()],
          [one, drop()],
        ],
      }),
    ],
    outcome: 'exists',
  },
  {
    verb: 'add',
    object: 'map',
    name: 'a missing target is not found',
    when: [addMap('m', { elem: [[one, goto('c')]] })],
    outcome: 'not-found',
  },
  {
    verb: 'add',
    object: 'map',
    name: 'a base chain is no target',
    given: [[{ add: { chain: base('b') } }]],
    when: [addMap('m', { elem: [[one, goto('b')]] })],
    outcome: 'unsupported',
  },
  {
    verb: 'add',
    object: 'map',
    name: 'another type of value is refused',
    given: [[addMap('m', { map: 'ipv4_addr' })]],
    when: [addMap('m', { map: 'inet_service' })],
    outcome: 'exists',
  },
  {
    verb: 'add',
    object: 'map',
    name: 'values may be data',
    when: [addMap('m', { map: 'ipv4_addr', elem: [[one, two]] })],
    outcome: 'ok',
  },
  {
    verb: 'add',
    object: 'map',
    name: 'interfaces may be keys',
    when: [
      addChain('c'),
      addMap('m', {
        type: 'ifname',
        elem: [
          ['vethA', goto('c')],
          ['vethB', accept()],
        ],
      }),
    ],
    outcome: 'ok',
  },
  {
    verb: 'create',
    object: 'map',
    name: 'an existing map is refused',
    given: [[addMap('m')]],
    when: [{ create: { map: map('m') } }],
    outcome: 'exists',
  },
  {
    verb: 'delete',
    object: 'map',
    name: 'a map goes and frees its targets',
    given: [[addChain('c'), addMap('m', { elem: [[one, goto('c')]] })]],
    when: [{ delete: { map: ref('m') } }, { delete: { chain: ref('c') } }],
    outcome: 'ok',
  },
  {
    verb: 'delete',
    object: 'map',
    name: 'a map that a rule names is busy',
    given: [[addChain('c'), addMap('m'), addRule('c', vmap(payload('ip', 'saddr'), setRef('m')))]],
    when: [{ delete: { map: ref('m') } }],
    outcome: 'busy',
  },
  {
    verb: 'delete',
    object: 'map',
    name: 'a missing map is not found',
    when: [{ delete: { map: ref('m') } }],
    outcome: 'not-found',
  },
  {
    verb: 'flush',
    object: 'map',
    name: 'flush and add with elements replaces them',
    given: [
      [
        addChain('c'),
        addMap('m', {
          elem: [
            [one, goto('c')],
            [two, drop()],
          ],
        }),
      ],
    ],
    when: [{ flush: { map: ref('m') } }, addMap('m', { elem: [[one, accept()]] })],
    outcome: 'ok',
  },
  {
    verb: 'flush',
    object: 'map',
    name: 'a missing map is not found',
    when: [{ flush: { map: ref('m') } }],
    outcome: 'not-found',
  },
  {
    verb: 'flush',
    object: 'map',
    name: 'a set is no map',
    given: [[addSet('s', { elem: [one] })]],
    when: [{ flush: { map: ref('s') } }],
    outcome: 'not-found',
  },
];
