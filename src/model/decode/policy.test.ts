import { describe, expect, test } from 'vitest';

import type { NetworkPolicy } from '../policy.ts';
import { formatFieldPath } from '../source-ref.ts';
import type { SourceRef } from '../source-ref.ts';
import { decodeObject } from './object.ts';

const source: SourceRef = { kind: 'file', file: 'policy.yaml', document: 0, line: 1, column: 1 };
const metadata = { name: 'p', namespace: 'x' };

function decode(object: object): { policy: NetworkPolicy; found: string[] } {
  const { object: decoded, diagnostics } = decodeObject(
    { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata, ...object },
    source,
  );
  if (decoded?.kind !== 'NetworkPolicy') throw new Error('no policy');
  return { policy: decoded, found: diagnostics.map(({ code, path }) => `${code} ${formatFieldPath(path ?? [])}`) };
}

const withSpec = (spec: unknown) => decode({ spec });
/** A policy with one ingress rule. */
const withRule = (rule: unknown) => {
  const { policy, found } = withSpec({ policyTypes: ['Ingress'], ingress: [rule] });
  return { rule: policy.ingress.rules[0], found, policy };
};

const anyRule = { index: 0, peers: 'any', ports: 'any', invalid: false };
const closedRule = { index: 0, peers: [], ports: [], invalid: true };
const allTcp = { kind: 'protocol', index: 0, protocol: 'TCP' };
const missing = Symbol('missing');

/** An object with the field set, or left out. */
const given = (name: string, value: unknown): object => (value === missing ? {} : { [name]: value });

describe('missing, null and empty mean the same (semantics 72)', () => {
  test.for([missing, null, {}])('spec %s selects all pods and isolates ingress', (value) => {
    const { policy, found } = decode(given('spec', value));
    expect(policy).toMatchObject({
      subjects: { requirements: [] },
      ingress: { isolates: true, rules: [] },
      egress: { isolates: false, rules: [] },
      invalid: false,
    });
    expect(found).toEqual([]);
  });

  test.for([missing, null, {}])('spec.podSelector %s selects all pods', (value) => {
    const { policy, found } = withSpec({ ...given('podSelector', value), ingress: [{}] });
    expect(policy).toMatchObject({ subjects: { requirements: [] }, ingress: { rules: [anyRule] }, invalid: false });
    expect(found).toEqual([]);
  });

  test.for([missing, null, []])('policyTypes %s is the default', (value) => {
    const isolated = (spec: object) => {
      const { policy, found } = withSpec({ ...given('policyTypes', value), ...spec });
      expect(found).toEqual([]);
      return [policy.ingress.isolates, policy.egress.isolates];
    };
    expect(isolated({})).toEqual([true, false]);
    expect(isolated({ egress: null })).toEqual([true, false]);
    expect(isolated({ egress: [] })).toEqual([true, false]);
    expect(isolated({ egress: [null] })).toEqual([true, true]);
  });

  test.for(['ingress', 'egress'])('%s missing, null or empty has no rules; a null entry admits everything', (name) => {
    for (const value of [missing, null, []]) {
      const { policy, found } = withSpec({ policyTypes: ['Ingress', 'Egress'], ...given(name, value) });
      expect(policy).toMatchObject({ [name]: { isolates: true, rules: [] } });
      expect(found).toEqual([]);
    }
    const { policy, found } = withSpec({ [name]: [null] });
    expect(policy).toMatchObject({ [name]: { isolates: true, rules: [anyRule] }, invalid: false });
    expect(found).toEqual([]);
  });

  test.for([missing, null, []])('from %s is anyone, to %s too', (value) => {
    expect(withRule(given('from', value))).toMatchObject({ rule: anyRule, found: [] });
    const { policy } = withSpec({ egress: [given('to', value)] });
    expect(policy.egress.rules).toEqual([anyRule]);
  });

  test('a null peer matches nothing', () => {
    expect(withRule({ from: [null] })).toMatchObject({
      rule: { peers: [{ kind: 'invalid', index: 0 }], invalid: false },
      found: ['D110 spec.ingress[0].from[0]'],
    });
  });

  test.for([missing, null, []])('ports %s is any port of any protocol', (value) => {
    expect(withRule(given('ports', value))).toMatchObject({ rule: anyRule, found: [] });
  });

  test.for([null, {}])('a port entry %s is all TCP', (entry) => {
    expect(withRule({ ports: [entry] })).toMatchObject({ rule: { peers: 'any', ports: [allTcp] }, found: [] });
  });

  test.for(['podSelector', 'namespaceSelector'])(
    'a null %s in a peer is not given, an empty one matches all',
    (name) => {
      expect(withRule({ from: [{ [name]: null }] }).found).toEqual(['D110 spec.ingress[0].from[0]']);
      const { rule, found } = withRule({ from: [{ [name]: {} }] });
      expect(found).toEqual([]);
      expect(rule?.peers).toEqual([{ kind: 'pods', index: 0, [name]: { requirements: [], canonical: '' } }]);
    },
  );

  test('a null selector beside an ipBlock is not given', () => {
    const { rule, found } = withRule({ from: [{ podSelector: null, ipBlock: { cidr: '10.0.0.0/8' } }] });
    expect(found).toEqual([]);
    expect(rule?.peers).toMatchObject([
      { kind: 'block', index: 0, block: { cidr: { text: '10.0.0.0/8' }, except: [] } },
    ]);
  });
});

