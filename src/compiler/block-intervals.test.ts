import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { toCidr, cidrContains } from '../model/cidr.ts';
import type { Cidr } from '../model/cidr.ts';
import { formatIp, ipToBigInt } from '../model/ip.ts';
import { protocols } from '../model/port.ts';
import { blockElements, maxBoxes } from './block-intervals.ts';
import type { BlockElements, BlockRule } from './block-intervals.ts';
import { toPortSet } from './port-set.ts';
import { cidr, ip } from './testing/cast.ts';

const tcp = (from: number, to = from): BlockRule['ports'] =>
  toPortSet([{ kind: 'range', index: 0, protocol: 'TCP', from, to }]);
const block = (text: string, ...except: string[]): BlockRule['blocks'][number] => ({
  cidr: cidr(text),
  except: except.map((hole, index) => ({ cidr: cidr(hole), index })),
});

/** Of rules that are few enough. */
function elementsOf(...parameters: Parameters<typeof blockElements>): BlockElements {
  const elements = blockElements(...parameters);
  if (elements === undefined) throw new Error('too many boxes');
  return elements;
}

describe('blockElements', () => {
  test('an exception narrows only its own block (semantics 30)', () => {
    const ports = tcp(80);
    expect(elementsOf([{ ports, blocks: [block('10.0.0.0/30', '10.0.0.1/32')] }], 'IPv4').withPorts).toEqual([
      '10.0.0.0 . tcp . 80',
      '10.0.0.2-10.0.0.3 . tcp . 80',
    ]);
    const both = [block('10.0.0.0/30', '10.0.0.1/32'), block('10.0.0.1/32')];
    expect(elementsOf([{ ports, blocks: both }], 'IPv4').withPorts).toEqual(['10.0.0.0-10.0.0.3 . tcp . 80']);
  });

  test('overlapping port ranges are cut into slices, equal neighbours joined', () => {
    const rules = [
      { ports: tcp(80, 90), blocks: [block('10.0.0.0/32')] },
      { ports: tcp(85, 100), blocks: [block('10.0.0.1/32')] },
      { ports: tcp(101, 110), blocks: [block('10.0.0.1/32')] },
    ];
    expect(elementsOf(rules, 'IPv4').withPorts).toEqual([
      '10.0.0.0 . tcp . 80-84',
      '10.0.0.0-10.0.0.1 . tcp . 85-90',
      '10.0.0.1 . tcp . 91-110',
    ]);
  });

  test('families never mix (semantics 32)', () => {
    const rules = [{ ports: tcp(80), blocks: [block('10.0.0.0/32'), block('fd00::/127')] }];
    expect(elementsOf(rules, 'IPv6').withPorts).toEqual(['fd00::-fd00::1 . tcp . 80']);
  });

  test('a block that its exceptions cover leaves nothing', () => {
    const rules = [{ ports: tcp(80), blocks: [block('10.0.0.0/31', '10.0.0.0/32', '10.0.0.1/32')] }];
    expect(elementsOf(rules, 'IPv4')).toEqual({ withPorts: [], anyPort: [] });
  });

  test('nested ranges with a block each would be boxes by the square: refused before they are made', () => {
    const nested = (count: number): BlockRule[] =>
      Array.from({ length: count }, (_, i) => ({
        ports: tcp(i + 1, 65_535 - i),
        blocks: [block(`10.${i >> 8}.${i & 255}.0/25`)],
      }));
    expect(elementsOf(nested(40), 'IPv4').withPorts).toHaveLength(40 * 40);
    expect(blockElements(nested(Math.ceil(Math.sqrt(maxBoxes)) + 1), 'IPv4')).toBeUndefined();
  });

  test('elements are disjoint and admit exactly what the rules do', () => {
    const arbCidr = (least: number): fc.Arbitrary<Cidr> =>
      fc
        .tuple(fc.bigInt({ min: 0n, max: 15n }), fc.integer({ min: least, max: 32 }))
        .map(([value, prefix]) => toCidr('IPv4', 0x0a000000n + value, prefix));
    const arbBlock = fc.record({
      cidr: arbCidr(28),
      except: fc
        .array(arbCidr(29), { maxLength: 3 })
        .map((holes) => holes.map((hole, index) => ({ cidr: hole, index }))),
    });
    const arbRange = fc.tuple(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: 8 }));
    const arbPorts = fc.oneof(
      fc.constant<BlockRule['ports']>({ kind: 'any' }),
      fc
        .tuple(fc.constantFrom(...protocols), arbRange)
        .map(([protocol, [a, b]]) =>
          toPortSet([{ kind: 'range', index: 0, protocol, from: Math.min(a, b), to: Math.max(a, b) }]),
        ),
    );
    const arbRules = fc.array(
      fc.record({ ports: arbPorts, blocks: fc.array(arbBlock, { minLength: 1, maxLength: 3 }) }),
      { minLength: 1, maxLength: 4 },
    );
    fc.assert(
      fc.property(arbRules, (rules) => {
        const { withPorts, anyPort } = elementsOf(rules, 'IPv4');
        for (let value = 0n; value <= 17n; value++) {
          const address = formatIp('IPv4', 0x0a000000n + value);
          const inBlocks = (rule: BlockRule): boolean =>
            rule.blocks.some(
              ({ cidr, except }) =>
                cidrContains(cidr, address) && !except.some((hole) => cidrContains(hole.cidr, address)),
            );
          expect(anyPort.filter((element) => holds(element, address)).length).toBe(
            rules.some((rule) => rule.ports.kind === 'any' && inBlocks(rule)) ? 1 : 0,
          );
          for (const protocol of protocols) {
            for (let port = 0; port <= 9; port++) {
              const admitted = rules.some(
                (rule) =>
                  rule.ports.kind === 'some' &&
                  rule.ports.numbers.some(
                    (entry) =>
                      entry.protocol === protocol && entry.intervals.some(({ from, to }) => from <= port && port <= to),
                  ) &&
                  inBlocks(rule),
              );
              const matching = withPorts.filter((element) => holds(element, address, protocol, port));
              expect(matching.length).toBe(admitted ? 1 : 0);
            }
          }
        }
      }),
      { numRuns: 60 },
    );
  });
});

/** Whether an element `addresses . protocol . ports` holds the packet; without a protocol only the address counts. */
function holds(element: string, address: string, protocol?: string, port?: number): boolean {
  const [addresses = '', proto, ports = ''] = element.split(' . ');
  const [first = '', last = first] = addresses.split('-');
  const value = ipToBigInt(ip(address));
  if (value < ipToBigInt(ip(first)) || value > ipToBigInt(ip(last))) return false;
  if (protocol === undefined || port === undefined) return true;
  const [from = '', to = from] = ports.split('-');
  return proto === protocol.toLowerCase() && Number(from) <= port && port <= Number(to);
}
