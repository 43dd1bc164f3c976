import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import type { ValidateFunction } from 'ajv/dist/2020.js';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { run } from '../src/cli/main.ts';
import type { DeniedReport } from '../src/controller/denied-report.ts';
import parity from '../src/model/decode/api-parity.json' with { type: 'json' };
import { decodeObject } from '../src/model/decode/object.ts';
import type { Diagnostic } from '../src/model/diagnostic.ts';
import { fine, wrong } from '../src/report/testing/status-reports.ts';
import { arbPolicy, policyObject } from './property/generators/policies.ts';
import { caseStates, caseTopics, loadCases, writeCaseFolders } from './support/cases.ts';

const directory = join(import.meta.dirname, '../schemas');

function compile(name: string): ValidateFunction {
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, strictRequired: false, allErrors: false });
  return ajv.compile(JSON.parse(readFileSync(join(directory, name), 'utf8')) as object);
}

describe('schemas', () => {
  const names = readdirSync(directory).filter((name) => name.endsWith('.json'));

  test('are there', () => {
    expect(names).toEqual(expect.arrayContaining(['networkpolicy.json', 'test-report.json']));
  });

  test.each(names)('%s compiles without a doubtful keyword and is published under its name', (name) => {
    const schema = JSON.parse(readFileSync(join(directory, name), 'utf8')) as Readonly<Record<string, unknown>>;
    expect(schema).toMatchObject({ $schema: 'https://json-schema.org/draft/2020-12/schema' });
    expect(schema['$id']).toBe(`https://nftpolicy.dev/schemas/${name}`);
    expect(schema['title']).toEqual(expect.any(String));
    expect(compile(name)).toBeTypeOf('function');
  });

  test('are what scripts/schemas.ts writes', () => {
    const script = join(import.meta.dirname, '../scripts/schemas.ts');
    expect(execFileSync(process.execPath, [script, '--check'], { encoding: 'utf8' })).toBe('');
  });
});

/** What the decoder refuses and a JSON Schema cannot: the only ways in which the two may differ. */
const beyondSchema: readonly { readonly reason: string; readonly holds: (diagnostic: Diagnostic) => boolean }[] = [
  {
    reason: 'an exception must lie strictly inside its block: a schema cannot compare two texts as addresses',
    holds: ({ code }) => code === 'D108',
  },
  {
    reason: 'endPort must not be below port: a schema cannot compare two numbers of the instance',
    holds: ({ code, message }) => code === 'D106' && message.includes('is below port'),
  },
];