describe('policyTypes', () => {
  test.each([
    [['Ingress'], true, false],
    [['Egress'], false, true],
    [['Ingress', 'Egress'], true, true],
    [['Ingress', 'Ingress'], true, false],
  ])('%j isolates ingress %s, egress %s, whatever sections are written', (policyTypes, ingress, egress) => {
    const { policy, found } = withSpec({ policyTypes, ingress: [{}], egress: [{}] });
    expect(policy).toMatchObject({
      ingress: { isolates: ingress, rules: [anyRule] },
      egress: { isolates: egress, rules: [anyRule] },
    });
    expect(found).toEqual([]);
  });

  test.each([
    [['ingress'], 'spec.policyTypes[0]'],
    [[null], 'spec.policyTypes[0]'],
    [[''], 'spec.policyTypes[0]'],
    [[1], 'spec.policyTypes[0]'],
    [['Ingress', 'Both'], 'spec.policyTypes[1]'],
    [['Ingress', 'Ingress', 'Ingress'], 'spec.policyTypes'],
  ])('%j is refused: both directions are isolated, rules stay (semantics 87)', (policyTypes, path) => {
    const { policy, found } = withSpec({ policyTypes, ingress: [{}] });
    expect(policy).toMatchObject({
      ingress: { isolates: true, rules: [anyRule] },
      egress: { isolates: true, rules: [] },
      invalid: true,
    });
    expect(found).toEqual([`D103 ${path}`]);
  });

  test.for(['Ingress', { Ingress: true }, true, 1])('%j is no list: both directions are isolated', (policyTypes) => {
    const { policy, found } = withSpec({ policyTypes, egress: [{}] });
    expect(policy).toMatchObject({ ingress: { isolates: true }, egress: { isolates: true, rules: [anyRule] } });
    expect(found).toEqual(['D102 spec.policyTypes']);
  });
});

