import { expect, test } from 'vitest';
import { readPlainScalar } from './plain-scalar.ts';
import { parseManifests } from './yaml.ts';

/** Scalars as kubectl reads them. */
const table: readonly (readonly [string, unknown])[] = [
  ['yes', true],
  ['Yes', true],
  ['YES', true],
  ['y', true],
  ['Y', true],
  ['on', true],
  ['On', true],
  ['true', true],
  ['TRUE', true],
  ['no', false],
  ['n', false],
  ['N', false],
  ['off', false],
  ['OFF', false],
  ['False', false],
  ['yEs', 'yEs'],
  ['tRue', 'tRue'],
  ['yes ', true],
  ['null', null],
  ['Null', null],
  ['~', null],
  ['nil', 'nil'],
  ['None', 'None'],
  ['0', 0],
  ['-0', 0],
  ['80', 80],
  ['+80', 80],
  ['-80', -80],
  ['010', 8],
  ['0o10', 8],
  ['-010', -8],
  ['089', 89],
  ['00', 0],
  ['0b11', 3],
  ['0B11', 3],
  ['-0b11', -3],
  ['0x1F', 31],
  ['0X1f', 31],
  ['0xg', '0xg'],
  ['0b2', '0b2'],
  ['1_000', 1000],
  ['1__0', 10],
  ['0x_1F', 31],
  ['_1', '_1'],
  ['1.5', 1.5],
  ['1.', 1],
  ['.5', 0.5],
  ['+.5', 0.5],
  ['-1.5e3', -1500],
  ['1e3', 1000],
  ['1E-2', 0.01],
  ['e3', 'e3'],
  ['1e', '1e'],
  ['.', '.'],
  ['.e3', '.e3'],
  ['-.', '-.'],
  ['1.2.3', '1.2.3'],
  ['10.0.0.0/8', '10.0.0.0/8'],
  ['1:30', '1:30'],
  ['190:20:30.15', '190:20:30.15'],
  ['2020-01-01', '2020-01-01'],
  ['2020-01-01T00:00:00Z', '2020-01-01T00:00:00Z'],
  ['-', '-'],
  ['+', '+'],
  ['--', '--'],
  ['1e400', '1e400'],
  ['9007199254740993', 9007199254740992],
  ['18446744073709551616', 18446744073709552000],
];

test.each(table)('the plain scalar %s is %j', (text, value) => {
  const [document] = parseManifests(`a: ${text}\n`, 'f').documents;
  if (text === '-' || text === '--') expect(readPlainScalar(text)).toBe(value);
  else expect((document!.raw as { a: unknown }).a).toBe(value);
});

test.each(table)('the plain scalar %s is read alike by the full parser', (text, value) => {
  if (text === '-') return;
  const [document] = parseManifests(`x: &x 1\na: ${text}\n`, 'f').documents;
  expect((document!.raw as { a: unknown }).a).toBe(value);
});

test.each(['.inf', '-.Inf', '+.INF', '.nan'])('%s, which JSON cannot hold, refuses the document', (text) => {
  const { documents, diagnostics } = parseManifests(`a: ${text}\n`, 'f');
  expect(documents).toEqual([]);
  expect(diagnostics).toMatchObject([{ code: 'I002', severity: 'error', span: { start: { line: 1, column: 4 } } }]);
});

test.each([
  ['"yes"', 'yes'],
  ["'010'", '010'],
  ['!!str 010', '010'],
  ['!!str', ''],
  ['!!int "80"', 80],
  ['!!float 1', 1],
  ['!!bool "yes"', true],
  ['!!null ""', null],
  ['! 12', '12'],
])('%s is %j', (text, value) => {
  const [document] = parseManifests(`a: ${text}\n`, 'f').documents;
  expect((document!.raw as { a: unknown }).a).toBe(value);
});

test.each(['!!binary aGk=', '!!timestamp 2020-01-01', '!!int web', '!!bool 1'])('%s is refused', (text) => {
  expect(parseManifests(`a: ${text}\n`, 'f').diagnostics).toMatchObject([{ code: 'I002', severity: 'error' }]);
});
