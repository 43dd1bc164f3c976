import { expect, test } from 'vitest';

import { formatFieldPath } from '../source-ref.ts';
import { Findings } from './findings.ts';
import { decodeIpBlock } from './ip-block.ts';

function decode(raw: unknown) {
  const findings = new Findings({ kind: 'cluster', resourceVersion: '1' }, 'NetworkPolicy x/p');
  const block = decodeIpBlock(raw, [], findings);
  const found = findings.list().map(({ code, severity, path }) => `${severity} ${code} ${formatFieldPath(path ?? [])}`);
  return { block, found };
}

test.each([
  [{ cidr: '10.0.0.0/8' }, '10.0.0.0/8', []],
  [{ cidr: '10.0.0.0/8', except: null }, '10.0.0.0/8', []],
  [{ cidr: '10.0.0.0/8', except: [] }, '10.0.0.0/8', []],
  [{ cidr: '2001:DB8:0:0::/64' }, '2001:db8::/64', []],
  [{ cidr: '0.0.0.0/0', except: ['10.0.0.0/8', '10.1.0.0/16'] }, '0.0.0.0/0', ['10.0.0.0/8', '10.1.0.0/16']],
])('%j is a block', (raw, cidr, except) => {
  const { block, found } = decode(raw);
  expect(found).toEqual([]);
  expect(block?.cidr.text).toBe(cidr);
  expect(block?.except.map((entry) => entry.cidr.text)).toEqual(except);
  expect(block?.except.map((entry) => entry.index)).toEqual(except.map((_, index) => index));
});

test('host bits are masked with a warning (semantics 33)', () => {
  const { block, found } = decode({ cidr: '10.0.0.5/8', except: ['10.1.2.3/16'] });
  expect(block?.cidr.text).toBe('10.0.0.0/8');
  expect(block?.except[0]?.cidr.text).toBe('10.1.0.0/16');
  expect(found).toEqual(['warning D109 cidr', 'warning D109 except[0]']);
});

test.each([
  ['no cidr', {}, 'D107 cidr'],
  ['null', { cidr: null }, 'D107 cidr'],
  ['an empty text', { cidr: '' }, 'D107 cidr'],
  ['a bare address', { cidr: '10.0.0.1' }, 'D107 cidr'],
  ['a bare IPv6 address', { cidr: '::1' }, 'D107 cidr'],
  ['prefix 33', { cidr: '10.0.0.0/33' }, 'D107 cidr'],
  ['prefix 129', { cidr: '::/129' }, 'D107 cidr'],
  ['leading zeros', { cidr: '010.0.0.0/8' }, 'D107 cidr'],
  ['leading zeros in the prefix', { cidr: '10.0.0.0/08' }, 'D107 cidr'],
  ['an IPv4-mapped block', { cidr: '::ffff:10.0.0.0/104' }, 'D107 cidr'],
  ['a space', { cidr: ' 10.0.0.0/8' }, 'D107 cidr'],
  ['a number', { cidr: 10 }, 'D102 cidr'],
  ['a list', { cidr: ['10.0.0.0/8'] }, 'D102 cidr'],
  ['an unknown field', { cidr: '10.0.0.0/8', exclude: [] }, 'D101 exclude'],
  ['except that is no list', { cidr: '10.0.0.0/8', except: '10.1.0.0/16' }, 'D102 except'],
  ['a null exception', { cidr: '10.0.0.0/8', except: [null] }, 'D107 except[0]'],
  ['a number as exception', { cidr: '10.0.0.0/8', except: [1] }, 'D102 except[0]'],
  ['a bare exception', { cidr: '10.0.0.0/8', except: ['10.0.0.1'] }, 'D107 except[0]'],
  ['an exception outside', { cidr: '10.0.0.0/8', except: ['11.0.0.0/16'] }, 'D108 except[0]'],
  ['an exception around the block', { cidr: '10.0.0.0/8', except: ['0.0.0.0/0'] }, 'D108 except[0]'],
  ['an exception equal to the block', { cidr: '10.0.0.0/8', except: ['10.0.0.0/8'] }, 'D108 except[0]'],
  ['an exception of the other family, as wide', { cidr: '0.0.0.0/0', except: ['::/0'] }, 'D108 except[0]'],
  ['an exception of the other family', { cidr: '10.0.0.0/8', except: ['fd00::/64'] }, 'D108 except[0]'],
  ['one bad exception among good ones', { cidr: '10.0.0.0/8', except: ['10.1.0.0/16', 'x'] }, 'D107 except[1]'],
])('%s: the whole block is refused', (_, raw, expected) => {
  expect(decode(raw)).toEqual({ block: undefined, found: [`error ${expected}`] });
});

test.for(['10.0.0.0/8', 1, []])('%j is no block', (raw) => {
  expect(decode(raw)).toEqual({ block: undefined, found: [expect.stringMatching(/^error D102/)] });
});

test('a bare address is answered with the block of that address', () => {
  const findings = new Findings({ kind: 'cluster', resourceVersion: '1' });
  decodeIpBlock({ cidr: 'fd00::1' }, [], findings);
  expect(findings.list()[0]?.help).toContain('"fd00::1/128"');
});