describe('invalid objects fail closed (semantics 84-90)', () => {
  test.for(['deny', 5, true, [], [{}]])('spec %j isolates the namespace in both directions', (spec) => {
    const { policy, found } = withSpec(spec);
    const closed = { isolates: true, rules: [] };
    expect(policy).toMatchObject({ subjects: { requirements: [] }, ingress: closed, egress: closed, invalid: true });
    expect(found).toEqual(['D102 spec']);
  });

  test.each([
    ['a text', 'web', 'D102 spec.podSelector'],
    ['a list', [], 'D102 spec.podSelector'],
    ['a misspelt field', { matchLabel: { a: 'b' } }, 'D101 spec.podSelector.matchLabel'],
    ['a number as value', { matchLabels: { a: 1 } }, 'D114 spec.podSelector.matchLabels.a'],
  ])('podSelector with %s selects every pod and admits nothing (semantics 86)', (_, podSelector, expected) => {
    const { policy, found } = withSpec({ podSelector, ingress: [{}], egress: [{}] });
    expect(policy).toMatchObject({
      subjects: { requirements: [] },
      ingress: { isolates: true, rules: [] },
      egress: { isolates: true, rules: [] },
      invalid: true,
    });
    expect(found).toEqual([expected]);
  });

  test('an invalid podSelector isolates only the directions the policy names', () => {
    const { policy } = withSpec({ podSelector: 'x', policyTypes: ['Ingress'], egress: [{}] });
    expect([policy.ingress.isolates, policy.egress.isolates]).toEqual([true, false]);
  });

  test('an unknown field in spec isolates both directions and keeps the rules (semantics 88)', () => {
    const { policy, found } = withSpec({ policyTypes: ['Ingress'], ingress: [{}], egres: [{}] });
    expect(policy).toMatchObject({
      ingress: { isolates: true, rules: [anyRule] },
      egress: { isolates: true, rules: [] },
      invalid: true,
    });
    expect(found).toEqual(['D101 spec.egres']);
  });

  test('a field of spec one level too high isolates both directions', () => {
    const { policy, found } = decode({ spec: { podSelector: {} }, policyTypes: ['Egress'] });
    expect(policy).toMatchObject({ ingress: { isolates: true }, egress: { isolates: true, rules: [] }, invalid: true });
    expect(found).toEqual(['D101 policyTypes']);
  });

  test.each([
    ['form', { form: [{ podSelector: {} }] }],
    ['to', { to: [{ podSelector: {} }] }],
    ['namespaceSelector', { namespaceSelector: {} }],
    ['port', { from: [{ podSelector: {} }], port: [] }],
    ['__proto__', JSON.parse('{"__proto__": {"from": []}}') as object],
  ])('an unknown field %s in a rule: the rule matches nothing', (name, rule) => {
    const result = withRule(rule);
    expect(result.rule).toEqual(closedRule);
    expect(result.policy.invalid).toBe(true);
    expect(result.found).toEqual([
      name === '__proto__' ? 'D101 spec.ingress[0]["__proto__"]' : `D101 spec.ingress[0].${name}`,
    ]);
  });

  test.for(['all', 5, true, []])('a rule %j matches nothing', (rule) => {
    expect(withRule(rule)).toMatchObject({ rule: closedRule, found: ['D102 spec.ingress[0]'] });
  });

  test.for(['all', {}, { from: [] }, true, 0, ''])(
    'a section %j isolates its direction and admits nothing',
    (section) => {
      const { policy, found } = withSpec({ policyTypes: ['Ingress'], ingress: [{}], egress: section });
      expect(policy).toMatchObject({
        ingress: { isolates: true, rules: [anyRule] },
        egress: { isolates: true, rules: [] },
        invalid: true,
      });
      expect(found).toEqual(['D102 spec.egress']);
    },
  );

  test.for(['from', 'ports'])('%s of another type: the rule matches nothing (semantics 89)', (name) => {
    for (const value of ['all', {}, true, 0, '']) {
      expect(withRule({ [name]: value })).toMatchObject({ rule: closedRule, found: [`D102 spec.ingress[0].${name}`] });
    }
  });

  test('a list whose entries are all invalid matches nothing and never turns into "any" (semantics 85)', () => {
    const { rule } = withRule({ from: [{}, 'x'], ports: ['http', { port: 0 }] });
    expect(rule).toEqual({
      index: 0,
      peers: [
        { kind: 'invalid', index: 0 },
        { kind: 'invalid', index: 1 },
      ],
      ports: [
        { kind: 'invalid', index: 0 },
        { kind: 'invalid', index: 1 },
      ],
      invalid: false,
    });
  });

  test('valid neighbours of an invalid peer, port or rule keep working, at their own index', () => {
    const { policy } = withSpec({
      ingress: [{ form: [] }, { from: [null, { podSelector: {} }], ports: [{ port: '80' }, { port: 81 }] }],
    });
    expect(policy.ingress.rules).toMatchObject([
      closedRule,
      {
        index: 1,
        peers: [{ kind: 'invalid' }, { kind: 'pods', index: 1 }],
        ports: [{ kind: 'invalid' }, { kind: 'range', index: 1, from: 81, to: 81 }],
      },
    ]);
  });
});

