import { describe, expect, test } from 'vitest';

import type { Direction } from '../model/policy.ts';
import { resolve } from './resolve.ts';
import { pod, policy } from './testing/cast.ts';

const web = pod({ labels: { app: 'web' } });
const forWeb = { podSelector: { matchLabels: { app: 'web' } } };

function isolation(policies: readonly ReturnType<typeof policy>[], subject = web): string {
  const { ingress, egress } = resolve(policies, subject);
  return `${ingress.isolated} ${egress.isolated}`;
}

describe('resolve', () => {
  test('a pod that no policy selects is isolated in no direction (semantics 3)', () => {
    expect(isolation([])).toBe('no no');
    expect(isolation([policy({ podSelector: { matchLabels: { app: 'db' } } })])).toBe('no no');
  });

  test('a policy isolates in the directions it names and in no other (semantics 10)', () => {
    expect(isolation([policy({ ...forWeb, policyTypes: ['Ingress'], egress: [{}] })])).toBe('yes no');
    expect(isolation([policy({ ...forWeb, policyTypes: ['Egress'], ingress: [{}] })])).toBe('no yes');
    expect(isolation([policy({ ...forWeb, egress: [{}] })])).toBe('yes yes');
  });

  test('the section of a direction that is not named holds no rules', () => {
    const { egress } = resolve([policy({ ...forWeb, policyTypes: ['Ingress'], egress: [{}] })], web);
    expect(egress.policies).toEqual([]);
  });

  test('policies of other namespaces are ignored (semantics 1)', () => {
    expect(isolation([policy({}, { namespace: 'y' })])).toBe('no no');
  });

  test.each([
    ['finished', { phase: 'Succeeded' }],
    ['failed', { phase: 'Failed' }],
    ['on the host network', { hostNetwork: true }],
  ])('a pod that is %s is never a subject (semantics 44, 51)', (_, draft) => {
    expect(isolation([policy({})], pod(draft))).toBe('no no');
  });

  test('policies are sorted by key, whatever their order', () => {
    const policies = ['c', 'a', 'b'].map((name) => policy({}, { name }));
    const { ingress } = resolve(policies, web);
    expect(ingress.policies.map((selecting) => selecting.policy.name)).toEqual(['a', 'b', 'c']);
  });

  test('an audited policy stands apart and does not isolate', () => {
    const audited = policy({}, { name: 'audited', annotations: { 'nftpolicy.dev/mode': 'audit' } });
    const { ingress } = resolve([audited], web);
    expect([ingress.isolated, ingress.policies, ingress.audits.length]).toEqual(['no', [], 1]);
    const beside = resolve([audited, policy({})], web).ingress;
    expect([beside.isolated, beside.policies.length, beside.audits.length]).toEqual(['yes', 1, 1]);
  });

  test('a namespace in audit mode takes all its policies with it', () => {
    const { ingress } = resolve([policy({})], web, { namespace: { mode: 'audit' } });
    expect([ingress.isolated, ingress.policies, ingress.audits.length]).toEqual(['no', [], 1]);
    expect(resolve([policy({})], web, { namespace: {} }).ingress.isolated).toBe('yes');
  });

  test('without known labels a selector with requirements may or may not select', () => {
    const { ingress } = resolve([policy(forWeb)], web, { labelsKnown: false });
    expect(ingress.isolated).toBe('unknown');
    expect(resolve([policy({})], web, { labelsKnown: false }).ingress.isolated).toBe('yes');
    expect(resolve([policy(forWeb), policy({})], web, { labelsKnown: false }).ingress.isolated).toBe('yes');
  });

  test.each(['ingress', 'egress'] as const)('peers of %s are completed by the namespace of the policy', (direction) => {
    const field = direction === 'ingress' ? 'from' : 'to';
    const peers = [
      { podSelector: { matchLabels: { a: 'b' } } },
      { namespaceSelector: {} },
      { namespaceSelector: {}, podSelector: {} },
    ];
    const spec = { policyTypes: ['Ingress', 'Egress'], [direction]: [{ [field]: peers }] };
    expect(scopes(direction, spec)).toEqual([
      'pods of x with ["a","In","b"]',
      'pods of namespaces with  with ',
      'pods of namespaces with  with ',
    ]);
  });

  test('an empty namespaceSelector is given, a null one is not (semantics 21)', () => {
    const peers = [{ namespaceSelector: {} }, { namespaceSelector: null, podSelector: {} }];
    expect(scopes('ingress', { ingress: [{ from: peers }] })).toEqual([
      'pods of namespaces with  with ',
      'pods of x with ',
    ]);
  });

  test('a rule keeps its place, its ports and whether it was refused', () => {
    const { ingress } = resolve([policy({ ingress: [{ form: [] }, { ports: [{ port: 80 }] }] })], web);
    expect(ingress.policies[0]?.rules).toMatchObject([
      { provenance: { policy: 'x/p', direction: 'ingress', index: 0 }, invalid: true },
      { provenance: { policy: 'x/p', direction: 'ingress', index: 1 }, peers: 'any', ports: [{ from: 80, to: 80 }] },
    ]);
  });
});

function scopes(direction: Direction, spec: object): readonly string[] {
  const rule = resolve([policy(spec)], web)[direction].policies[0]?.rules[0];
  if (rule === undefined || rule.peers === 'any') return [];
  return rule.peers.map((peer) => {
    if (peer.kind !== 'pods') return peer.kind;
    const { namespaces, pods } = peer.selector;
    const where = namespaces.kind === 'name' ? namespaces.name : `namespaces with ${namespaces.selector.canonical}`;
    return `pods of ${where} with ${pods.canonical}`;
  });
}
