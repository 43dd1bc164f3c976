import { describe, expect, test } from 'vitest';
import { concat, payload, setRef } from './expr.ts';
import type { TableRef } from './grammar.ts';
import { accept, goto, match, updateSet } from './stmt.ts';
import { Transaction } from './transaction.ts';

const table: TableRef = { family: 'inet', name: 't' };
const inTable = { family: 'inet', table: 't' } as const;
const c = { ...inTable, name: 'c' } as const;
const rule = { ...inTable, chain: 'c', expr: [accept()] };
const set = { ...inTable, name: 's', type: 'ipv4_addr' };
const map = { ...set, name: 'm', map: 'verdict' };
const elements = { ...inTable, name: 's', elem: ['10.0.0.1'] };

describe('a transaction', () => {
  test('keeps its commands in order', () => {
    const transaction = new Transaction()
      .addTable(table)
      .addChain(c)
      .addSet(set)
      .addMap(map)
      .addRule(rule)
      .insertRule(rule)
      .replaceRule({ ...rule, handle: 7 })
      .addElement(elements)
      .deleteElement(elements)
      .flushTable(table)
      .flushChain(c)
      .flushSet(set)
      .flushMap(map)
      .deleteRule({ ...inTable, chain: 'c', handle: 7 })
      .deleteChain(c)
      .deleteSet(set)
      .deleteMap(map)
      .deleteTable(table);
    const s = { ...inTable, name: 's' };
    const m = { ...inTable, name: 'm' };
    expect(transaction.invalid).toBeUndefined();
    expect(transaction.commands).toEqual([
      { add: { table } },
      { add: { chain: c } },
      { add: { set } },
      { add: { map } },
      { add: { rule } },
      { insert: { rule } },
      { replace: { rule: { ...rule, handle: 7 } } },
      { add: { element: elements } },
      { delete: { element: elements } },
      { flush: { table } },
      { flush: { chain: c } },
      { flush: { set: s } },
      { flush: { map: m } },
      { delete: { rule: { ...inTable, chain: 'c', handle: 7 } } },
      { delete: { chain: c } },
      { delete: { set: s } },
      { delete: { map: m } },
      { delete: { table } },
    ]);
  });

  test('creates what must be new', () => {
    expect(new Transaction().create({ chain: c }).commands).toEqual([{ create: { chain: c } }]);
  });

  test('is empty until something is added', () => {
    expect(new Transaction().isEmpty).toBe(true);
    expect(new Transaction().addTable(table).isEmpty).toBe(false);
  });

  test('encodes what was added last', () => {
    const transaction = new Transaction().addTable(table);
    const before = transaction.sizeBytes;
    expect(before).toBe(Buffer.byteLength(transaction.encode()));
    expect(transaction.addChain(c).sizeBytes).toBeGreaterThan(before);
    expect(transaction.encode()).toContain('"chain"');
  });

  test('adds a listed rule without its handle', () => {
    expect(new Transaction().addRule({ ...rule, handle: 4 }).commands).toEqual([{ add: { rule } }]);
  });

  test('remembers its first invalid command only', () => {
    const transaction = new Transaction()
      .addTable(table)
      .addChain({ ...c, name: '1c' })
      .addChain({ ...c, name: '' });
    expect(transaction.invalid).toMatchObject({ index: 1, command: { add: { chain: { name: '1c' } } } });
    expect(() => transaction.assertValid()).toThrow('command 1: the name "1c" has a character nft does not allow');
    expect(transaction.commands).toHaveLength(3);
  });
});

