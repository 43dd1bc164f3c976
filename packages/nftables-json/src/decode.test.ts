import { expect, test } from 'vitest';
import { decodeListing, decodeMap, decodeSet, readListing } from './decode.ts';

const metainfo = { metainfo: { version: '1.0.6', release_name: 'Lester Gooch #5', json_schema_version: 1 } };
const table = { table: { family: 'inet', name: 't', handle: 2 } };
const inTable = { family: 'inet', table: 't' };
const listing = (...objects: readonly unknown[]): string => JSON.stringify({ nftables: [metainfo, table, ...objects] });

test('objects are grouped and keep their order', () => {
  const chain = { ...inTable, name: 'c', handle: 1 };
  const rules = [7, 3].map((handle) => ({ ...inTable, chain: 'c', handle, expr: [{ drop: null }] }));
  const set = {
    ...inTable,
    name: 's',
    type: 'ipv4_addr',
    handle: 3,
    flags: ['timeout'],
    timeout: 300,
    elem: ['10.0.0.1'],
  };
  const map = {
    ...inTable,
    name: 'm',
    type: 'ipv4_addr',
    map: 'verdict',
    elem: [['10.0.0.1', { goto: { target: 'c' } }]],
  };
  expect(decodeListing(listing({ map }, { chain }, { set }, ...rules.map((rule) => ({ rule }))))).toEqual({
    metainfo: metainfo.metainfo,
    table: table.table,
    sets: [set],
    maps: [map],
    chains: [chain],
    rules,
    others: [],
  });
});

test('unknown keys, statements, expressions and objects stay as they are', () => {
  const rule = {
    ...inTable,
    chain: 'c',
    handle: 1,
    expr: [{ 'future statement': { a: [1] } }, { match: { op: '==', left: { future: null }, right: 1 } }],
    future: true,
  };
  const set = { ...inTable, name: 's', type: 'ipv4_addr', future: 1, elem: [{ 'future element': 1 }] };
  const other = { flowtable: { family: 'inet', name: 'f' } };
  const decoded = decodeListing(listing({ rule }, { set }, other));
  expect(decoded?.rules).toEqual([rule]);
  expect(decoded?.sets).toEqual([set]);
  expect(decoded?.others).toEqual([other]);
});

test('a single flag is a list of one', () => {
  const set = { ...inTable, name: 's', type: 'ipv4_addr', flags: 'interval' };
  expect(decodeListing(listing({ set }))?.sets[0]?.flags).toEqual(['interval']);
});

test('a listing without a table is undefined', () => {
  expect(decodeListing(JSON.stringify({ nftables: [metainfo] }))).toBeUndefined();
});

test('one set or one map can be decoded alone', () => {
  const set = { ...inTable, name: 's', type: 'ipv4_addr' };
  const map = { ...set, map: 'verdict' };
  expect(decodeSet(JSON.stringify({ nftables: [metainfo, { set }] }))).toEqual(set);
  expect(decodeMap(JSON.stringify({ nftables: [metainfo, { map }] }))).toEqual(map);
});

test.each([
  { name: 'no JSON', text: 'table inet t {' },
  { name: 'no listing', text: '{}' },
  { name: 'a rule without expressions', text: listing({ rule: { ...inTable, chain: 'c' } }) },
  { name: 'a chain without a name', text: listing({ chain: inTable }) },
  { name: 'elements that are no list', text: listing({ set: { ...inTable, name: 's', type: 'mark', elem: 'x' } }) },
  { name: 'a listing that is cut short', text: listing({ chain: { ...inTable, name: 'c' } }).slice(0, -2) },
  { name: 'something behind the listing', text: `${listing()} {}` },
  { name: 'a text in place of an object', text: JSON.stringify({ nftables: ['table'] }) },
  { name: 'a list in place of an object', text: JSON.stringify({ nftables: [[]] }) },
])('$name is unreadable', async ({ text }) => {
  const unreadable = { code: 'table-unreadable' };
  expect(() => decodeListing(text)).toThrow(expect.objectContaining(unreadable));
  await expect(readListing(Buffer.from(text), { family: 'inet', name: 't' })).rejects.toMatchObject(unreadable);
});

test('read object by object, a listing is the same', async () => {
  const comment = 'quotes " and \\, brackets ]}[{, ends with \\';
  const rule = { ...inTable, chain: 'c', handle: 7, comment, expr: [{ drop: null }] };
  const set = {
    ...inTable,
    name: 's',
    type: 'ipv4_addr',
    elem: ['10.0.0.1', { prefix: { addr: '10.1.0.0', len: 16 } }],
  };
  const map = { ...inTable, name: 'm', type: 'ipv4_addr', map: 'verdict', elem: [['10.0.0.1', { accept: null }]] };
  const text = listing({ map }, { set }, { chain: { ...inTable, name: 'c' } }, { rule }, { flowtable: { name: 'f' } });
  const wanted = { family: 'inet', name: 't' } as const;
  expect(await readListing(Buffer.from(text), wanted)).toEqual(decodeListing(text));
  expect(await readListing(Buffer.from(` ${text.replaceAll(',"', ' ,\n "')}\n`), wanted)).toEqual(decodeListing(text));
  const taken: unknown[] = [];
  const rest = await readListing(Buffer.from(text), wanted, { takeSet: (one) => taken.push(one) });
  expect(taken).toEqual([set]);
  expect(rest).toEqual({ ...decodeListing(text), sets: [] });
});

test('another table than the one asked for is unreadable', () => {
  expect(() => decodeListing(listing(), { family: 'ip', name: 't' })).toThrow('asked for table ip t, got inet t');
});
