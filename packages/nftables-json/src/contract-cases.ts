/** What the kernel answers to every verb on every object: the cases behind the executor contract. */
import { accept, counter, drop, goto, jump, match, updateSet, vmap } from './stmt.ts';
import { anonymousSet, concat, elem, meta, payload, prefix, range, setRef } from './expr.ts';
import type { NftErrorCode } from './errors.ts';
import type { Chain, Command, Family, NamedMap, NamedSet, Rule, Statement } from './grammar.ts';

/** One question to an executor. Every case has the table of {@link inTable} to itself. */
export interface ContractCase {
  readonly verb: Verb;
  readonly object: ObjectWord;
  /** A sentence about behaviour. */
  readonly name: string;
  /** Transactions that must succeed. The table itself is there. */
  readonly given?: readonly (readonly Command[])[];
  /** The transaction in question. */
  readonly when: readonly Command[];
  readonly outcome: 'ok' | NftErrorCode;
}

/** nft's verbs, as the keys of a command. */
export const verbs = ['add', 'create', 'insert', 'replace', 'delete', 'flush'] as const;
/** nft's objects, as the tags of an object. */
export const objectWords = ['table', 'chain', 'rule', 'set', 'map', 'element'] as const;
/** See {@link verbs}. */
export type Verb = (typeof verbs)[number];
/** See {@link objectWords}. */
export type ObjectWord = (typeof objectWords)[number];

/** The table of every case. */
export const inTable: { readonly family: Family; readonly table: string } = { family: 'inet', table: 'contract' };
const table = { family: inTable.family, name: inTable.table };
const missing = { family: inTable.family, name: 'missing' };

const chain = (name: string, rest: Partial<Chain> = {}): Chain => ({ ...inTable, name, ...rest });
const base = (name: string, rest: Partial<Chain> = {}): Chain =>
  chain(name, { type: 'filter', hook: 'forward', prio: -11, policy: 'accept', ...rest });
const rule = (into: string, ...expr: readonly Statement[]): Rule => ({ ...inTable, chain: into, expr });
const set = (name: string, rest: Partial<NamedSet> = {}): NamedSet => ({
  ...inTable,
  name,
  type: 'ipv4_addr',
  ...rest,
});
const map = (name: string, rest: Partial<NamedMap> = {}): NamedMap => ({
  ...inTable,
  name,
  type: 'ipv4_addr',
  map: 'verdict',
  ...rest,
});
const ref = (name: string): typeof inTable & { readonly name: string } => ({ ...inTable, name });

const addChain = (name: string): Command => ({ add: { chain: chain(name) } });
const addRule = (into: string, ...expr: readonly Statement[]): Command => ({ add: { rule: rule(into, ...expr) } });
const addSet = (...args: Parameters<typeof set>): Command => ({ add: { set: set(...args) } });
const addMap = (...args: Parameters<typeof map>): Command => ({ add: { map: map(...args) } });
const inSet = (name: string): Statement => match(payload('ip', 'saddr'), setRef(name));
const one = '10.0.0.1';
const two = '10.0.0.2';
const three = '10.0.0.3';
const recording = updateSet('s', elem(payload('ip', 'saddr'), { timeout: 60 }), [counter()]);
const recordable = set('s', { flags: ['timeout'], timeout: 300, size: 16 });
const intervals = (...elements: NonNullable<NamedSet['elem']>): NamedSet =>
  set('s', { type: ['ipv4_addr', 'inet_proto', 'inet_service'], flags: ['interval'], elem: elements });
/** `count` chains, each jumping to the next, below a base chain. */
const ladder = (count: number): readonly Command[] => [
  { add: { chain: base('top') } },
  ...Array.from({ length: count }, (_, index) => addChain(`step${index}`)),
  addRule('top', jump('step0')),
  ...Array.from({ length: count - 1 }, (_, index) => addRule(`step${index}`, jump(`step${index + 1}`))),
];

