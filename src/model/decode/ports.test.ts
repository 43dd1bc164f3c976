import { describe, expect, test } from 'vitest';

import { formatFieldPath } from '../source-ref.ts';
import { Findings } from './findings.ts';
import { decodePort } from './ports.ts';

function decode(raw: unknown) {
  const findings = new Findings({ kind: 'cluster', resourceVersion: '1' }, 'NetworkPolicy x/p');
  const port = decodePort(raw, 3, [], findings);
  return { port, found: findings.list().map(({ code, path }) => `${code} ${formatFieldPath(path ?? [])}`) };
}

const tcp = { index: 3, protocol: 'TCP' };

test.each([
  [null, { kind: 'protocol', ...tcp }],
  [{}, { kind: 'protocol', ...tcp }],
  [
    { protocol: null, port: null, endPort: null },
    { kind: 'protocol', ...tcp },
  ],
  [{ protocol: 'UDP' }, { kind: 'protocol', index: 3, protocol: 'UDP' }],
  [
    { protocol: 'SCTP', port: 1 },
    { kind: 'range', index: 3, protocol: 'SCTP', from: 1, to: 1 },
  ],
  [{ port: 65_535 }, { kind: 'range', ...tcp, from: 65_535, to: 65_535 }],
  [
    { port: 80, endPort: 80 },
    { kind: 'range', ...tcp, from: 80, to: 80 },
  ],
  [
    { port: 80, endPort: 90 },
    { kind: 'range', ...tcp, from: 80, to: 90 },
  ],
  [{ port: 'http' }, { kind: 'named', ...tcp, name: 'http' }],
  [{ port: '80-http' }, { kind: 'named', ...tcp, name: '80-http' }],
  [{ port: 'fifteen-letters' }, { kind: 'named', ...tcp, name: 'fifteen-letters' }],
])('%j is %j', (raw, port) => {
  expect(decode(raw)).toEqual({ port, found: [] });
});

describe('refused (semantics 77, 78, 80): the entry matches nothing', () => {
  test.each([
    ['port 0', { port: 0 }, 'D105 port'],
    ['port 65536', { port: 65_536 }, 'D105 port'],
    ['a negative port', { port: -1 }, 'D105 port'],
    ['a broken port', { port: 80.5 }, 'D105 port'],
    ['a huge port', { port: 1e300 }, 'D105 port'],
    ['a boolean port', { port: true }, 'D105 port'],
    ['a list as port', { port: [80] }, 'D105 port'],
    ['an empty name', { port: '' }, 'D105 port'],
    ['a number in quotes', { port: '80' }, 'D105 port'],
    ['an upper-case name', { port: 'HTTP' }, 'D105 port'],
    ['two hyphens', { port: 'a--b' }, 'D105 port'],
    ['a leading hyphen', { port: '-a' }, 'D105 port'],
    ['a trailing hyphen', { port: 'a-' }, 'D105 port'],
    ['16 characters', { port: 'sixteen-letters-' }, 'D105 port'],
    ['16 letters', { port: 'a'.repeat(16) }, 'D105 port'],
    ['an underscore', { port: 'a_b' }, 'D105 port'],
    ['endPort alone', { endPort: 80 }, 'D106 endPort'],
    ['endPort after a name', { port: 'http', endPort: 80 }, 'D106 endPort'],
    ['endPort below port', { port: 81, endPort: 80 }, 'D106 endPort'],
    ['endPort 0', { port: 80, endPort: 0 }, 'D106 endPort'],
    ['endPort 65536', { port: 80, endPort: 65_536 }, 'D106 endPort'],
    ['endPort as text', { port: 80, endPort: '90' }, 'D106 endPort'],
    ['a lower-case protocol', { protocol: 'tcp' }, 'D104 protocol'],
    ['an empty protocol', { protocol: '' }, 'D104 protocol'],
    ['ICMP', { protocol: 'ICMP' }, 'D104 protocol'],
    ['a number as protocol', { protocol: 6 }, 'D104 protocol'],
    ['an unknown field', { port: 80, portEnd: 81 }, 'D101 portEnd'],
    ['a text', '80', 'D102 '],
    ['a number', 80, 'D102 '],
    ['a list', [], 'D102 '],
  ])('%s', (_, raw, expected) => {
    expect(decode(raw)).toEqual({ port: { kind: 'invalid', index: 3 }, found: [expected] });
  });
});

test('a number in quotes is explained with the number to write', () => {
  const findings = new Findings({ kind: 'cluster', resourceVersion: '1' });
  decodePort({ port: '8080' }, 0, [], findings);
  expect(findings.list()[0]?.help).toContain('write 8080 without quotes');
});
