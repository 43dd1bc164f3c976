import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { field, isRecord, items, text } from '../../oracle/raw.ts';
import { equals, keysOf, namespaceOf, policiesOf, takeSamples } from '../support/samples.ts';
import type { Corners, Sample } from '../support/samples.ts';
import { arbWorld } from './world.ts';

const policyCorners: Corners = {
  'spec missing': ({ scenario }) => policiesOf(scenario).some((policy) => !Object.hasOwn(policy, 'spec')),
  'spec null': ({ scenario }) => policiesOf(scenario).some((policy) => policy['spec'] === null),
  'spec that is no object': ({ specs }) => specs.some((spec) => Array.isArray(spec) || typeof spec === 'string'),
  'unknown field in spec': ({ specs }) => specs.some((spec) => field(spec, 'ingres') !== undefined),
  'a policy in a namespace without pods': ({ scenario }) =>
    policiesOf(scenario).some((policy) => namespaceOf(policy) === 'ghost'),
  ...forms('podSelector', (sample) => sample.specs),
  ...forms('policyTypes', (sample) => sample.specs),
  ...forms('ingress', (sample) => sample.specs),
  ...forms('egress', (sample) => sample.specs),
  ...forms('from', (sample) => sample.rules),
  ...forms('to', (sample) => sample.rules),
  ...forms('ports', (sample) => sample.rules),
  'ingress [null]': ({ specs }) => specs.some((spec) => items(field(spec, 'ingress')).includes(null)),
  'egress [null]': ({ specs }) => specs.some((spec) => items(field(spec, 'egress')).includes(null)),
  'egress [null] with types left out': ({ specs }) =>
    specs.some((spec) => items(field(spec, 'egress')).includes(null) && items(field(spec, 'policyTypes')).length === 0),
  'a section of a direction that is not named': ({ specs }) =>
    specs.some((spec) => items(field(spec, 'egress')).length > 0 && equals(field(spec, 'policyTypes'), ['Ingress'])),
  'a direction named without a section': ({ specs }) =>
    specs.some((spec) => field(spec, 'egress') === undefined && items(field(spec, 'policyTypes')).includes('Egress')),
  'duplicate types': ({ specs }) => specs.some((spec) => equals(field(spec, 'policyTypes'), ['Ingress', 'Ingress'])),
  'invalid types': ({ specs }) => specs.some((spec) => items(field(spec, 'policyTypes')).includes('ingress')),
  'a section of the wrong type': ({ specs }) => specs.some((spec) => isRecord(field(spec, 'ingress'))),
  'an invalid subject selector': ({ specs }) =>
    specs.some((spec) => Array.isArray(field(spec, 'podSelector')) || text(field(spec, 'podSelector')) !== undefined),
  'a rule that is no object': ({ rules }) => rules.includes('all'),
  'a rule with an unknown field': ({ rules }) => rules.some((rule) => field(rule, 'form') !== undefined),
  'peers and ports in one rule': ({ rules }) =>
    rules.some((rule) => items(field(rule, 'from')).length > 0 && items(field(rule, 'ports')).length > 0),
  'podSelector alone': ({ peers }) => peers.some((peer) => keysOf(peer) === 'podSelector'),
  'namespaceSelector alone': ({ peers }) => peers.some((peer) => keysOf(peer) === 'namespaceSelector'),
  'both selectors': ({ peers }) => peers.some((peer) => keysOf(peer) === 'namespaceSelector,podSelector'),
  'null selectors beside one': ({ peers }) => peers.some((peer) => isRecord(peer) && peer['ipBlock'] === null),
  'an empty peer': ({ peers }) => peers.some((peer) => keysOf(peer) === ''),
  'a null peer': ({ peers }) => peers.includes(null),
  'two peers': ({ rules }) => rules.some((rule) => items(field(rule, 'from')).length === 2),
  'a block with several excepts': ({ peers }) =>
    peers.some((peer) => items(field(field(peer, 'ipBlock'), 'except')).length > 1),
  'a block with host bits': ({ peers }) =>
    peers.some((peer) => field(field(peer, 'ipBlock'), 'cidr') === '10.244.1.5/29'),
  'a block in other spelling': ({ peers }) =>
    peers.some((peer) => field(field(peer, 'ipBlock'), 'cidr') === 'FD00:244:0:0::5/125'),
  'a block that is all excepts': ({ peers }) =>
    peers.some((peer) =>
      ['192.0.2.0/25', '192.0.2.128/25'].every((part) => items(field(field(peer, 'ipBlock'), 'except')).includes(part)),
    ),
  'an invalid block': ({ peers }) => peers.some((peer) => equals(field(peer, 'ipBlock'), {})),
  'a numbered port': ({ entries }) =>
    entries.some((entry) => typeof field(entry, 'port') === 'number' && field(entry, 'endPort') === undefined),
  'a named port': ({ entries }) => entries.some((entry) => field(entry, 'port') === 'http'),
  'a name that begins with digits': ({ entries }) => entries.some((entry) => field(entry, 'port') === '80-web'),
  'a range': ({ entries }) => entries.some((entry) => Number(field(entry, 'endPort')) > Number(field(entry, 'port'))),
  'a range of one': ({ entries }) =>
    entries.some(
      (entry) => typeof field(entry, 'port') === 'number' && field(entry, 'endPort') === field(entry, 'port'),
    ),
  'a protocol alone': ({ entries }) => entries.some((entry) => keysOf(entry) === 'protocol'),
  'a null protocol': ({ entries }) => entries.some((entry) => isRecord(entry) && entry['protocol'] === null),
  'an empty port entry': ({ entries }) => entries.some((entry) => keysOf(entry) === ''),
  'a null port entry': ({ entries }) => entries.includes(null),
  'an invalid port entry': ({ entries }) =>
    entries.some((entry) => field(entry, 'port') === '80' || field(entry, 'port') === 0),
  ...Object.fromEntries(
    ['In', 'NotIn', 'Exists', 'DoesNotExist'].map((operator) => [
      `operator ${operator}`,
      ({ selectors }: Sample) =>
        selectors.some((selector) =>
          items(field(selector, 'matchExpressions')).some((expression) => field(expression, 'operator') === operator),
        ),
    ]),
  ),
  'an empty label value': ({ selectors }) =>
    selectors.some((selector) => field(field(selector, 'matchLabels'), 'app') === ''),
  'a null label value': ({ selectors }) =>
    selectors.some((selector) => equals(isRecord(selector) && selector['matchLabels'], { app: null })),
  'two expressions on one key': ({ selectors }) =>
    selectors.some((selector) => {
      const keys = items(field(selector, 'matchExpressions')).map((expression) => field(expression, 'key'));
      return keys.length === 2 && keys[0] === keys[1];
    }),
  'a selector by namespace name': ({ selectors }) => JSON.stringify(selectors).includes('kubernetes.io/metadata.name'),
};

