import { describe, expect, test } from 'vitest';
import { createOracle, oracleJudge } from './oracle.ts';
import type { Question, RawObject } from './question.ts';

// Facts that the conformance cases leave out, and the tables of sections 15 to 17, each decided by hand.

const namespace = (name: string, labels: object = {}): RawObject => ({ kind: 'Namespace', metadata: { name, labels } });

const node = (name: string, ...addresses: string[]): RawObject => ({
  kind: 'Node',
  metadata: { name },
  status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) },
});

interface PodParts {
  readonly ips?: readonly string[];
  readonly labels?: object;
  readonly metadata?: object;
  readonly spec?: object;
  readonly phase?: string;
}

function pod(key: string, parts: PodParts = {}): RawObject {
  const [home, name] = key.split('/');
  return {
    kind: 'Pod',
    metadata: { namespace: home, name, labels: parts.labels ?? { app: name }, ...parts.metadata },
    spec: { nodeName: 'n1', ...parts.spec },
    status: { phase: parts.phase ?? 'Running', podIPs: (parts.ips ?? []).map((ip) => ({ ip })) },
  };
}

const policy = (home: string, spec: unknown): RawObject => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { namespace: home, name: 'p' },
  spec,
});

const a = pod('x/a', { ips: ['10.0.0.1'] });
const b = pod('x/b', { ips: ['10.0.0.2'] });
const c = pod('y/c', { ips: ['10.0.0.3'], labels: { app: 'c', role: '' } });
const world = [
  namespace('x'),
  namespace('y', { team: 'blue' }),
  node('n1', '172.18.0.1'),
  node('n2', '172.18.0.2'),
  a,
  b,
  c,
];

const tcp = (from: string, to: string, port = 80): Question => ({ from, to, port, protocol: 'TCP' });

function verdict(objects: readonly RawObject[], question: Question): string {
  return oracleJudge(objects, [question])[0]!.verdict;
}

/** Whom x/a admits on TCP 80 under a spec in x: x/b, y/c, an outside address; and whether it lets itself out. */
function reach(spec: unknown): string {
  const oracle = createOracle([...world, policy('x', spec)]);
  const ends = ['x/b', 'y/c', '192.0.2.1'].filter((from) => oracle.ask(tcp(from, 'x/a')).ingress === 'allow');
  const out = oracle.ask(tcp('x/a', 'y/c')).egress === 'allow' ? ['out'] : [];
  return [...ends, ...out].join(' ') || 'nothing';
}

const all = 'x/b y/c 192.0.2.1 out';

