import * as fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import { anyOf, arbPort, arbProtocol, plainRecord, portNames, present, weighted } from './roster.ts';
import { arbInvalidSelector, arbNamespaceSelector, arbPodSelector } from './selectors.ts';

/** What generated policies may contain. */
export interface PolicyOptions {
  /** Also pieces that the API server refuses (semantics 76-90). */
  readonly invalid: boolean;
}

/** Blocks over pods, nodes and outside addresses, each with parts that nest and overlap; some with host bits set. */
const blocks: readonly (readonly [string, readonly string[]])[] = [
  [
    '10.244.1.0/24',
    ['10.244.1.0/29', '10.244.1.4/30', '10.244.1.3/30', '10.244.1.1/32', '10.244.1.6/31', '10.244.1.128/25'],
  ],
  ['10.244.1.5/29', ['10.244.1.2/31', '10.244.1.3/32', '10.244.1.4/30']],
  ['10.244.1.2/32', []],
  ['0.0.0.0/0', ['10.0.0.0/8', '10.244.1.4/30', '192.0.2.0/24', '172.18.0.1/32', '128.0.0.0/1', '0.0.0.0/1']],
  ['172.18.0.0/16', ['172.18.0.2/32', '172.18.0.0/31']],
  [
    '192.0.2.0/24',
    ['192.0.2.0/25', '192.0.2.128/25', '192.0.2.192/26', '192.0.2.7/32', '192.0.2.0/32', '192.0.2.255/32'],
  ],
  ['fd00:244::/64', ['fd00:244::/125', 'fd00:244::4/126', 'fd00:244::3/126', 'fd00:244::1/128']],
  ['FD00:244:0:0::5/125', ['fd00:244::2/127', 'fd00:244::3/128']],
  ['::/0', ['fd00::/8', 'fd00:244::4/126', '2001:db8::/32', 'fd00:18::1/128', '8000::/1', '::/1']],
  ['fd00:18::/64', ['fd00:18::2/128']],
  ['2001:db8::/64', ['2001:db8::/65', '2001:db8::8000:0:0:0/65', '2001:db8::7/128']],
];

const invalidPeers: readonly unknown[] = [
  {},
  null,
  'x/a',
  { podSelector: null, namespaceSelector: null },
  { podSelectors: {} },
  { podSelector: {}, ports: [] },
  { namespaceSelector: {}, podselector: {} },
  { ipBlock: {} },
  { ipBlock: '10.0.0.0/8' },
  { ipBlock: { cidr: '0.0.0.0/0' }, podSelector: {} },
  { ipBlock: { cidr: '::/0' }, namespaceSelector: {} },
  { ipBlock: { cidr: '0.0.0.0/0', exclude: ['10.0.0.0/8'] } },
  { ipBlock: { cidr: '10.244.1.1' } },
  { ipBlock: { cidr: '10.244.001.0/24' } },
  { ipBlock: { cidr: '10.244.1.0/33' } },
  { ipBlock: { cidr: '::ffff:10.244.1.0/120' } },
  { ipBlock: { cidr: '0.0.0.0/0', except: [null] } },
  { ipBlock: { cidr: '0.0.0.0/0', except: '10.0.0.0/8' } },
  { ipBlock: { cidr: '0.0.0.0/0', except: ['0.0.0.0/0'] } },
  { ipBlock: { cidr: '0.0.0.0/0', except: ['10.0.0.0/8', '::/1'] } },
  { ipBlock: { cidr: '10.244.1.0/24', except: ['10.244.0.0/16'] } },
];

const invalidPorts: readonly unknown[] = [
  80,
  'http',
  { port: '80' },
  { port: 'HTTP' },
  { port: 'a--b' },
  { port: '' },
  { port: 0 },
  { port: 65536 },
  { port: 80.5 },
  { port: true },
  { endPort: 90 },
  { port: 'http', endPort: 90 },
  { port: 'dns', endPort: 65535 },
  { port: 81, endPort: 80 },
  { port: 80, endPort: 0 },
  { port: 80, portEnd: 90 },
  { protocol: 'UDP', ports: 80 },
  { protocol: 'tcp', port: 80 },
  { protocol: '' },
  { protocol: 'ICMP' },
];

