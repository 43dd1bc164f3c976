import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import type { NetworkPolicy } from '../policy.ts';
import type { SourceRef } from '../source-ref.ts';
import parity from './api-parity.json' with { type: 'json' };
import { decodeCodes } from './codes.ts';
import { maxDiagnostics } from './findings.ts';
import { decodeObject } from './object.ts';

const source: SourceRef = { kind: 'file', file: 'dir/a.yaml', document: 2, item: 1, line: 3, column: 1 };
const decode = (raw: unknown) => {
  const { object, diagnostics } = decodeObject(raw, source);
  return { object, codes: diagnostics.map(({ code }) => code), diagnostics };
};
const policyHead = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' };

function policyOf(raw: unknown): NetworkPolicy {
  const { object } = decode(raw);
  if (object?.kind !== 'NetworkPolicy') throw new Error('no policy');
  return object;
}

describe('dispatch', () => {
  test.each([
    ['v1', 'Namespace'],
    ['v1', 'Node'],
    ['v1', 'Pod'],
    ['v1', 'Service'],
    ['networking.k8s.io/v1', 'NetworkPolicy'],
  ])('%s %s is read', (apiVersion, kind) => {
    const { object, codes } = decode({ apiVersion, kind, metadata: { name: 'a' } });
    expect(object).toMatchObject({ kind, name: 'a', source });
    expect(codes).toEqual([]);
  });

  test.each([
    ['apps/v1', 'Deployment'],
    ['v1', 'List'],
    ['v1', 'ConfigMap'],
    ['kustomize.config.k8s.io/v1beta1', 'Kustomization'],
    ['serving.knative.dev/v1', 'Service'],
    ['crd.projectcalico.org/v1', 'NetworkPolicy'],
    ['networking.k8s.io/v1', 'Ingress'],
    ['networking.k8s.io/v1', 'NetworkPolicyList'],
  ])('%s %s is another kind: neither object nor complaint', (apiVersion, kind) => {
    expect(decode({ apiVersion, kind })).toEqual({ object: undefined, codes: [], diagnostics: [] });
  });

  test.each([
    ['extensions/v1beta1', 'NetworkPolicy', 'D004'],
    ['networking.k8s.io/v1beta1', 'NetworkPolicy', 'D004'],
    ['v1', 'NetworkPolicy', 'D004'],
    ['v1beta3', 'Pod', 'D004'],
    ['networking.k8s.io/v1', 'networkpolicy', 'D007'],
    ['networking.k8s.io/v1', 'NetworkPolicies', 'D007'],
    ['networking.k8s.io/v1', 'NetwrokPolicy', 'D007'],
    ['', 'Pod', 'D002'],
    [null, 'Pod', 'D002'],
    ['v1', null, 'D002'],
    ['v1', '', 'D002'],
    [1, 'Pod', 'D102'],
    ['v1', ['Pod'], 'D102'],
  ])('apiVersion %j kind %j is reported', (apiVersion, kind, code) => {
    expect(decode({ apiVersion, kind, metadata: { name: 'a' } })).toMatchObject({ object: undefined, codes: [code] });
  });

  test.for([undefined, null, 'text', 1, true, [], [{ kind: 'Pod' }]])('%j is no object', (raw) => {
    expect(decode(raw)).toMatchObject({ object: undefined, codes: ['D001'] });
  });
});