describe('normalisation (semantics 72)', () => {
  test.each<[string, unknown, string]>([
    ['spec missing', undefined, 'out'],
    ['spec null', null, 'out'],
    ['podSelector null', { podSelector: null, ingress: [{}] }, all],
    ['policyTypes null, egress []', { policyTypes: null, ingress: [{}], egress: [] }, all],
    ['policyTypes [], egress [null]', { policyTypes: [], egress: [null] }, 'out'],
    ['egress rule counts', { egress: [{ to: [{ podSelector: {} }] }] }, 'nothing'],
    ['ingress [null]', { ingress: [null] }, all],
    ['from null', { ingress: [{ from: null }] }, all],
    ['from [null]', { ingress: [{ from: [null] }] }, 'out'],
    ['ports [null] is all TCP', { ingress: [{ ports: [null] }] }, all],
    ['peer selectors null', { ingress: [{ from: [{ podSelector: null, namespaceSelector: null }] }] }, 'out'],
    ['peer ipBlock null', { ingress: [{ from: [{ podSelector: {}, ipBlock: null }] }] }, 'x/b out'],
    ['except null', { ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8', except: null } }] }] }, 'x/b y/c out'],
    [
      'matchLabels value null is empty',
      { ingress: [{ from: [{ namespaceSelector: {}, podSelector: { matchLabels: { role: null } } }] }] },
      'y/c out',
    ],
    [
      'values null for Exists',
      {
        ingress: [
          {
            from: [
              {
                namespaceSelector: {},
                podSelector: { matchExpressions: [{ key: 'role', operator: 'Exists', values: null }] },
              },
            ],
          },
        ],
      },
      'y/c out',
    ],
    ['protocol null is TCP', { ingress: [{ ports: [{ protocol: null, port: 80, endPort: null }] }] }, all],
    ['port null is every port', { ingress: [{ ports: [{ port: null }] }] }, all],
  ])('%s', (_name, spec, expected) => {
    expect(reach(spec)).toBe(expected);
  });
});

describe('invalid pieces fail closed (semantics 76-90)', () => {
  const rule = (value: unknown): unknown => ({ ingress: [value] });
  const peer = (value: unknown): unknown => rule({ from: [value, { podSelector: { matchLabels: { app: 'b' } } }] });
  const port = (value: unknown): unknown => rule({ ports: [value] });
  const onlyB = 'x/b out';
  test.each<[string, unknown, string]>([
    ['spec is a list', [], 'nothing'],
    ['spec is a number', 0, 'nothing'],
    ['podSelector is a list', { podSelector: [], ingress: [{}] }, 'out'],
    ['podSelector with an unknown field', { podSelector: { matchLabel: {} }, ingress: [{}] }, 'out'],
    [
      'podSelector invalid, Egress named',
      { podSelector: { matchLabels: 'a' }, policyTypes: ['Egress'], egress: [{}] },
      'x/b y/c 192.0.2.1',
    ],
    ['policyTypes is a text', { policyTypes: 'Ingress', ingress: [{}] }, 'x/b y/c 192.0.2.1'],
    ['policyTypes [null]', { policyTypes: [null], ingress: [{}], egress: [{}] }, all],
    ['three policyTypes', { policyTypes: ['Ingress', 'Egress', 'Ingress'], ingress: [{}] }, 'x/b y/c 192.0.2.1'],
    ['policyTypes twice the same', { policyTypes: ['Ingress', 'Ingress'] }, 'out'],
    ['unknown field in spec', { policyTypes: ['Ingress'], ingress: [{}], egres: [] }, 'x/b y/c 192.0.2.1'],
    ['ingress is an object', { ingress: {} }, 'out'],
    ['rule is a text', rule('any'), 'out'],
    ['rule with an unknown field', rule({ form: [] }), 'out'],
    ['to under ingress', rule({ to: [] }), 'out'],
    ['from is an object', rule({ from: {} }), 'out'],
    ['ports is a number, peers are fine', rule({ from: [{ podSelector: {} }], ports: 80 }), 'out'],
    ['peer is a text', peer('x/c'), onlyB],
    ['peer with an unknown field', peer({ namespaceSelector: {}, ports: null }), onlyB],
    ['block and selector', peer({ ipBlock: { cidr: '0.0.0.0/0' }, namespaceSelector: {} }), onlyB],
    ['block is a text', peer({ ipBlock: '0.0.0.0/0' }), onlyB],
    ['block except [null]', peer({ ipBlock: { cidr: '0.0.0.0/0', except: [null] } }), onlyB],
    ['block except is a text', peer({ ipBlock: { cidr: '0.0.0.0/0', except: '10.0.0.0/8' } }), onlyB],
    ['block except of the other family', peer({ ipBlock: { cidr: '0.0.0.0/0', except: ['::/1'] } }), onlyB],
    ['block except equal after masking', peer({ ipBlock: { cidr: '10.0.0.0/8', except: ['10.9.9.9/8'] } }), onlyB],
    ['one bad selector of two', peer({ namespaceSelector: {}, podSelector: { matchExpressions: [null] } }), onlyB],
    [
      'expression with an unknown field',
      peer({ namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'Exists', value: 1 }] } }),
      onlyB,
    ],
    [
      'expression with a malformed value',
      peer({ namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'NotIn', values: ['b c'] }] } }),
      onlyB,
    ],
    [
      'expression with a malformed key',
      peer({ namespaceSelector: { matchExpressions: [{ key: 'a/b/c', operator: 'DoesNotExist' }] } }),
      onlyB,
    ],
    [
      'expression without key',
      peer({ namespaceSelector: { matchExpressions: [{ operator: 'DoesNotExist' }] } }),
      onlyB,
    ],
    [
      'a label value of 64 characters',
      peer({ namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'NotIn', values: ['x'.repeat(64)] }] } }),
      onlyB,
    ],
    ['port is a boolean', port({ port: true }), 'out'],
    ['port is a fraction', port({ port: 80.5 }), 'out'],
    ['port 65536', port({ port: 1, endPort: 65536 }), 'out'],
    ['endPort 0', port({ port: 80, endPort: 0 }), 'out'],
    ['endPort alone', port({ endPort: 90 }), 'out'],
    ['protocol empty', port({ protocol: '' }), 'out'],
    ['protocol in lower case', port({ protocol: 'tcp', port: 80 }), 'out'],
    ['port entry is a number', port(80), 'out'],
  ])('%s', (_name, spec, expected) => {
    expect(reach(spec)).toBe(expected);
  });
});