const invalidRules: readonly unknown[] = [
  'all',
  [],
  { form: [] },
  { from: {} },
  { to: 'any' },
  { ports: 80 },
  { from: [], to: [] },
];

/** Rules of one section: a list, or one of the forms that mean no rules or anyone. */
export function arbSection(direction: 'ingress' | 'egress', options: PolicyOptions): Arbitrary<unknown> {
  return weighted<unknown>(
    [12, fc.array(arbRule(direction, options), { minLength: 1, maxLength: 2, size: 'max' })],
    [1, anyOf<unknown>(undefined, null)],
    [1, fc.constant([])],
    [1, anyOf<unknown>([{}], [null])],
    ...(options.invalid ? [[1, anyOf<unknown>({}, 'all', 0)] as const] : []),
  );
}

function arbRule(direction: 'ingress' | 'egress', options: PolicyOptions): Arbitrary<unknown> {
  const arbRecord = plainRecord({ peers: arbList(arbPeer(options), 3), ports: arbList(arbPortEntry(options), 1) });
  const peersField = direction === 'ingress' ? 'from' : 'to';
  return weighted<unknown>(
    [20, arbRecord.map(({ peers, ports }) => present({ [peersField]: peers, ports }))],
    ...(options.invalid ? [[1, anyOf(...invalidRules)] as const] : []),
  );
}

/** A list that is missing, null, empty or has one or two items; `weight` is how often it has some. */
function arbList(arbItem: Arbitrary<unknown>, weight: number): Arbitrary<unknown> {
  return weighted<unknown>(
    [2, anyOf<unknown>(undefined, undefined, null, [])],
    [2 * weight, fc.array(arbItem, { minLength: 1, maxLength: 2, size: 'max' })],
  );
}

function arbPeer(options: PolicyOptions): Arbitrary<unknown> {
  const podSelector = arbPodSelector;
  const namespaceSelector = arbNamespaceSelector;
  return weighted<unknown>(
    [8, plainRecord({ podSelector })],
    [6, plainRecord({ namespaceSelector })],
    [8, plainRecord({ podSelector, namespaceSelector })],
    [9, arbBlock.map((ipBlock) => ({ ipBlock }))],
    [1, plainRecord({ podSelector, namespaceSelector: fc.constant(null), ipBlock: fc.constant(null) })],
    [1, plainRecord({ namespaceSelector, podSelector: fc.constant(null) })],
    ...(options.invalid
      ? [
          [3, anyOf(...invalidPeers)] as const,
          [1, plainRecord({ namespaceSelector, podSelector: arbInvalidSelector })] as const,
        ]
      : []),
  );
}

const arbBlock: Arbitrary<unknown> = fc.oneof(
  ...blocks.map(([cidr, parts]) =>
    weighted<unknown>(
      [2, anyOf<unknown>({ cidr }, { cidr }, { cidr, except: null }, { cidr, except: [] })],
      [3, fc.subarray([...parts]).map((except) => ({ cidr, except }))],
    ),
  ),
);

function arbPortEntry(options: PolicyOptions): Arbitrary<unknown> {
  const protocol = weighted<string | null | undefined>([3, arbProtocol], [1, anyOf(undefined, null)]);
  return weighted<unknown>(
    [5, plainRecord({ protocol, port: arbPort }).map(present)],
    [6, plainRecord({ protocol, port: anyOf(...portNames) }).map(present)],
    [4, fc.tuple(protocol, arbPort, arbPort).map(arrangeRange)],
    [2, plainRecord({ protocol: arbProtocol, port: anyOf(undefined, null) }).map(present)],
    [1, anyOf<unknown>({}, null, { protocol: null, port: null, endPort: null })],
    ...(options.invalid ? [[3, anyOf(...invalidPorts)] as const] : []),
  );
}

function arrangeRange([protocol, one, other]: readonly [unknown, number, number]): object {
  return present({ protocol, port: Math.min(one, other), endPort: Math.max(one, other) });
}