describe('the schema of NetworkPolicy and the decoder', () => {
  const validate = compile('networkpolicy.json');
  const seen = { valid: 0, invalid: 0, beyond: new Set<string>() };

  /** What is wrong about their agreement, or nothing. */
  function disagreement(raw: unknown): string | undefined {
    const { object, diagnostics } = decodeObject(raw, { kind: 'cluster', resourceVersion: '1' });
    const errors = diagnostics.filter(({ severity }) => severity === 'error');
    const beyond = errors.map((error) => beyondSchema.find(({ holds }) => holds(error)));
    const accepted = object !== undefined && beyond.every((rule) => rule !== undefined);
    for (const rule of beyond) if (rule !== undefined) seen.beyond.add(rule.reason);
    if (accepted) seen.valid += 1;
    else seen.invalid += 1;
    if (validate(raw) === accepted) return undefined;
    return `${JSON.stringify(raw)}\nschema: ${validate.errors?.map(({ instancePath }) => instancePath).join(' ')}\ndecoder: ${JSON.stringify(errors)}`;
  }

  const isPolicy = (raw: Readonly<Record<string, unknown>>): boolean => raw['kind'] === 'NetworkPolicy';
  const head = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'p' } };
  const withSpec = (spec: unknown): object => ({ ...head, spec });
  const withBlock = (cidr: unknown): object => withSpec({ ingress: [{ from: [{ ipBlock: { cidr } }] }] });

  test.each(caseTopics())('agree on every policy of the cases in %s', (topic) => {
    const policies = loadCases(topic).flatMap((one) =>
      caseStates(one).flatMap(({ objects }) => objects.filter(isPolicy)),
    );
    expect(policies.length).toBeGreaterThan(0);
    expect(policies.map(disagreement).filter((problem) => problem !== undefined)).toEqual([]);
  });

  test.each(parity.map(({ case: name, object }) => ({ name, object })))('agree on "$name"', ({ object }) => {
    expect(disagreement(object)).toBeUndefined();
  });

  test('agree on generated policies, with and without invalid pieces', () => {
    for (const invalid of [true, false]) {
      fc.assert(
        fc.property(arbPolicy({ invalid }), (draft) => {
          expect(disagreement(policyObject(0, draft))).toBeUndefined();
        }),
        { numRuns: 1000 },
      );
    }
  });

  test('agree when any part of a policy is replaced, removed or joined by a stranger', () => {
    const odd = [null, '', 'a', 'A', '80', 0, 1, 80, 80.5, 65_536, -1, true, [], {}, [null], [{}], ['a'], { a: 'b' }];
    const words = ['Ingress', 'In', 'Exists', 'SCTP', 'tcp', '10.0.0.0/8', '::/0', 'x'.repeat(64), 'a/b', 'a b'];
    const arbOdd = fc.oneof(fc.constantFrom<unknown>(...odd, ...words), fc.jsonValue({ maxDepth: 2 }));
    fc.assert(
      fc.property(
        arbPolicy({ invalid: false }),
        fc.array(fc.tuple(fc.nat(), fc.constantFrom('replace', 'remove', 'add'), arbOdd), {
          minLength: 1,
          maxLength: 2,
        }),
        (draft, edits) => {
          const raw = structuredClone(policyObject(0, draft)) as Record<string, unknown>;
          // A copy, or the same value put in twice would hold itself.
          for (const [at, how, value] of edits) editPart(raw, at, how, structuredClone(value));
          expect(disagreement(raw)).toBeUndefined();
        },
      ),
      { numRuns: 2500 },
    );
  });

  test('agree on what is a block of addresses', () => {
    const group = fc.oneof(
      fc.constantFrom('0', '0000', 'ffff', 'FFFF', '1', 'fd00', '00001', 'g', ''),
      fc.nat({ max: 0xffff }).map((n) => n.toString(16)),
    );
    const tail = fc.constantFrom('', '', '', ':1.2.3.4', ':1.2.3', ':255.255.255.256', '1.2.3.4', '::', ':');
    const loose = fc.tuple(fc.array(group, { maxLength: 9 }), tail).map(([list, end]) => `${list.join(':')}${end}`);
    const address = fc.oneof(fc.ipV4(), fc.ipV4Extended(), fc.ipV6(), loose, loose);
    const length = fc.oneof(fc.nat({ max: 130 }).map(String), fc.constantFrom('', '-1', '08', '1 ', '33', '129'));
    fc.assert(
      fc.property(address, length, (text, prefix) => {
        expect(disagreement(withBlock(`${text}/${prefix}`))).toBeUndefined();
      }),
      { numRuns: 5000 },
    );
  });

  test.each([
    ['::ffff:1.2.3.0/120'],
    ['0:0:0:0:0:ffff::/96'],
    ['0::FFFF:102:304/128'],
    ['::0:ffff:102:304/128'],
    ['::ffff:0:1.2.3.4/128'],
    ['::ffff:1/128'],
    ['::1.2.3.4/128'],
    ['64:ff9b::1.2.3.04/128'],
    ['1:2:3:4:5:6:7::/64'],
    ['::2:3:4:5:6:7:8/64'],
    ['1:2:3:4:5:6::7:8/64'],
    ['1::2::3/64'],
    ['10.0.0.0/08'],
    ['10.0.0.0'],
    ['10.0.0.0/8\n'],
  ])('agree on the block %s', (cidr) => {
    expect(disagreement(withBlock(cidr))).toBeUndefined();
  });

  test('agree on labels and names, whatever characters they hold', () => {
    const char = fc.constantFrom('a', 'Z', '0', '-', '.', '_', '/', ' ', 'ä', '\n', 'a'.repeat(31));
    const text = fc.oneof(fc.string({ unit: char, maxLength: 9 }), fc.constantFrom('__proto__', 'constructor'));
    fc.assert(
      fc.property(text, text, text, (key, value, name) => {
        const matchLabels = JSON.parse(`{${JSON.stringify(key)}:${JSON.stringify(value)}}`) as object;
        expect(disagreement(withSpec({ podSelector: { matchLabels } }))).toBeUndefined();
        expect(
          disagreement(withSpec({ podSelector: { matchExpressions: [{ key, operator: 'Exists' }] } })),
        ).toBeUndefined();
        expect(disagreement(withSpec({ egress: [{ ports: [{ port: value }] }] }))).toBeUndefined();
        expect(disagreement({ ...head, metadata: { name, namespace: value } })).toBeUndefined();
      }),
      { numRuns: 1000 },
    );
  });

  test('have met valid and invalid policies and every listed exception', () => {
    expect(seen.valid).toBeGreaterThan(1000);
    expect(seen.invalid).toBeGreaterThan(1000);
    expect([...seen.beyond].sort()).toEqual(beyondSchema.map(({ reason }) => reason).sort());
  });
});

