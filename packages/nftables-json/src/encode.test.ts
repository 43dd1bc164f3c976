import { expect, test } from 'vitest';
import { encodeCommands, encodePieces, loadOrder } from './encode.ts';
import type { Command, TableRef } from './grammar.ts';
import { goto } from './stmt.ts';

const table: TableRef = { family: 'inet', name: 't' };
const inTable = { family: 'inet', table: 't' } as const;

test('commands keep their order behind the schema version', () => {
  const commands: Command[] = [{ delete: { table } }, { add: { table } }];
  expect(encodeCommands(commands)).toBe(
    '{"nftables":[{"metainfo":{"json_schema_version":1}},' +
      '{"delete":{"table":{"family":"inet","name":"t"}}},{"add":{"table":{"family":"inet","name":"t"}}}]}',
  );
});

test('a hundred thousand elements are encoded without a copy of the commands', () => {
  const elem = Array.from({ length: 100_000 }, (_, index) => index);
  const commands: readonly Command[] = Object.freeze([
    Object.freeze({ add: { set: Object.freeze({ ...inTable, name: 's', type: 'mark', elem: Object.freeze(elem) }) } }),
  ]);
  const text = encodeCommands(commands);
  expect(JSON.parse(text)).toMatchObject({ nftables: [{}, { add: { set: { elem: { length: 100_000 } } } }] });
});

test('chains come before the maps that name them, and both before rules', () => {
  const tags = loadOrder({
    table,
    maps: [{ ...inTable, name: 'm', type: 'ipv4_addr', map: 'verdict', elem: [['10.0.0.1', goto('c')]] }],
    sets: [{ ...inTable, name: 's', type: 'ipv4_addr' }],
    chains: [{ ...inTable, name: 'c' }],
    rules: [{ ...inTable, chain: 'c', expr: [{ drop: null }] }],
  }).map((object) => Object.keys(object)[0]);
  expect(tags).toEqual(['table', 'chain', 'set', 'map', 'rule']);
});

test.each([1, 60, 1_000_000])('in pieces of %i characters the text is the same', (length) => {
  const commands: Command[] = [
    { add: { table: { family: 'inet', name: 't' } } },
    { add: { set: { family: 'inet', table: 't', name: 's', type: 'ipv4_addr', elem: ['10.0.0.1', '10.0.0.2'] } } },
  ];
  for (const some of [commands, commands.slice(0, 1), []]) {
    expect([...encodePieces(some, length)].join('')).toBe(encodeCommands(some));
  }
});