describe('named ports (semantics 39-42, 77)', () => {
  const server = pod('x/a', {
    ips: ['10.0.0.1'],
    spec: {
      containers: [
        {
          ports: [
            { name: '80-http', containerPort: 80 },
            { name: 'a--b', containerPort: 81 },
            { name: 'http', containerPort: 82 },
          ],
        },
      ],
      initContainers: [
        { ports: [{ name: 'setup', containerPort: 83 }] },
        { restartPolicy: 'Always', ports: [{ name: 'proxy', containerPort: 84 }] },
      ],
    },
  });
  const open = (ports: unknown): number[] => {
    const objects = [server, b, policy('x', { ingress: [{ ports }] })];
    return [80, 81, 82, 83, 84].filter((number) => verdict(objects, tcp('x/b', 'x/a', number)) === 'allow');
  };
  test.each<[string, unknown, number[]]>([
    ['a name may begin with digits; the protocol of a container port defaults to TCP', { port: '80-http' }, [80]],
    ['two inner hyphens', { port: 'a--b' }, []],
    ['with endPort', { port: 'http', endPort: 90 }, []],
    ['other protocol', { port: 'http', protocol: 'UDP' }, []],
    ['ordinary init container', { port: 'setup' }, []],
    ['restartable init container', { port: 'proxy' }, [84]],
  ])('%s', (_name, entry, expected) => {
    expect(open([entry])).toEqual(expected);
  });

  test('through a block, the name is resolved for the pod and for nothing else', () => {
    const rules = policy('x', {
      podSelector: { matchLabels: { app: 'b' } },
      policyTypes: ['Egress'],
      egress: [{ to: [{ ipBlock: { cidr: '0.0.0.0/0' } }], ports: [{ port: 'http' }] }],
    });
    const objects = [...world, server, rules].filter((object) => object !== a);
    expect(verdict(objects, tcp('x/b', 'x/a', 82))).toBe('allow');
    expect(verdict(objects, tcp('x/b', 'y/c', 82))).toBe('deny');
    expect(verdict(objects, tcp('x/b', '172.18.0.2', 82))).toBe('deny');
  });
});

describe('ICMP passes only by a rule without ports (semantics 64)', () => {
  test.each<[string, unknown, string]>([
    ['no policy', undefined, 'allow'],
    ['no rule', { ingress: [] }, 'deny'],
    ['ports empty', { ingress: [{ ports: [] }] }, 'allow'],
    ['all TCP', { ingress: [{ ports: [{}] }] }, 'deny'],
    ['every protocol named', { ingress: [{ ports: [{}, { protocol: 'UDP' }, { protocol: 'SCTP' }] }] }, 'deny'],
    ['other peer', { ingress: [{ from: [{ podSelector: { matchLabels: { app: 'a' } } }] }] }, 'deny'],
  ])('%s', (_name, spec, expected) => {
    const objects = spec === undefined ? world : [...world, policy('x', spec)];
    expect(verdict(objects, { from: 'x/b', to: 'x/a', protocol: 'ICMP' })).toBe(expected);
  });
});