describe('a transaction refuses', () => {
  const long = 'a'.repeat(256);
  const six = ['a', 'b', 'c', 'd', 'e', 'f'];
  const fields = concat(...six.map((key) => payload('ip', key)));
  test.each([
    { name: 'an empty name', transaction: new Transaction().addTable({ ...table, name: '' }) },
    { name: 'a name of 256 bytes', transaction: new Transaction().addChain({ ...c, name: long }) },
    { name: 'a name that starts with a digit', transaction: new Transaction().addSet({ ...set, name: '1s' }) },
    { name: 'a name with a space', transaction: new Transaction().addMap({ ...map, name: 'a b' }) },
    { name: 'a wrong table of a reference', transaction: new Transaction().deleteChain({ ...c, table: '-t' }) },
    { name: 'a wrong chain of a rule', transaction: new Transaction().addRule({ ...rule, chain: '' }) },
    { name: 'a wrong target', transaction: new Transaction().addRule({ ...rule, expr: [goto('a;b')] }) },
    {
      name: 'a wrong target in a map',
      transaction: new Transaction().addMap({ ...map, elem: [['10.0.0.1', goto('')]] }),
    },
    {
      name: 'a wrong reference',
      transaction: new Transaction().addRule({ ...rule, expr: [match(payload('ip', 'saddr'), '@')] }),
    },
    { name: 'a wrong set to write to', transaction: new Transaction().addRule({ ...rule, expr: [updateSet('', 1)] }) },
    { name: 'a comment of 129 bytes', transaction: new Transaction().addRule({ ...rule, comment: 'é'.repeat(65) }) },
    { name: 'a comment with a quote', transaction: new Transaction().addRule({ ...rule, comment: 'a"b' }) },
    { name: 'a comment with a line break', transaction: new Transaction().addRule({ ...rule, comment: 'a\nb' }) },
    { name: 'a rule that does nothing', transaction: new Transaction().addRule({ ...rule, expr: [] }) },
    { name: 'a type of six fields', transaction: new Transaction().addSet({ ...set, type: six }) },
    {
      name: 'a concatenation of six fields',
      transaction: new Transaction().addRule({ ...rule, expr: [match(fields, setRef('s'))] }),
    },
    {
      name: 'an element with too few fields',
      transaction: new Transaction().addSet({ ...set, type: ['ipv4_addr', 'mark'], elem: [concat('10.0.0.1')] }),
    },
    {
      name: 'an element that is a reference',
      transaction: new Transaction().addElement({ ...elements, elem: ['@s'] }),
    },
    {
      name: 'a host name instead of an address',
      transaction: new Transaction().addSet({ ...set, elem: ['localhost'] }),
    },
    {
      name: 'an address of the other family',
      transaction: new Transaction().addMap({ ...map, elem: [['::1', accept()]] }),
    },
    {
      name: 'an address of the other family in a field',
      transaction: new Transaction().addSet({ ...set, type: ['mark', 'ipv6_addr'], elem: [concat(1, '10.0.0.1')] }),
    },
    {
      name: 'an interface name of 16 bytes',
      transaction: new Transaction().addSet({ ...set, type: 'ifname', elem: ['a'.repeat(16)] }),
    },
    {
      name: 'an interface name of 16 bytes in a rule',
      transaction: new Transaction().addRule({ ...rule, expr: [match({ meta: { key: 'iifname' } }, 'a'.repeat(16))] }),
    },
    { name: 'half a base chain', transaction: new Transaction().addChain({ ...c, hook: 'forward' }) },
    { name: 'a policy of a plain chain', transaction: new Transaction().addChain({ ...c, policy: 'drop' }) },
    {
      name: 'a created set with elements',
      transaction: new Transaction().create({ set: { ...set, elem: ['10.0.0.1'] } }),
    },
    { name: 'no elements to delete', transaction: new Transaction().deleteElement({ ...elements, elem: [] }) },
    { name: 'a replacement without handle', transaction: new Transaction().push({ replace: { rule } }) },
    {
      name: 'a deletion without handle',
      transaction: new Transaction().deleteRule({ ...inTable, chain: 'c', handle: 0 }),
    },
  ])('$name', ({ transaction }) => {
    expect(transaction.invalid).toMatchObject({ index: 0 });
    expect(transaction.invalid?.reason).not.toBe('');
    expect(() => transaction.assertValid()).toThrow(expect.objectContaining({ code: 'invalid', commandIndex: 0 }));
  });

  test.each([
    { name: 'a name of 255 bytes', transaction: new Transaction().addChain({ ...c, name: 'a'.repeat(255) }) },
    { name: 'every character of a name', transaction: new Transaction().addChain({ ...c, name: 'pod-A_1.x/y\\z' }) },
    { name: 'a comment of 128 bytes', transaction: new Transaction().addRule({ ...rule, comment: 'a'.repeat(128) }) },
    {
      name: 'a pattern of interfaces',
      transaction: new Transaction().addRule({
        ...rule,
        expr: [match({ meta: { key: 'iifname' } }, `${'a'.repeat(15)}*`)],
      }),
    },
    {
      name: 'an interface name of 15 bytes',
      transaction: new Transaction().addSet({ ...set, type: 'ifname', elem: ['a'.repeat(15)] }),
    },
  ])('but not $name', ({ transaction }) => {
    expect(transaction.invalid).toBeUndefined();
  });
});