// A generator whose corners vanish keeps every property green: each must turn up in 300 samples.

const samples = takeSamples(300);

describe('generated policies hold', () => {
  test.each(Object.entries(policyCorners))('%s', (_name, seen) => {
    expect(samples.some(seen)).toBe(true);
  });
});

test('without invalid pieces the oracle sees every policy as the API server would store it', () => {
  const text = JSON.stringify(fc.sample(arbWorld({ invalid: false }), { numRuns: 100, seed: 1 }));
  for (const piece of ['ingres"', '"Gt"', '"form"', '"tcp"', '"matchLabel"', '"except":[null]']) {
    expect(text).not.toContain(piece);
  }
});

/** The forms a field of some objects can have: missing, null, empty, with items. */
function forms(name: string, objectsOf: (sample: Sample) => readonly unknown[]): Corners {
  const some = (holds: (value: unknown) => boolean) => (sample: Sample) =>
    objectsOf(sample).some(
      (object) => isRecord(object) && holds(Object.hasOwn(object, name) ? object[name] : undefined),
    );
  return {
    [`${name} missing`]: some((value) => value === undefined),
    [`${name} null`]: some((value) => value === null),
    [`${name} empty`]: some((value) => equals(value, []) || equals(value, {})),
    [`${name} given`]: some((value) => typeof value === 'object' && value !== null && Object.keys(value).length > 0),
  };
}
