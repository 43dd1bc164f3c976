import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { protocols } from '../model/port.ts';
import type { NamedPort, PortMatch, Protocol } from '../model/port.ts';
import { isEmptyPortSet, portSetKey, toPortSet, unitePortSets } from './port-set.ts';
import type { PortSet } from './port-set.ts';

const range = (from: number, to = from): PortMatch => ({ kind: 'range', index: 0, protocol: 'TCP', from, to });
const named = (name: string): PortMatch => ({ kind: 'named', index: 0, protocol: 'TCP', name });
const all = (protocol: Protocol): PortMatch => ({
  kind: 'protocol',
  index: 0,
  protocol,
});
const key = (ports: 'any' | readonly PortMatch[], names?: readonly NamedPort[]): string =>
  portSetKey(toPortSet(ports, names));

describe('toPortSet', () => {
  test('joins neighbours and overlaps, and nothing else', () => {
    expect(key([range(80), range(81)])).toBe('TCP:80-81');
    expect(key([range(80), range(82)])).toBe('TCP:80-80,82-82');
    expect(key([range(90, 100), range(80, 95)])).toBe('TCP:80-100');
    expect(key([range(80, 100), range(85, 90)])).toBe('TCP:80-100');
  });

  test('an invalid entry matches nothing', () => {
    expect(key([{ kind: 'invalid', index: 0 }, range(80)])).toBe('TCP:80-80');
    expect(isEmptyPortSet(toPortSet([{ kind: 'invalid', index: 0 }]))).toBe(true);
  });

  test('any port is more than every port of every protocol', () => {
    expect(toPortSet('any')).toEqual({ kind: 'any' });
    expect(key([all('TCP'), all('UDP')])).toBe('TCP:0-65535 UDP:0-65535');
  });

  test('names are looked up by name and protocol where the destination is known (semantics 39)', () => {
    const names: NamedPort[] = [
      { name: 'http', protocol: 'TCP', port: 8080 },
      { name: 'http', protocol: 'TCP', port: 8081 },
      { name: 'http', protocol: 'UDP', port: 53 },
    ];
    expect(key([named('http')], names)).toBe('TCP:8080-8081');
    expect(isEmptyPortSet(toPortSet([named('other')], names))).toBe(true);
  });

  test('names are kept where each peer has its own, unless their whole protocol is open', () => {
    expect(key([named('b'), named('a'), range(80)])).toBe('TCP:80-80 TCP:"a" TCP:"b"');
    expect(key([named('a'), all('TCP')])).toBe('TCP:0-65535');
    expect(key([named('a'), all('UDP')])).toBe('UDP:0-65535 TCP:"a"');
  });
});

describe('unitePortSets', () => {
  test('any port swallows everything, on either side', () => {
    const some = toPortSet([range(80)]);
    expect(unitePortSets({ kind: 'any' }, some)).toEqual({ kind: 'any' });
    expect(unitePortSets(some, { kind: 'any' })).toEqual({ kind: 'any' });
  });

  test('admits a port exactly if one of the two does', () => {
    const arbPort = fc.integer({ min: 1, max: 12 });
    const arbMatch: fc.Arbitrary<PortMatch> = fc
      .tuple(fc.constantFrom(...protocols), arbPort, arbPort)
      .map(([protocol, a, b]) => ({
        kind: 'range',
        index: 0,
        protocol,
        from: Math.min(a, b),
        to: Math.max(a, b),
      }));
    const arbSet = fc.array(arbMatch, { maxLength: 4 }).map((ports) => toPortSet(ports));
    fc.assert(
      fc.property(arbSet, arbSet, (a, b) => {
        const united = unitePortSets(a, b);
        for (const protocol of protocols) {
          for (let port = 0; port <= 13; port++) {
            expect(admits(united, protocol, port)).toBe(admits(a, protocol, port) || admits(b, protocol, port));
          }
        }
        expect(portSetKey(united)).toBe(portSetKey(unitePortSets(b, a)));
      }),
    );
  });
});

function admits(ports: PortSet, protocol: string, port: number): boolean {
  if (ports.kind === 'any') return true;
  return ports.numbers.some(
    (entry) => entry.protocol === protocol && entry.intervals.some(({ from, to }) => from <= port && port <= to),
  );
}
