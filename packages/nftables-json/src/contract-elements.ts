/** Cases of the executor contract: elements. */
import type { ContractCase } from './contract-words.ts';
import { ref, addChain, addSet, addMap, one, two } from './contract-words.ts';
import { accept, drop, goto } from './stmt.ts';

/** What the kernel answers about elements. */
export const elementCases: readonly ContractCase[] = [
  {
    verb: 'add',
    object: 'element',
    name: 'an element that is there is no error',
    given: [[addSet('s', { elem: [one] })]],
    when: [{ add: { element: { ...ref('s'), elem: [one, two] } } }],
    outcome: 'ok',
  },
  {
    verb: 'add',
    object: 'element',
    name: 'a missing set is not found',
    when: [{ add: { element: { ...ref('s'), elem: [one] } } }],
    outcome: 'not-found',
  },
  {
    verb: 'add',
    object: 'element',
    name: 'a full set refuses one more',
    given: [[addSet('s', { size: 1, elem: [one] })]],
    when: [{ add: { element: { ...ref('s'), elem: [two] } } }],
    outcome: 'full',
  },
  {
    verb: 'add',
    object: 'element',
    name: 'a full set has room once an element is deleted',
    given: [[addSet('s', { size: 1, elem: [one] })]],
    when: [{ delete: { element: { ...ref('s'), elem: [one] } } }, { add: { element: { ...ref('s'), elem: [two] } } }],
    outcome: 'ok',
  },
  {
    verb: 'add',
    object: 'element',
    name: 'an entry with another value is refused',
    given: [[addMap('m', { elem: [[one, accept()]] })]],
    when: [{ add: { element: { ...ref('m'), elem: [[one, drop()]] } } }],
    outcome: 'exists',
  },
  {
    verb: 'add',
    object: 'element',
    name: 'an entry is repointed by delete and add',
    given: [[addChain('c'), addMap('m', { elem: [[one, accept()]] })]],
    when: [
      { delete: { element: { ...ref('m'), elem: [one] } } },
      { add: { element: { ...ref('m'), elem: [[one, goto('c')]] } } },
    ],
    outcome: 'ok',
  },
  {
    verb: 'create',
    object: 'element',
    name: 'an element that is there is refused',
    given: [[addSet('s', { elem: [one] })]],
    when: [{ create: { element: { ...ref('s'), elem: [one] } } }],
    outcome: 'exists',
  },
  {
    verb: 'create',
    object: 'element',
    name: 'a new element is created',
    given: [[addSet('s', { elem: [one] })]],
    when: [{ create: { element: { ...ref('s'), elem: [two] } } }],
    outcome: 'ok',
  },
  {
    verb: 'delete',
    object: 'element',
    name: 'an element goes',
    given: [[addSet('s', { elem: [one, two] })]],
    when: [{ delete: { element: { ...ref('s'), elem: [one] } } }],
    outcome: 'ok',
  },
  {
    verb: 'delete',
    object: 'element',
    name: 'a missing element is not found',
    given: [[addSet('s', { elem: [one] })]],
    when: [{ delete: { element: { ...ref('s'), elem: [two] } } }],
    outcome: 'not-found',
  },
  {
    verb: 'delete',
    object: 'element',
    name: 'an element is deleted once',
    given: [[addSet('s', { elem: [one] })]],
    when: [
      { delete: { element: { ...ref('s'), elem: [one] } } },
      { delete: { element: { ...ref('s'), elem: [one] } } },
    ],
    outcome: 'not-found',
  },
  {
    verb: 'delete',
    object: 'element',
    name: 'a missing set is not found',
    when: [{ delete: { element: { ...ref('s'), elem: [one] } } }],
    outcome: 'not-found',
  },
  {
    verb: 'delete',
    object: 'element',
    name: 'the key is enough to delete an entry',
    given: [[addMap('m', { elem: [[one, accept()]] })]],
    when: [{ delete: { element: { ...ref('m'), elem: [one] } } }],
    outcome: 'ok',
  },
  {
    verb: 'delete',
    object: 'element',
    name: 'deleting the entry frees its target',
    given: [[addChain('c'), addMap('m', { elem: [[one, goto('c')]] })]],
    when: [{ delete: { element: { ...ref('m'), elem: [one] } } }, { delete: { chain: ref('c') } }],
    outcome: 'ok',
  },
];
