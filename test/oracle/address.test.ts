import { describe, expect, test } from 'vitest';
import { contains, parseAddress, parseBlock } from './address.ts';

describe('addresses', () => {
  test.each([
    ['0.0.0.0', 0n],
    ['10.244.1.5', 0x0af40105n],
    ['255.255.255.255', 0xffffffffn],
    ['::', 0n],
    ['::1', 1n],
    ['fd00:10::7', 0xfd000010000000000000000000000007n],
    ['2001:DB8:0:0:0:0:0:1', 0x20010db8000000000000000000000001n],
    ['1:2:3:4:5:6:7::', 0x00010002000300040005000600070000n],
    ['64:ff9b::192.0.2.1', 0x0064ff9b0000000000000000c0000201n],
  ])('%s is a number', (text, value) => {
    expect(parseAddress(text)?.value).toBe(value);
  });

  const ipv4 = ['', '10.0.0', '10.0.0.256', '10.0.0.01', ' 10.0.0.1', '10.0.0.1 ', '10.0.0.0x1', '1.2.3.4.5', 'x/a'];
  const ipv6 = [
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8',
    '12345::',
    'fe80::1%eth0',
  ];
  const mixed = ['1.2.3.4::', '::1.2.3'];
  test.each([...ipv4, ...ipv6, ...mixed])('%j is none', (text) => {
    expect(parseAddress(text)).toBeUndefined();
  });
});

describe('blocks', () => {
  test.each([
    ['10.0.0.5/24', '10.0.0.255', '10.0.1.0'],
    ['0.0.0.0/0', '255.255.255.255', '::'],
    ['::/0', 'ffff::', '10.0.0.1'],
    ['192.0.2.1/32', '192.0.2.1', '192.0.2.0'],
    ['fd00::1/127', 'fd00::', 'fd00::2'],
  ])('%s holds %s and not %s', (block, inside, outside) => {
    expect(contains(parseBlock(block)!, parseAddress(inside)!)).toBe(true);
    expect(contains(parseBlock(block)!, parseAddress(outside)!)).toBe(false);
  });

  test.each(['10.0.0.1', '10.0.0.0/33', 'fd00::/129', '10.0.0.0/08', '010.0.0.0/8', '10.0.0.0/', '10.0.0.0/-1'])(
    '%s is refused',
    (text) => {
      expect(parseBlock(text)).toBeUndefined();
    },
  );

  test('an IPv4-mapped block is refused, a wider one is not', () => {
    expect(parseBlock('::ffff:10.0.0.0/104')).toBeUndefined();
    expect(parseBlock('::/80')).toBeDefined();
  });
});
