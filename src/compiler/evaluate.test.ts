import { describe, expect, test } from 'vitest';

import type { Endpoint } from '../model/endpoint.ts';
import type { Flow, FlowEnd, PodFact } from '../model/flow.ts';
import type { Namespace } from '../model/namespace.ts';
import { nodeName } from '../model/names.ts';
import type { NetworkPolicy } from '../model/policy.ts';
import { evaluateSide, namedPortNumbers } from './evaluate.ts';
import type { EvaluationContext, SideVerdict } from './evaluate.ts';
import { resolve } from './resolve.ts';
import { ip, namespace, pod, policy } from './testing/cast.ts';
import type { PolicyTrace } from './trace.ts';

const subject = pod({ labels: { app: 'web' } });
const peer = pod({ name: 'b', labels: { app: 'api' }, ips: ['10.244.1.2'] });
const outside: FlowEnd = { kind: 'external', address: ip('192.0.2.7') };

function end(of: Endpoint, ...unknown: readonly PodFact[]): FlowEnd {
  const [address] = of.addresses;
  return { kind: 'pod', pod: of, ...(address === undefined ? {} : { address }), unknown: new Set(unknown) };
}

interface Question {
  readonly from?: FlowEnd;
  readonly to?: FlowEnd;
  readonly protocol?: Flow['protocol'];
  readonly port?: number;
  readonly namespaces?: readonly Namespace[];
  readonly context?: Partial<EvaluationContext>;
}

/** Judges the ingress side of `subject`, or its egress side. */
function ask(
  policies: readonly NetworkPolicy[],
  question: Question = {},
  side: 'ingress' | 'egress' = 'ingress',
): SideVerdict {
  const { from = end(peer), to = end(subject), protocol = 'TCP', port = 80 } = question;
  const own = side === 'ingress' ? to : from;
  const labelsKnown = !(own.kind === 'pod' && own.unknown?.has('labels'));
  const effective = own.kind === 'pod' ? resolve(policies, own.pod, { labelsKnown }) : undefined;
  const flow: Flow = { from, to, family: 'IPv4', protocol, ...(protocol === 'ICMP' ? {} : { port }) };
  const namespaces = new Map((question.namespaces ?? [namespace('x')]).map((one) => [one.name, one]));
  return evaluateSide(effective, side, flow, { namespaces, ...question.context });
}

const ingress = (...rules: readonly object[]): NetworkPolicy => policy({ ingress: rules });
const fromApi = { from: [{ podSelector: { matchLabels: { app: 'api' } } }] };

describe('reasons', () => {
  test.each<[string, SideVerdict['verdict'], readonly NetworkPolicy[], Question]>([
    ['not-a-pod', 'allow', [ingress()], { to: outside }],
    ['not-isolated', 'allow', [], {}],
    ['not-isolated', 'allow', [policy({ policyTypes: ['Egress'] })], {}],
    ['same-endpoint', 'allow', [ingress()], { from: end(subject) }],
    ['node-traffic', 'allow', [ingress()], { from: { kind: 'node', name: nodeName('n1') } }],
    ['no-rule-admits', 'deny', [ingress()], { from: { kind: 'node', name: nodeName('n2') } }],
    ['no-rule-admits', 'deny', [ingress()], {}],
    ['allowed-by-rule', 'allow', [ingress(fromApi)], {}],
    ['no-rule-admits', 'deny', [ingress(fromApi)], { from: outside }],
    ['undecided', 'unknown', [ingress(fromApi)], { from: end(peer, 'labels') }],
  ])('%s: %s', (reason, verdict, policies, question) => {
    expect(ask(policies, question)).toMatchObject({ verdict, reason });
  });

  test('host-network: such a pod is its node', () => {
    const to: FlowEnd = { kind: 'node', name: nodeName('n1'), hostNetworkPod: pod({ hostNetwork: true }) };
    expect(ask([ingress()], { to })).toMatchObject({ verdict: 'allow', reason: 'host-network' });
  });

  test('egress to the own node passes unless the operator polices it (semantics 53)', () => {
    const question = { from: end(subject), to: { kind: 'node', name: nodeName('n1') } } as const;
    const policies = [policy({ policyTypes: ['Egress'] })];
    expect(ask(policies, question, 'egress')).toMatchObject({ reason: 'node-traffic' });
    expect(ask(policies, { ...question, context: { policeNodeEgress: true } }, 'egress')).toMatchObject({
      verdict: 'deny',
    });
  });

  test('a pod of the same name in another namespace is another pod', () => {
    const twin = pod({ namespace: 'y', ips: ['10.244.1.3'] });
    expect(ask([ingress()], { from: end(twin) })).toMatchObject({ verdict: 'deny' });
  });
});

describe('the rules that admit', () => {
  const policies = [policy({ ingress: [{ ports: [{ port: 81 }] }, {}] }), policy({ ingress: [{}] }, { name: 'q' })];

  test('are the first one without a tracer', () => {
    expect(ask(policies).admittedBy).toEqual([{ policy: 'x/p', direction: 'ingress', index: 1 }]);
  });

  test('are all of them with a tracer, and the verdict is the same', () => {
    const traces: PolicyTrace[] = [];
    const effective = resolve(policies, subject);
    const flow: Flow = { from: end(peer), to: end(subject), family: 'IPv4', protocol: 'TCP', port: 80 };
    const verdict = evaluateSide(effective, 'ingress', flow, { namespaces: new Map() }, (trace) => traces.push(trace));
    expect(verdict).toMatchObject({ verdict: 'allow', reason: 'allowed-by-rule' });
    expect(verdict.admittedBy.map(({ policy: key, index }) => `${key} ${index}`)).toEqual(['x/p 1', 'x/q 0']);
    expect(traces.map(({ answer, rules }) => [answer, rules.map((rule) => rule.answer)])).toEqual([
      ['yes', ['no', 'yes']],
      ['yes', ['yes']],
    ]);
  });
});