/** Changes one part of a tree: the `at`-th, counted over all of them. */
function editPart(root: object, at: number, how: string, value: unknown): void {
  const places: (readonly [parent: Record<string, unknown>, key: string])[] = [];
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    for (const key of Object.keys(node)) {
      places.push([node as Record<string, unknown>, key]);
      visit((node as Record<string, unknown>)[key]);
    }
  };
  visit(root);
  // `apiVersion` and `kind` say whether it is a NetworkPolicy at all.
  const inside = places.filter(([parent, key]) => parent !== root || !['apiVersion', 'kind'].includes(key));
  const place = inside[at % inside.length];
  if (place === undefined) return;
  const [parent, key] = place;
  if (how === 'replace') parent[key] = value;
  else if (how === 'remove' && Array.isArray(parent)) parent.splice(Number(key), 1);
  else if (how === 'remove') delete parent[key];
  else if (Array.isArray(parent)) parent.push(value);
  else parent['stranger'] = value;
}

describe('the schemas of policy status and policy denied', () => {
  const status = compile('status.json');
  const denied = compile('denied.json');
  const holds = (validate: ValidateFunction, value: unknown): void => {
    expect(validate(JSON.parse(JSON.stringify(value))), JSON.stringify(validate.errors)).toBe(true);
  };

  // What a real agent prints is held to them in test/kernel/agent-api.test.ts.
  test('hold for reports with all members', () => {
    holds(status, fine);
    holds(status, wrong);
    const reasons = ['no-rule-admits', 'pod-closed', 'unknown-pod', 'allowed-now', 'unexplained'] as const;
    const report: DeniedReport = {
      schema: 'nftpolicy.dev/denied/v1',
      node: 'node-1',
      recording: true,
      flows: reasons.map((reason) => ({
        mode: 'denied',
        from: { address: '10.0.0.1', pod: 'shop/web' },
        to: { address: 'fd00::1', node: 'node-2' },
        protocol: 'tcp',
        port: 80,
        packets: 3,
        ageSeconds: 1,
        reason,
        direction: 'egress',
        policies: ['shop/web'],
      })),
    };
    holds(denied, report);
  });

  test('fail for what is never printed', () => {
    expect(status({ ...fine, schema: 'nftpolicy.dev/status/v2' })).toBe(false);
    expect(status({ ...fine, extra: 1 })).toBe(false);
    expect(status({ ...fine, startedAt: 'yesterday' })).toBe(false);
    expect(status({ schema: 'nftpolicy.dev/status/v1', agent: 'none' })).toBe(false);
    expect(denied({ schema: 'nftpolicy.dev/denied/v1' })).toBe(false);
    expect(denied({ schema: 'nftpolicy.dev/denied/v1', flows: [{ mode: 'denied' }] })).toBe(false);
  });
});

describe('the schema of policy test -o json', () => {
  const validate = compile('test-report.json');

  async function report(topics: readonly string[]): Promise<{ cases: object[]; [field: string]: unknown }> {
    const folder = mkdtempSync(join(tmpdir(), 'nftpolicy-schemas-'));
    try {
      const folders = writeCaseFolders(
        folder,
        topics.flatMap((topic) => loadCases(topic).slice(0, 5)),
      );
      let stdout = '';
      const sink = { isTerminal: false, write: () => undefined };
      const code = await run(['test', '-o', 'json', ...folders], {
        stdout: { isTerminal: false, write: (text) => void (stdout += text) },
        stderr: sink,
        env: {},
        cwd: folder,
        readStdin: () => '',
        signal: new AbortController().signal,
      });
      expect(code).toBe(0);
      return JSON.parse(stdout) as { cases: object[] };
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  test('holds for a real run over cases with and without steps', async () => {
    const printed = await report(['hand', 'steps', 'random']);
    expect(validate(printed), JSON.stringify(validate.errors)).toBe(true);
    expect(printed.cases.length).toBeGreaterThan(10);
    expect(printed.cases.some((one) => 'steps' in one)).toBe(true);
    expect(printed.cases.some((one) => 'flows' in one)).toBe(true);
  });

  test('fails for what policy test never prints', async () => {
    const printed = await report(['hand']);
    expect(validate({ ...printed, apiVersion: 'nftpolicy.dev/test/v2' })).toBe(false);
    expect(validate({ ...printed, extra: 1 })).toBe(false);
    expect(validate({ ...printed, failed: -1 })).toBe(false);
    expect(validate({ ...printed, cases: [{ case: 'a' }] })).toBe(false);
    expect(validate({ ...printed, cases: [{ case: 'a', flows: [{ index: 0 }] }] })).toBe(false);
  });
});
