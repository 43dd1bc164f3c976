import { describe, expect, test } from 'vitest';
import { parseCidr } from '../model/cidr.ts';
import { parseIp } from '../model/ip.ts';
import type { IpBlock } from '../model/policy.ts';
import { cutAddresses } from './address-classes.ts';

function block(cidr: string, ...except: string[]): IpBlock {
  return {
    cidr: parseCidr(cidr)!.cidr,
    except: except.map((text, index) => ({ cidr: parseCidr(text)!.cidr, index })),
  };
}

describe('cutting the address space', () => {
  test('without blocks leaves one class of both families', () => {
    const { classes } = cutAddresses([]);
    expect(classes).toHaveLength(1);
    expect([...classes[0]!.intervals.keys()]).toEqual(['IPv4', 'IPv6']);
  });

  test('makes a class of the addresses in the same blocks', () => {
    const cut = cutAddresses([block('10.0.0.0/8', '10.1.0.0/16'), block('10.1.2.0/24')]);
    const idOf = (text: string): number => cut.classOf(parseIp(text)!).id;
    expect(cut.classes).toHaveLength(3);
    expect(idOf('10.0.255.255')).toBe(idOf('10.2.0.0'));
    expect(idOf('10.1.1.255')).toBe(0);
    expect(idOf('10.1.3.0')).toBe(0);
    expect(new Set([idOf('10.0.0.0'), idOf('10.1.2.0'), idOf('11.0.0.0')]).size).toBe(3);
  });

  test('tells the families apart', () => {
    const cut = cutAddresses([block('0.0.0.0/0')]);
    expect(cut.classOf(parseIp('255.255.255.255')!).blocks.size).toBe(1);
    expect(cut.classOf(parseIp('::')!).blocks.size).toBe(0);
  });

  test('takes blocks of equal meaning as one', () => {
    expect(cutAddresses([block('10.0.0.0/8'), block('10.0.0.0/8')]).classes).toHaveLength(2);
  });
});