describe('peers the API server refuses (semantics 76)', () => {
  const invalidPeer = { peers: [{ kind: 'invalid', index: 0 }] };
  const cidr = '10.0.0.0/8';
  test.each([
    ['nobody', {}, ['D110 spec.ingress[0].from[0]']],
    ['a text', 'web', ['D102 spec.ingress[0].from[0]']],
    ['block and podSelector', { ipBlock: { cidr }, podSelector: {} }, ['D111 spec.ingress[0].from[0]']],
    ['block and namespaceSelector', { ipBlock: { cidr }, namespaceSelector: {} }, ['D111 spec.ingress[0].from[0]']],
    ['an unknown field', { podSelector: {}, ports: [] }, ['D101 spec.ingress[0].from[0].ports']],
    ['only an unknown field', { podSelecter: {} }, ['D101 spec.ingress[0].from[0].podSelecter']],
    ['a selector that is a text', { podSelector: 'a' }, ['D102 spec.ingress[0].from[0].podSelector']],
    [
      'one of two selectors invalid',
      { podSelector: {}, namespaceSelector: { matchLabels: { a: true } } },
      ['D114 spec.ingress[0].from[0].namespaceSelector.matchLabels.a'],
    ],
  ])('%s: the peer matches nothing', (_, peer, expected) => {
    expect(withRule({ from: [peer] })).toMatchObject({ rule: invalidPeer, found: expected });
  });

  test('both selectors in one entry are one peer', () => {
    const { rule } = withRule({
      from: [{ podSelector: { matchLabels: { a: 'b' } }, namespaceSelector: { matchLabels: { n: 'm' } } }],
    });
    expect(rule?.peers).toMatchObject([
      {
        kind: 'pods',
        podSelector: { canonical: '["a","In","b"]' },
        namespaceSelector: { canonical: '["n","In","m"]' },
      },
    ]);
  });
});

describe('mode', () => {
  const annotated = (annotations: unknown) => decode({ metadata: { ...metadata, annotations }, spec: {} });
  test.each([
    [undefined, 'enforce', []],
    [{}, 'enforce', []],
    [{ 'nftpolicy.dev/mode': null }, 'enforce', []],
    [{ 'nftpolicy.dev/mode': 'enforce' }, 'enforce', []],
    [{ 'nftpolicy.dev/mode': 'audit' }, 'audit', []],
    [{ 'nftpolicy.dev/mode': 'Audit' }, 'enforce', ['D115 metadata.annotations["nftpolicy.dev/mode"]']],
    [{ 'nftpolicy.dev/mode': true }, 'enforce', ['D115 metadata.annotations["nftpolicy.dev/mode"]']],
    ['audit', 'enforce', []],
  ])('annotations %j: %s', (annotations, mode, expected) => {
    const { policy, found } = annotated(annotations);
    expect(policy).toMatchObject({ mode, invalid: false });
    expect(found).toEqual(expected);
  });
});

test('a diagnostic names the object, the place, the value and what happens', () => {
  const { diagnostics } = decodeObject(
    { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata, spec: { ingress: [{ form: [] }] } },
    source,
  );
  expect(diagnostics).toEqual([
    {
      code: 'D101',
      severity: 'error',
      message: 'an ingress rule has no field "form"',
      help: 'Did you mean "from"? The API server would drop the field and keep the rest. This rule matches nothing.',
      object: 'NetworkPolicy x/p',
      path: ['spec', 'ingress', 0, 'form'],
      source,
    },
  ]);
});
