import * as fc from 'fast-check';
import type { Arbitrary } from 'fast-check';

// Every generated world draws on this one cast. Questions name members of it too, so a world may shrink under its
// questions: those about a vanished member are dropped, the others keep their meaning.

/** Namespaces of pods. */
export const namespaceNames = ['x', 'y', 'z'] as const;

/** Namespaces of policies: `ghost` has no pods. */
export const policyNamespaces: readonly string[] = [...namespaceNames, 'ghost'];

/** Names of the nodes; each pod slot may lie on either. */
export const nodeNames = ['n1', 'n2'] as const;

/** Pods on the pod network that a world may have. Slot `i` normally owns {@link podAddresses} `i`. */
export const podSlots = ['x/a', 'x/b', 'x/c', 'y/a', 'y/b', 'z/a', 'z/b'] as const;

/** Pods on the host network that a world may have. */
export const hostSlots = ['x/host', 'y/host'] as const;

/** Addresses of pods, by slot. */
export const podAddresses: readonly { readonly IPv4: string; readonly IPv6: string }[] = podSlots.map((_, index) => ({
  IPv4: `10.244.1.${index + 1}`,
  IPv6: `fd00:244::${index + 1}`,
}));

/** Addresses of nodes. */
export const nodeAddresses = {
  n1: { IPv4: '172.18.0.1', IPv6: 'fd00:18::1', external: '203.0.113.1' },
  n2: { IPv4: '172.18.0.2', IPv6: 'fd00:18::2', external: '203.0.113.2' },
} as const;

/** Addresses of nobody: at the borders of the generated blocks, and outside of all. */
export const outsideAddresses: readonly string[] = [
  '192.0.2.0',
  '192.0.2.7',
  '192.0.2.127',
  '192.0.2.128',
  '192.0.2.255',
  '192.0.3.0',
  '198.51.100.9',
  '10.244.1.200',
  '2001:db8::',
  '2001:db8::7',
  '2001:db8::7fff:ffff:ffff:ffff',
  '2001:db8::8000:0:0:0',
  '2001:db8:9::9',
  'fd00:244::c8',
];

/** Port numbers of flows, rules and containers: few, and neighbours of each other. */
export const portNumbers = [80, 81, 79, 53, 90, 91, 8080, 1, 65535] as const;

/** Port names of rules and containers. */
export const portNames = ['http', 'dns', '80-web'] as const;

/** Label keys of pods and namespaces, with their values. */
export const labelValues = { app: ['web', 'db', ''], tier: ['a', 'b'], 'x.io/k': ['1', 'true'] } as const;

/** The protocols that rules can name. */
export const arbProtocol: Arbitrary<string> = fc.oneof(
  { arbitrary: fc.constant('TCP'), weight: 4 },
  { arbitrary: fc.constant('UDP'), weight: 2 },
  { arbitrary: fc.constant('SCTP'), weight: 1 },
);

/** One of the port numbers; the first few are common, so that names and numbers meet. */
export const arbPort: Arbitrary<number> = fc.oneof(
  { arbitrary: fc.constantFrom(80, 81, 53), weight: 3 },
  { arbitrary: fc.constantFrom(...portNumbers), weight: 4 },
);

/** Labels of a pod or a namespace, each key present or not. */
export const arbLabels: Arbitrary<object> = fc.record(
  {
    app: fc.constantFrom(...labelValues.app),
    tier: fc.constantFrom(...labelValues.tier),
    'x.io/k': fc.constantFrom(...labelValues['x.io/k']),
  },
  { requiredKeys: [], noNullPrototype: true },
);

/** A choice with weights that shrinks towards its first alternative. */
export function weighted<T>(...choices: readonly (readonly [number, Arbitrary<T>])[]): Arbitrary<T> {
  return fc.oneof({ withCrossShrink: true }, ...choices.map(([weight, arbitrary]) => ({ weight, arbitrary })));
}

/** One of these values, the same weight each, shrinking towards the first. */
export function anyOf<T>(...values: readonly T[]): Arbitrary<T> {
  return fc.constantFrom(...values);
}

/** An object without the fields whose value is `undefined`: what JSON would hold. */
export function present(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

/** An object as JSON has it, every field given. */
export function plainRecord<T>(fields: { readonly [K in keyof T]: Arbitrary<T[K]> }): Arbitrary<T> {
  return fc.record<T>(fields, { noNullPrototype: true });
}
