import { isIP } from 'node:net';

import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { familyBits, familyOf, formatIp, ipFamilies, ipToBigInt, parseIp } from './ip.ts';
import type { IpFamily } from './ip.ts';

const address: fc.Arbitrary<{ family: IpFamily; value: bigint }> = fc
  .constantFrom(...ipFamilies)
  .chain((family) =>
    fc.bigInt({ min: 0n, max: (1n << BigInt(familyBits(family))) - 1n }).map((value) => ({ family, value })),
  );

describe('parseIp', () => {
  test.each([
    ['10.0.0.1', '10.0.0.1'],
    ['0.0.0.0', '0.0.0.0'],
    ['255.255.255.255', '255.255.255.255'],
    ['::', '::'],
    ['0:0:0:0:0:0:0:1', '::1'],
    ['2001:DB8:0:0::1', '2001:db8::1'],
    ['2001:0db8::0001', '2001:db8::1'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:2:0:0:3:0:0', '1:0:2::3:0:0'],
    ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['64:ff9b::1.2.3.4', '64:ff9b::102:304'],
    ['::1.2.3.4', '::102:304'],
    ['1111:2222:3333:4444:5555:6666:111.222.133.144', '1111:2222:3333:4444:5555:6666:6fde:8590'],
  ])('reads %s as %s', (text, canonical) => {
    expect(parseIp(text)).toBe(canonical);
  });

  test.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '1.2.3.04',
    '01.2.3.4',
    '0x1.2.3.4',
    '16909060',
    '1.2.3.4 ',
    '1.2.3.4\n',
    '1.2.3.4/32',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    '[::1]',
    'fe80::1%eth0',
    '::ffff:1.2.3.4',
    '::FFFF:102:304',
    '::1.2.3.04',
    '64:ff9b::01.2.3.4',
    '1:2:3:4:5:6:1.2.3.04',
    '::1.2.3',
    'localhost',
    '1:'.repeat(500_000),
  ])('refuses %.50s', (text) => {
    expect(parseIp(text)).toBeUndefined();
  });

  test('never accepts what the platform does not know as an address', () => {
    const text = fc.string({ unit: fc.constantFrom(...'0123456789abcdefF:.x%/ '.split('')), maxLength: 40 });
    fc.assert(
      fc.property(text, (candidate) => {
        if (parseIp(candidate) !== undefined) expect(isIP(candidate)).not.toBe(0);
      }),
      { numRuns: 2000 },
    );
  });

  test('accepts every address the platform knows, but for zones and IPv4-mapped ones', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (text) => {
        const mapped = /ffff:/i.test(text);
        if (isIP(text) !== 0 && !mapped) expect(parseIp(text)).toBeDefined();
      }),
    );
  });

  test('gives canonical text, so that equal addresses are equal strings', () => {
    fc.assert(
      fc.property(address, ({ family, value }) => {
        const text = formatIp(family, value);
        if (value >> 32n === 0xffffn) return;
        expect(parseIp(text)).toBe(text);
        expect(parseIp(text.toUpperCase())).toBe(text);
      }),
    );
  });
});

test('an address and its number stand for each other', () => {
  fc.assert(
    fc.property(address, ({ family, value }) => {
      const text = formatIp(family, value);
      expect(ipToBigInt(text)).toBe(value);
      expect(familyOf(text)).toBe(family);
    }),
  );
});
