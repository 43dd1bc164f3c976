/** Cases of the executor contract: tables. */
import type { ContractCase } from './contract-words.ts';
import { table, missing, addChain, addRule, addSet, inSet, one } from './contract-words.ts';
import { accept } from './stmt.ts';

/** What the kernel answers about tables. */
export const tableCases: readonly ContractCase[] = [
  {
    verb: 'add',
    object: 'table',
    name: 'an existing table stays as it is',
    given: [[addChain('c')]],
    when: [{ add: { table } }],
    outcome: 'ok',
  },
  {
    verb: 'create',
    object: 'table',
    name: 'an existing table is refused',
    when: [{ create: { table } }],
    outcome: 'exists',
  },
  {
    verb: 'delete',
    object: 'table',
    name: 'a table goes with all that is in it',
    given: [[addChain('c'), addSet('s', { elem: [one] }), addRule('c', inSet('s'), accept())]],
    when: [{ delete: { table } }],
    outcome: 'ok',
  },
  {
    verb: 'delete',
    object: 'table',
    name: 'a missing table is not found',
    when: [{ delete: { table: missing } }],
    outcome: 'not-found',
  },
  {
    verb: 'delete',
    object: 'table',
    name: 'a table may be deleted and added in one transaction',
    given: [[addChain('c')]],
    when: [{ delete: { table } }, { add: { table } }, addChain('d')],
    outcome: 'ok',
  },
  {
    verb: 'flush',
    object: 'table',
    name: 'rules go, chains and elements stay',
    given: [[addChain('c'), addSet('s', { elem: [one] }), addRule('c', accept())]],
    when: [{ flush: { table } }],
    outcome: 'ok',
  },
  {
    verb: 'flush',
    object: 'table',
    name: 'a missing table is not found',
    when: [{ flush: { table: missing } }],
    outcome: 'not-found',
  },
];
