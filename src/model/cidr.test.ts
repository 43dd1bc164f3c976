import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { cidrContains, cidrInterval, hostCidr, isStrictlyInside, parseCidr, toCidr } from './cidr.ts';
import { familyBits, formatIp, ipFamilies, parseIp } from './ip.ts';

function cidr(text: string) {
  const parsed = parseCidr(text);
  expect(parsed, text).toBeDefined();
  return parsed!.cidr;
}

const anyCidr = fc
  .constantFrom(...ipFamilies)
  .chain((family) =>
    fc
      .tuple(
        fc.bigInt({ min: 0n, max: (1n << BigInt(familyBits(family))) - 1n }),
        fc.integer({ min: 0, max: familyBits(family) }),
      )
      .map(([value, prefix]) => ({ cidr: toCidr(family, value, prefix), value })),
  );

describe('parseCidr', () => {
  test.each([
    ['10.0.0.0/8', '10.0.0.0/8', false],
    ['0.0.0.0/0', '0.0.0.0/0', false],
    ['10.0.0.5/24', '10.0.0.0/24', true],
    ['10.0.0.5/32', '10.0.0.5/32', false],
    ['2001:DB8:0:0::/64', '2001:db8::/64', false],
    ['fd00::1/64', 'fd00::/64', true],
    ['::/0', '::/0', false],
    ['::1/128', '::1/128', false],
  ])('reads %s as %s (host bits: %s)', (text, canonical, hostBits) => {
    expect(parseCidr(text)).toMatchObject({ cidr: { text: canonical }, hostBits });
  });

  test.each([
    '',
    '/',
    '10.0.0.0',
    '10.0.0.0/',
    '/8',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '10.0.0.0/-1',
    '10.0.0.0/+8',
    '10.0.0.0/8.0',
    '10.0.0.0/8/8',
    '10.0.0.0/8 ',
    '10.0.0.0/8\n',
    '10.0.0.00/8',
    '10.0.0/8',
    '10.0.0.0/255.0.0.0',
    '::/129',
    '::ffff:10.0.0.0/104',
    'fe80::%1/64',
  ])('refuses %j', (text) => {
    expect(parseCidr(text)).toBeUndefined();
  });

  test('is the inverse of the canonical text', () => {
    fc.assert(
      fc.property(anyCidr, ({ cidr: block }) => {
        if (block.first >> 32n === 0xffffn) return;
        expect(parseCidr(block.text)).toEqual({ cidr: block, hostBits: false });
      }),
    );
  });
});

test('a block holds the address it was made from, and as many as its prefix says', () => {
  fc.assert(
    fc.property(anyCidr, ({ cidr: block, value }) => {
      expect(cidrContains(block, formatIp(block.family, value))).toBe(true);
      expect(block.last - block.first + 1n).toBe(1n << BigInt(familyBits(block.family) - block.prefix));
      expect(cidrInterval(block)).toEqual({ first: block.first, last: block.last });
    }),
  );
});

test.each([
  ['10.0.0.0/24', '10.0.0.0', true],
  ['10.0.0.0/24', '10.0.0.255', true],
  ['10.0.0.0/24', '10.0.1.0', false],
  ['10.0.0.0/24', '9.255.255.255', false],
  ['0.0.0.0/0', '::1', false],
  ['::/0', '0.0.0.1', false],
])('%s holds %s: %s', (block, address, expected) => {
  expect(cidrContains(cidr(block), parseIp(address)!)).toBe(expected);
});

test.each([
  ['10.0.0.0/25', '10.0.0.0/24', true],
  ['10.0.0.128/25', '10.0.0.0/24', true],
  ['10.0.0.0/24', '10.0.0.0/24', false],
  ['10.0.0.0/23', '10.0.0.0/24', false],
  ['10.0.1.0/25', '10.0.0.0/24', false],
  ['::/96', '0.0.0.0/0', false],
  ['10.0.0.0/8', '0.0.0.0/0', true],
])('%s is strictly inside %s: %s', (inner, outer, expected) => {
  expect(isStrictlyInside(cidr(inner), cidr(outer))).toBe(expected);
});

test.each([
  ['10.1.2.3', '10.1.2.3/32'],
  ['fd00::1', 'fd00::1/128'],
])('the block of the one address %s is %s', (address, text) => {
  expect(hostCidr(parseIp(address)!).text).toBe(text);
});