describe('conditions', () => {
  test.each<[string, object, Question, SideVerdict['verdict']]>([
    ['a port and a peer must match', { ...fromApi, ports: [{ port: 81 }] }, {}, 'deny'],
    ['the ends of a range are inside', { ports: [{ port: 70, endPort: 80 }] }, {}, 'allow'],
    ['a port has a protocol', { ports: [{ port: 80 }] }, { protocol: 'UDP' }, 'deny'],
    ['ICMP passes a rule without ports', {}, { protocol: 'ICMP' }, 'allow'],
    ['ICMP passes no rule with ports', { ports: [{}] }, { protocol: 'ICMP' }, 'deny'],
    ['selectors match no outside address', { from: [{ namespaceSelector: {} }] }, { from: outside }, 'deny'],
    [
      'a block matches outside addresses',
      { from: [{ ipBlock: { cidr: '192.0.2.0/24' } }] },
      { from: outside },
      'allow',
    ],
    ['a block matches pods', { from: [{ ipBlock: { cidr: '10.244.1.2/32' } }] }, {}, 'allow'],
    [
      'every exception counts',
      { from: [{ ipBlock: { cidr: '192.0.2.0/24', except: ['192.0.2.128/25', '192.0.2.7/32'] } }] },
      { from: outside },
      'deny',
    ],
    [
      'both selectors of one peer must match',
      { from: [{ podSelector: { matchLabels: { app: 'api' } }, namespaceSelector: { matchLabels: { team: 'a' } } }] },
      {},
      'deny',
    ],
    ['a refused rule admits nothing', { form: [] }, {}, 'deny'],
    ['a refused peer admits nothing', { from: [{}] }, {}, 'deny'],
    ['a refused port admits nothing', { ports: [{ port: '80' }] }, {}, 'deny'],
  ])('%s', (_, rule, question, verdict) => {
    expect(ask([ingress(rule)], question).verdict).toBe(verdict);
  });

  test('a port name means every number the destination declares with the protocol of the entry', () => {
    const to = end(pod({ ports: ['http:80/TCP', 'http:81/TCP', 'http:82/UDP'] }));
    const verdicts = [80, 81, 82].map((port) => ask([ingress({ ports: [{ port: 'http' }] })], { to, port }).verdict);
    expect(verdicts).toEqual(['allow', 'allow', 'deny']);
    expect(namedPortNumbers(pod({ ports: ['http:81/TCP', 'http:80/TCP'] }), 'http', 'TCP')).toEqual([80, 81]);
  });
});

describe('missing facts (three-valued)', () => {
  const teamA = { from: [{ namespaceSelector: { matchLabels: { team: 'a' } } }] };

  test('a namespace nobody has seen may match by labels, and surely by name', () => {
    expect(ask([ingress(teamA)], { namespaces: [] }).verdict).toBe('unknown');
    const byName = (name: string): object => ({
      from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': name } } }],
    });
    expect(ask([ingress(byName('x'))], { namespaces: [] }).verdict).toBe('allow');
    expect(ask([ingress(byName('y'))], { namespaces: [] }).verdict).toBe('deny');
  });

  test('an unknown condition beside a false one is false, beside an admitting rule it does not matter', () => {
    expect(ask([ingress({ ...fromApi, ports: [{ port: 81 }] })], { from: end(peer, 'labels') }).verdict).toBe('deny');
    expect(ask([ingress(fromApi, {})], { from: end(peer, 'labels') }).verdict).toBe('allow');
  });

  test('unknown ports leave named ports open, numbers are not touched', () => {
    const to = end(subject, 'ports');
    expect(ask([ingress({ ports: [{ port: 'http' }] })], { to }).verdict).toBe('unknown');
    expect(ask([ingress({ ports: [{ port: 81 }] })], { to }).verdict).toBe('deny');
  });

  test('an unknown address may be in a block', () => {
    const nowhere = pod({ name: 'b', ips: [] });
    const rule = { from: [{ ipBlock: { cidr: '10.0.0.0/8' } }] };
    expect(ask([ingress(rule)], { from: end(nowhere, 'addresses') }).verdict).toBe('unknown');
    expect(ask([ingress(rule)], { from: end(nowhere) }).verdict).toBe('deny');
  });

  test('an unknown node may be the own one', () => {
    const question = { from: { kind: 'node', name: nodeName('n1') }, to: end(subject, 'node') } as const;
    expect(ask([ingress()], question).verdict).toBe('unknown');
  });

  test('a subject whose labels are unknown may not be isolated at all', () => {
    const selective = policy({ podSelector: { matchLabels: { app: 'web' } } });
    expect(ask([selective], { to: end(subject, 'labels') }).verdict).toBe('unknown');
    expect(ask([policy({})], { to: end(subject, 'labels') }).verdict).toBe('deny');
  });
});