const tables: readonly ContractCase[] = [
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

const chains: readonly ContractCase[] = [
  {
    verb: 'add',
    object: 'chain',
    name: 'an existing chain keeps its rules',
    given: [[addChain('c'), addRule('c', drop())]],
    when: [addChain('c')],
    outcome: 'ok',
  },
  {
    verb: 'add',
    object: 'chain',
    name: 'a missing table is not found',
    when: [{ add: { chain: { ...chain('c'), table: 'missing' } } }],
    outcome: 'not-found',
  },
  {
    verb: 'add',
    object: 'chain',
    name: 'a base chain takes a new policy',
    given: [[{ add: { chain: base('b') } }]],
    when: [{ add: { chain: base('b', { policy: 'drop' }) } }],
    outcome: 'ok',
  },
  {
    verb: 'add',
    object: 'chain',
    name: 'a base chain without policy accepts',
    when: [{ add: { chain: chain('b', { type: 'filter', hook: 'input', prio: 0 }) } }],
    outcome: 'ok',
  },
  {
    verb: 'add',
    object: 'chain',
    name: 'a base chain does not move to another priority',
    given: [[{ add: { chain: base('b') } }]],
    when: [{ add: { chain: base('b', { prio: 5 }) } }],
    outcome: 'unsupported',
  },
  {
    verb: 'add',
    object: 'chain',
    name: 'a base chain does not move to another hook',
    given: [[{ add: { chain: base('b') } }]],
    when: [{ add: { chain: base('b', { hook: 'input' }) } }],
    outcome: 'unsupported',
  },
  {
    verb: 'add',
    object: 'chain',
    name: 'a base chain does not change its type',
    given: [[{ add: { chain: base('b', { hook: 'output' }) } }]],
    when: [{ add: { chain: base('b', { type: 'route', hook: 'output' }) } }],
    outcome: 'exists',
  },
  {
    verb: 'add',
    object: 'chain',
    name: 'a plain chain does not become a base chain',
    given: [[addChain('c')]],
    when: [{ add: { chain: base('c') } }],
    outcome: 'unsupported',
  },
  {
    verb: 'add',
    object: 'chain',
    name: 'a base chain may be named without its hook',
    given: [[{ add: { chain: base('b') } }]],
    when: [addChain('b')],
    outcome: 'ok',
  },
  {
    verb: 'create',
    object: 'chain',
    name: 'a new chain is created',
    when: [{ create: { chain: chain('c') } }],
    outcome: 'ok',
  },
  {
    verb: 'create',
    object: 'chain',
    name: 'an existing chain is refused',
    given: [[addChain('c')]],
    when: [{ create: { chain: chain('c') } }],
    outcome: 'exists',
  },
  {
    verb: 'delete',
    object: 'chain',
    name: 'a chain goes with its rules',
    given: [[addChain('c'), addRule('c', drop())]],
    when: [{ delete: { chain: ref('c') } }],
    outcome: 'ok',
  },
  {
    verb: 'delete',
    object: 'chain',
    name: 'a missing chain is not found',
    when: [{ delete: { chain: ref('c') } }],
    outcome: 'not-found',
  },
  {
    verb: 'delete',
    object: 'chain',
    name: 'a chain that a rule names is busy',
    given: [[addChain('c'), addChain('d'), addRule('c', jump('d'))]],
    when: [{ delete: { chain: ref('d') } }],
    outcome: 'busy',
  },
  {
    verb: 'delete',
    object: 'chain',
    name: 'a chain that a map element names is busy',
    given: [[addChain('d'), addMap('m', { elem: [[one, goto('d')]] })]],
    when: [{ delete: { chain: ref('d') } }],
    outcome: 'busy',
  },
  {
    verb: 'delete',
    object: 'chain',
    name: 'a chain that an anonymous verdict map names is busy',
    given: [
      [
        addChain('c'),
        addChain('d'),
        addRule(
          'c',
          vmap(
            payload('tcp', 'dport'),
            anonymousSet([
              [80, goto('d')],
              [443, accept()],
            ]),
          ),
        ),
      ],
    ],
    when: [{ delete: { chain: ref('d') } }],
    outcome: 'busy',
  },
  {
    verb: 'delete',
    object: 'chain',
    name: 'a chain is free once the naming chain is flushed',
    given: [[addChain('c'), addChain('d'), addRule('c', jump('d'))]],
    when: [{ flush: { chain: ref('c') } }, { delete: { chain: ref('d') } }],
    outcome: 'ok',
  },
  {
    verb: 'delete',
    object: 'chain',
    name: 'a chain is free once the naming map is flushed',
    given: [[addChain('d'), addMap('m', { elem: [[one, goto('d')]] })]],
    when: [{ flush: { map: ref('m') } }, { delete: { chain: ref('d') } }],
    outcome: 'ok',
  },
  {
    verb: 'flush',
    object: 'chain',
    name: 'the rules go',
    given: [[addChain('c'), addRule('c', drop())]],
    when: [{ flush: { chain: ref('c') } }],
    outcome: 'ok',
  },
  {
    verb: 'flush',
    object: 'chain',
    name: 'flush and refill is one transaction',
    given: [[addChain('c'), addRule('c', drop())]],
    when: [addChain('c'), { flush: { chain: ref('c') } }, addRule('c', accept())],
    outcome: 'ok',
  },
  {
    verb: 'flush',
    object: 'chain',
    name: 'a missing chain is not found',
    when: [{ flush: { chain: ref('c') } }],
    outcome: 'not-found',
  },
];

const rules: readonly ContractCase[] = [
  {
    verb: 'add',
    object: 'rule',
    name: 'rules are appended',
    given: [[addChain('c'), addRule('c', accept())]],
    when: [addRule('c', drop())],
    outcome: 'ok',
  },
  {
    verb: 'add',
    object: 'rule',
    name: 'an equal rule is appended once more',
    given: [[addChain('c'), addRule('c', accept())]],
    when: [addRule('c', accept())],
    outcome: 'ok',
  },
  {
    verb: 'add',
    object: 'rule',
    name: 'a missing chain is not found',
    when: [addRule('c', accept())],
    outcome: 'not-found',
  },
  {
    verb: 'add',
    object: 'rule',
    name: 'a missing set is not found',
    given: [[addChain('c')]],
    when: [addRule('c', inSet('s'), accept())],
    outcome: 'not-found',
  },
  {
    verb: 'add',
    object: 'rule',
    name: 'a missing map is not found',
    given: [[addChain('c')]],
    when: [addRule('c', vmap(payload('ip', 'saddr'), setRef('m')))],
    outcome: 'not-found',
  },
  {
    verb: 'add',
    object: 'rule',
    name: 'a missing target is not found',
    given: [[addChain('c')]],
    when: [addRule('c', goto('d'))],
    outcome: 'not-found',
  },
  {
    verb: 'add',
    object: 'rule',
    name: 'a set to write to must be there',
    given: [[addChain('c')]],
    when: [addRule('c', recording)],
    outcome: 'not-found',
  },
  {
    verb: 'add',
    object: 'rule',
    name: 'a set cannot be looked up for verdicts',
    given: [[addChain('c'), addSet('s')]],
    when: [addRule('c', vmap(payload('ip', 'saddr'), setRef('s')))],
    outcome: 'invalid',
  },
  {
    verb: 'add',
    object: 'rule',
    name: 'a base chain is no target',
    given: [[addChain('c'), { add: { chain: base('b') } }]],
    when: [addRule('c', jump('b'))],
    outcome: 'unsupported',
  },
  {
    verb: 'add',
    object: 'rule',
    name: 'a failing rule undoes the commands before it',
    given: [[addChain('c')]],
    when: [addRule('c', accept()), addChain('d'), addRule('missing', drop())],
    outcome: 'not-found',
  },
  {
    verb: 'add',
    object: 'rule',
    name: 'a set and the rule that records into it come in one transaction',
    given: [[addChain('c')]],
    when: [{ add: { set: recordable } }, addRule('c', recording)],
    outcome: 'ok',
  },
  {
    verb: 'add',
    object: 'rule',
    name: 'a set that came alone cannot be recorded into with a counter',
    given: [[addChain('c'), { add: { set: recordable } }]],
    when: [addRule('c', recording)],
    outcome: 'invalid',
  },
  {
    verb: 'add',
    object: 'rule',
    name: 'a set that came with its rule takes more such rules',
    given: [[addChain('c'), { add: { set: recordable } }, addRule('c', recording)]],
    when: [{ flush: { chain: ref('c') } }, addRule('c', recording)],
    outcome: 'ok',
  },
  {
    verb: 'add',
    object: 'rule',
    name: 'fifteen jumps below a base chain are possible',
    when: ladder(15),
    outcome: 'ok',
  },
  {
    verb: 'add',
    object: 'rule',
    name: 'sixteen jumps below a base chain are too many',
    when: ladder(16),
    outcome: 'invalid',
  },
  {
    verb: 'add',
    object: 'rule',
    name: 'a loop below a base chain is refused',
    given: [[{ add: { chain: base('b') } }, addChain('c'), addRule('b', jump('c'))]],
    when: [addRule('c', jump('c'))],
    outcome: 'invalid',
  },
  {
    verb: 'add',
    object: 'rule',
    name: 'a loop through a verdict map below a base chain is refused',
    given: [
      [
        { add: { chain: base('b') } },
        addChain('c'),
        addRule('b', jump('c')),
        addMap('m', { elem: [[one, goto('c')]] }),
      ],
    ],
    when: [addRule('c', vmap(payload('ip', 'saddr'), setRef('m')))],
    outcome: 'invalid',
  },
  {
    verb: 'add',
    object: 'rule',
    name: 'a loop that no base chain reaches passes',
    given: [[addChain('c')]],
    when: [addRule('c', jump('c'))],
    outcome: 'ok',
  },
  {
    verb: 'insert',
    object: 'rule',
    name: 'the rule comes first',
    given: [[addChain('c'), addRule('c', accept())]],
    when: [{ insert: { rule: rule('c', drop()) } }],
    outcome: 'ok',
  },
  {
    verb: 'insert',
    object: 'rule',
    name: 'a missing chain is not found',
    when: [{ insert: { rule: rule('c', drop()) } }],
    outcome: 'not-found',
  },
  {
    verb: 'replace',
    object: 'rule',
    name: 'a missing handle is not found',
    given: [[addChain('c')]],
    when: [{ replace: { rule: { ...rule('c', drop()), handle: 999 } } }],
    outcome: 'not-found',
  },
  {
    verb: 'delete',
    object: 'rule',
    name: 'a missing handle is not found',
    given: [[addChain('c')]],
    when: [{ delete: { rule: { ...inTable, chain: 'c', handle: 999 } } }],
    outcome: 'not-found',
  },
];

const sets: readonly ContractCase[] = [
  {
    verb: 'add',
    object: 'set',
    name: 'elements join an existing set',
    given: [[addSet('s', { elem: [one] })]],
    when: [addSet('s', { elem: [one, two] })],
    outcome: 'ok',
  },
  {
    verb: 'add',
    object: 'set',
    name: 'another type is refused',
    given: [[addSet('s')]],
    when: [addSet('s', { type: 'ipv6_addr' })],
    outcome: 'exists',
  },
  {
    verb: 'add',
    object: 'set',
    name: 'other flags are refused',
    given: [[addSet('s')]],
    when: [addSet('s', { flags: ['timeout'] })],
    outcome: 'exists',
  },
  {
    verb: 'add',
    object: 'set',
    name: 'the name of a map is refused',
    given: [[addMap('m')]],
    when: [addSet('m')],
    outcome: 'exists',
  },
  {
    verb: 'add',
    object: 'set',
    name: 'a set that rules record into is not added again',
    given: [[addChain('c'), { add: { set: recordable } }, addRule('c', recording)]],
    when: [{ add: { set: recordable } }],
    outcome: 'exists',
  },
  {
    verb: 'add',
    object: 'set',
    name: 'more elements than its size are too many',
    when: [addSet('s', { size: 2, elem: [one, two, three] })],
    outcome: 'full',
  },
  {
    verb: 'add',
    object: 'set',
    name: 'a full set takes the elements it has',
    given: [[addSet('s', { size: 2, elem: [one, two] })]],
    when: [addSet('s', { size: 2, elem: [two, one] })],
    outcome: 'ok',
  },
  {
    verb: 'add',
    object: 'set',
    name: 'equal elements of one command count once',
    when: [addSet('s', { elem: [one, one] })],
    outcome: 'ok',
  },
  {
    verb: 'add',
    object: 'set',
    name: 'a concatenation has a type per field',
    when: [addSet('s', { type: ['ipv4_addr', 'inet_proto', 'inet_service'], elem: [{ concat: [one, 'tcp', 80] }] })],
    outcome: 'ok',
  },
  {
    verb: 'add',
    object: 'set',
    name: 'interfaces and addresses go together',
    when: [addSet('s', { type: ['ifname', 'ipv4_addr'], elem: [concat('vethA', one)] })],
    outcome: 'ok',
  },
  {
    verb: 'add',
    object: 'set',
    name: 'concatenated intervals take prefixes and ranges',
    when: [
      { add: { set: intervals(concat(prefix('10.0.0.0', 8), 'tcp', range(80, 90)), concat('11.0.0.1', 'udp', 53)) } },
    ],
    outcome: 'ok',
  },
  {
    verb: 'add',
    object: 'set',
    name: 'overlapping concatenated intervals are refused',
    given: [[{ add: { set: intervals(concat(prefix('10.0.0.0', 8), 'tcp', range(80, 90))) } }]],
    when: [{ add: { set: intervals(concat(one, 'tcp', 80)) } }],
    outcome: 'exists',
  },
  {
    verb: 'add',
    object: 'set',
    name: 'concatenated intervals that differ in one field are apart',
    given: [[{ add: { set: intervals(concat(prefix('10.0.0.0', 8), 'tcp', range(80, 90))) } }]],
    when: [{ add: { set: intervals(concat(one, 'tcp', 91), concat(one, 'udp', 80)) } }],
    outcome: 'ok',
  },
  {
    verb: 'create',
    object: 'set',
    name: 'a new set is created',
    when: [{ create: { set: set('s') } }],
    outcome: 'ok',
  },
  {
    verb: 'create',
    object: 'set',
    name: 'an existing set is refused',
    given: [[addSet('s')]],
    when: [{ create: { set: set('s') } }],
    outcome: 'exists',
  },
  {
    verb: 'delete',
    object: 'set',
    name: 'a set goes with its elements',
    given: [[addSet('s', { elem: [one] })]],
    when: [{ delete: { set: ref('s') } }],
    outcome: 'ok',
  },
  {
    verb: 'delete',
    object: 'set',
    name: 'a set that a rule names is busy',
    given: [[addChain('c'), addSet('s'), addRule('c', inSet('s'))]],
    when: [{ delete: { set: ref('s') } }],
    outcome: 'busy',
  },
  {
    verb: 'delete',
    object: 'set',
    name: 'a missing set is not found',
    when: [{ delete: { set: ref('s') } }],
    outcome: 'not-found',
  },
  {
    verb: 'delete',
    object: 'set',
    name: 'the word set deletes a map too',
    given: [[addMap('m')]],
    when: [{ delete: { set: ref('m') } }],
    outcome: 'ok',
  },
  {
    verb: 'flush',
    object: 'set',
    name: 'the elements go',
    given: [[addSet('s', { elem: [one] })]],
    when: [{ flush: { set: ref('s') } }],
    outcome: 'ok',
  },
  {
    verb: 'flush',
    object: 'set',
    name: 'flush and add with elements replaces them',
    given: [[addSet('s', { elem: [one] })]],
    when: [{ flush: { set: ref('s') } }, addSet('s', { elem: [two] })],
    outcome: 'ok',
  },
  {
    verb: 'flush',
    object: 'set',
    name: 'a missing set is not found',
    when: [{ flush: { set: ref('s') } }],
    outcome: 'not-found',
  },
  {
    verb: 'flush',
    object: 'set',
    name: 'a map is no set',
    given: [[addMap('m', { elem: [[one, accept()]] })]],
    when: [{ flush: { set: ref('m') } }],
    outcome: 'not-found',
  },
];

const maps: readonly ContractCase[] = [
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

const elements: readonly ContractCase[] = [
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

/** Every case, at least one per verb and object that nft combines. */
export const contractCases: readonly ContractCase[] = [...tables, ...chains, ...rules, ...sets, ...maps, ...elements];

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