describe('addresses that change hands (semantics 44, 45, 49)', () => {
  const ips = ['10.0.0.9'];
  const claim = (key: string, created: string | undefined, parts: PodParts = {}): RawObject =>
    pod(key, {
      ips,
      ...parts,
      metadata: { ...(created === undefined ? {} : { creationTimestamp: created }), ...parts.metadata },
    });
  const old = '2026-01-01T00:00:00Z';
  const young = '2026-01-01T00:00:01Z';
  const dying = { metadata: { deletionTimestamp: young } };
  const onlyOne = policy('x', {
    podSelector: { matchLabels: { app: 'a' } },
    ingress: [{ from: [{ podSelector: { matchLabels: { app: 'one' } } }] }],
  });
  test.each<[string, RawObject[], string]>([
    ['the newest pod owns it', [claim('x/one', young), claim('x/two', old)], 'allow'],
    ['the older pod does not', [claim('x/one', old), claim('x/two', young)], 'deny'],
    ['an unknown age is the oldest', [claim('x/one', undefined), claim('x/two', old)], 'deny'],
    ['of equal age, the one that stays', [claim('x/one', old), claim('x/two', old, dying)], 'allow'],
    ['age goes before staying', [claim('x/one', old), claim('x/two', young, dying)], 'deny'],
    ['else the greater name', [claim('x/one', old), claim('x/two', old)], 'deny'],
    ['a finished pod does not count', [claim('x/one', old), claim('x/two', young, { phase: 'Succeeded' })], 'allow'],
    ['a finished pod leaves it to nobody', [claim('x/one', young, { phase: 'Failed' })], 'deny'],
  ])('%s', (_name, pods, expected) => {
    const objects = [a, ...pods, onlyOne];
    expect(verdict(objects, tcp('10.0.0.9', 'x/a'))).toBe(expected);
  });

  test('a loser has no address and sends nothing', () => {
    const oracle = createOracle([a, claim('x/one', old), claim('x/two', young)]);
    expect(oracle.canAsk(tcp('x/one', 'x/a'))).toBe(false);
    expect(oracle.canAsk(tcp('x/two', 'x/a'))).toBe(true);
    expect(() => oracle.ask(tcp('x/one', 'x/a'))).toThrow('no such flow');
  });
});

describe('namespaces nobody has seen', () => {
  const ghost = pod('ghost/g', { ips: ['10.0.0.7'] });
  const reached = (namespaceSelector: unknown): string =>
    verdict([...world, ghost, policy('x', { ingress: [{ from: [{ namespaceSelector }] }] })], tcp('ghost/g', 'x/a'));
  test.each<[string, unknown, string]>([
    ['everything', {}, 'allow'],
    ['its name', { matchLabels: { 'kubernetes.io/metadata.name': 'ghost' } }, 'allow'],
    [
      'not another name',
      { matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['x'] }] },
      'allow',
    ],
    ['a label it may lack', { matchExpressions: [{ key: 'team', operator: 'DoesNotExist' }] }, 'deny'],
    ['a value it may have', { matchExpressions: [{ key: 'team', operator: 'NotIn', values: ['red'] }] }, 'deny'],
  ])('%s', (_name, selector, expected) => {
    expect(reached(selector)).toBe(expected);
  });

  test('policies there still select', () => {
    expect(verdict([...world, ghost, policy('ghost', {})], tcp('x/a', 'ghost/g'))).toBe('deny');
  });

  test('the name label cannot lie', () => {
    const liar = namespace('ghost', { 'kubernetes.io/metadata.name': 'y' });
    const rules = policy('x', {
      ingress: [{ from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'y' } } }] }],
    });
    expect(verdict([...world, liar, ghost, rules], tcp('ghost/g', 'x/a'))).toBe('deny');
  });
});

describe('families (semantics 61-63)', () => {
  const dual = pod('x/a', { ips: ['10.0.0.1', 'fd00::1'] });
  const other = pod('y/c', { ips: ['10.0.0.3', 'fd00::3'] });
  const rules = policy('x', { ingress: [{ from: [{ ipBlock: { cidr: '0.0.0.0/0' } }] }] });

  test('an IPv4 block leaves IPv6 closed', () => {
    const flow = tcp('y/c', 'x/a');
    expect(verdict([dual, other, rules], { ...flow, family: 'IPv4' })).toBe('allow');
    expect(verdict([dual, other, rules], { ...flow, family: 'IPv6' })).toBe('deny');
  });

  test('ends without a common family cannot talk', () => {
    expect(createOracle([dual, pod('y/c', { ips: ['10.0.0.3'] })]).canAsk(tcp('y/c', 'fd00::1'))).toBe(false);
  });
});