describe('identity', () => {
  test('a file without namespace means default, and its uid is made from its name (semantics 75)', () => {
    for (const namespace of [undefined, null, '']) {
      expect(decode({ ...policyHead, metadata: { name: 'a', namespace } }).object).toMatchObject({
        key: 'default/a',
        namespace: 'default',
        uid: 'NetworkPolicy/default/a',
      });
    }
    expect(decode({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n' } }).object).toMatchObject({ uid: 'Node/n' });
  });

  test('a uid is kept', () => {
    expect(decode({ ...policyHead, metadata: { name: 'a', uid: 'u-1' } }).object).toMatchObject({ uid: 'u-1' });
  });

  test.for([undefined, null, {}, { name: null }, { name: '' }, { generateName: 'a-' }])(
    'metadata %j has no name: a pod is ignored, a policy is applied under its position',
    (metadata) => {
      expect(decode({ apiVersion: 'v1', kind: 'Pod', metadata })).toMatchObject({ object: undefined, codes: ['D003'] });
      expect(decode({ ...policyHead, metadata })).toMatchObject({
        object: { key: 'default/unnamed-dir%2Fa.yaml-2-1', invalid: true, ingress: { isolates: true } },
        codes: ['D003'],
      });
    },
  );

  test.each([
    ['Pod', { name: 'A' }, 'D005'],
    ['Pod', { name: 'a/b' }, 'D005'],
    ['Pod', { name: 5 }, 'D102'],
    ['Namespace', { name: 'a.b' }, 'D005'],
    ['Namespace', { name: 'a'.repeat(64) }, 'D005'],
    ['Node', { name: 'a_b' }, 'D005'],
    ['Service', { name: 'a', namespace: 'B' }, 'D006'],
    ['Pod', { name: 'a', namespace: 'b/c' }, 'D006'],
    ['Pod', { name: 'a', namespace: 5 }, 'D102'],
    ['Pod', 'web', 'D102'],
  ])('a %s with metadata %j is ignored', (kind, metadata, code) => {
    expect(decode({ apiVersion: 'v1', kind, metadata })).toMatchObject({ object: undefined, codes: [code] });
  });

  test.each([
    ['Deny_All', 'x/Deny_All'],
    ['a/b', 'x/a%2Fb'],
    ['é "a"\n', 'x/%C3%A9%20%22a%22%0A'],
  ])('a policy named %j is applied all the same', (name, key) => {
    expect(decode({ ...policyHead, metadata: { name, namespace: 'x' } })).toMatchObject({
      object: { key, invalid: true },
      codes: ['D005'],
    });
  });

  test('a policy whose namespace cannot be read is reported: nobody knows whom it isolates', () => {
    expect(decode({ ...policyHead, metadata: { name: 'a', namespace: ['x'] } })).toMatchObject({
      object: undefined,
      codes: ['D102'],
    });
  });

  test('inherited fields are not read', () => {
    const raw = Object.assign(Object.create({ metadata: { name: 'a' } }) as object, { apiVersion: 'v1', kind: 'Pod' });
    expect(decode(raw).codes).toEqual(['D003']);
  });
});

// Documents sent to a Kubernetes 1.36.2 API server as dry runs; `accepted` without and `strict` with strict validation.
describe('what an API server answers', () => {
  const maskedHere = new Set(['D109']);
  const named = parity.map((row) => ({ ...row, object: { ...(row.object as object) } }));

  test.each(named)('$case', ({ object, accepted, strict, storedSpec }) => {
    const result = decode(object);
    const refused = result.codes.length > 0;
    // Unknown fields: accepted without strict validation only (semantics 83). A duplicate key and `status` leave no trace.
    if (strict || (accepted && !result.codes.includes('D101'))) expect(result.codes).toEqual([]);
    if (!accepted) expect(refused).toBe(true);
    if (!accepted && result.codes.every((code) => maskedHere.has(code))) {
      expect(policyOf(object).invalid).toBe(false);
    } else {
      expect(policyOf(object).invalid).toBe(refused);
    }
    if (storedSpec !== undefined && !refused) {
      expect(policyOf({ ...object, spec: storedSpec })).toEqual(policyOf(object));
    }
  });

  test('the table is not empty and has both answers', () => {
    expect(new Set(parity.map(({ accepted }) => accepted))).toEqual(new Set([true, false]));
  });
});

describe('hostile input', () => {
  const deep = (levels: number): unknown => {
    let value: unknown = [];
    for (let level = 0; level < levels; level++) value = level % 2 === 0 ? [value] : { from: value };
    return value;
  };

  test('a thousand problems give a hundred diagnostics and one that counts the rest', () => {
    const ingress = Array.from({ length: 1000 }, () => ({ form: [] }));
    const { diagnostics, object } = decode({ ...policyHead, metadata: { name: 'a' }, spec: { ingress } });
    expect(diagnostics).toHaveLength(maxDiagnostics + 1);
    expect(diagnostics.at(-1)).toMatchObject({ code: 'D099', severity: 'error' });
    expect(diagnostics.at(-1)?.message).toContain('900 more');
    expect(object).toMatchObject({ invalid: true, ingress: { rules: { length: 1000 } } });
  });

  test('a problem after the hundredth still counts', () => {
    const block = { ipBlock: { cidr: '10.0.0.1/8' } };
    const from = [...Array.from({ length: 200 }, () => block), {}];
    const policy = policyOf({ ...policyHead, metadata: { name: 'a' }, spec: { ingress: [{ from }] } });
    expect(policy.invalid).toBe(true);
    expect(policy.ingress.rules[0]?.peers.at(-1)).toEqual({ kind: 'invalid', index: 200 });
  });

  test('deep nesting anywhere is only another wrong value', () => {
    const value = deep(100_000);
    const specs = [
      value,
      { podSelector: value },
      { policyTypes: value },
      { ingress: value },
      { ingress: [value] },
      { ingress: [{ from: value, ports: value }] },
      { ingress: [{ from: [value], ports: [value] }] },
      {
        ingress: [{ from: [{ ipBlock: { cidr: value, except: [value] } }], ports: [{ port: value, protocol: value }] }],
      },
      {
        podSelector: { matchLabels: { a: value }, matchExpressions: [{ key: value, operator: value, values: value }] },
      },
    ];
    for (const spec of specs) {
      expect(policyOf({ ...policyHead, metadata: { name: 'a' }, spec })).toMatchObject({ invalid: true });
    }
  });

  test('long lists are read whole, and a large annotation costs nothing', () => {
    const from = Array.from({ length: 10_000 }, (_, n) => ({ ipBlock: { cidr: `10.${n >> 8}.${n & 255}.0/24` } }));
    const annotations = { big: 'x'.repeat(1 << 20) };
    const { object, codes } = decode({
      ...policyHead,
      metadata: { name: 'a', annotations },
      spec: { ingress: [{ from }] },
    });
    expect(codes).toEqual([]);
    expect(object).toMatchObject({ ingress: { rules: [{ peers: { length: 10_000 } }] } });
  });

  test('messages are short and hold no control characters, whatever the value', () => {
    const evil = `\u001b[31m\u009b2J\u202e${'x'.repeat(10_000)}`;
    const spec = { policyTypes: [evil], ingress: [{ [evil]: 1, ports: [{ port: evil, protocol: evil }] }] };
    const { diagnostics } = decode({ ...policyHead, metadata: { name: evil, namespace: 'x' }, spec });
    expect(diagnostics.length).toBeGreaterThan(4);
    for (const { message, help, object, path } of diagnostics) {
      expect(JSON.stringify(path).length).toBeLessThan(400);
      for (const text of [message, help ?? '', object ?? '']) {
        expect(text.length).toBeLessThan(400);
        // oxlint-disable-next-line no-control-regex -- control characters are what must not be there
        expect(text).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
      }
    }
  });
});

describe('arbitrary input', () => {
  const json = fc.jsonValue({ maxDepth: 4 });
  const kind = fc.constantFrom('Namespace', 'Node', 'Pod', 'Service', 'NetworkPolicy', 'Other');
  const names =
    'podSelector namespaceSelector ipBlock cidr except matchLabels matchExpressions key operator values policyTypes ingress egress from ' +
    'to ports port endPort protocol containers initContainers podIPs ip name selector clusterIPs __proto__ labels';
  const key = fc.constantFrom(...names.split(' '));
  const { tree } = fc.letrec<{ tree: unknown }>((tie) => ({
    tree: fc.oneof(
      { maxDepth: 6 },
      fc.constantFrom(null, '', 'a', 'Ingress', 'In', 'TCP', '10.0.0.0/8', 80, 0, true),
      fc.array(tie('tree'), { maxLength: 3 }),
      fc
        .array(fc.tuple(key, tie('tree')), { maxLength: 4 })
        .map(
          (entries) =>
            JSON.parse(`{${entries.map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`).join()}}`) as unknown,
        ),
    ),
  }));
  const manifest = fc.record(
    {
      apiVersion: fc.constantFrom('v1', 'networking.k8s.io/v1'),
      kind,
      metadata: fc.oneof(json, fc.record({ name: fc.constant('a'), labels: fc.oneof(json, tree) })),
      spec: fc.oneof(json, tree),
      status: fc.oneof(json, tree),
    },
    { requiredKeys: ['apiVersion', 'kind'] },
  );

  test('never throws, reports with known codes, and answers the same twice', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.anything(),
          fc.anything({
            withBigInt: true,
            withMap: true,
            withNullPrototype: true,
            withSparseArray: true,
            withDate: true,
          }),
          manifest,
        ),
        (raw) => {
          const first = decodeObject(raw, source);
          for (const { code, message } of first.diagnostics) {
            expect(Object.hasOwn(decodeCodes, code)).toBe(true);
            expect(message).not.toBe('');
          }
          expect(decodeObject(raw, source)).toEqual(first);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('a policy is always read, and only an absent or empty list of peers or ports means "any"', () => {
    const empty = (list: unknown): boolean => (list ?? null) === null || (Array.isArray(list) && list.length === 0);
    const rules = fc.array(fc.oneof(tree, fc.record({ from: tree, ports: tree }, { requiredKeys: [] })), {
      maxLength: 3,
    });
    fc.assert(
      fc.property(rules, (ingress) => {
        const raw = { ...policyHead, metadata: { name: 'a' }, spec: { ingress } };
        const policy = policyOf(raw);
        expect(policy.ingress).toMatchObject({ isolates: true, rules: { length: ingress.length } });
        for (const [index, rule] of policy.ingress.rules.entries()) {
          const written = (ingress[index] ?? {}) as { from?: unknown; ports?: unknown };
          expect(rule.index).toBe(index);
          if (rule.peers === 'any') expect(empty(written.from)).toBe(true);
          if (rule.ports === 'any') expect(empty(written.ports)).toBe(true);
          if (rule.invalid) expect([rule.peers, rule.ports]).toEqual([[], []]);
          else if (rule.peers !== 'any') expect(rule.peers).toHaveLength((written.from as unknown[]).length);
        }
      }),
      { numRuns: 1000 },
    );
  });

  test('input is not changed', () => {
    const freeze = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return;
      for (const part of Object.values(Object.freeze(value))) freeze(part);
    };
    fc.assert(
      fc.property(manifest, (raw) => {
        freeze(raw);
        decodeObject(raw, source);
      }),
    );
  });
});
