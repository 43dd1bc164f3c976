import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { format } from 'prettier';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { readConfig } from './config-layers.ts';
import { configFileSchema, configJsonSchema, parseListen, parseNodeDns } from './config.ts';
import { agentOptionNames, agentOptions, flagOf, variableOf } from './option-table.ts';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'nftpolicy-config-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function file(text: string): string {
  const path = join(directory, 'config.yaml');
  writeFileSync(path, text);
  return path;
}

const problemsOf = (input: Parameters<typeof readConfig>[0]): string[] => {
  const result = readConfig(input);
  if (result.ok) throw new Error('it was accepted');
  return result.error.map(({ code, message, help, span }) => {
    const at = span === undefined ? '' : `${span.start.line}:${span.start.column} `;
    return `${at}${code} ${message} | ${help ?? ''}`;
  });
};

describe('the configuration', () => {
  test('needs nothing but the name of the node', () => {
    const result = readConfig({ flags: {}, env: { NODE_NAME: 'node-1' } });
    expect(result).toEqual({
      ok: true,
      value: {
        warnings: [],
        config: {
          node: 'node-1',
          enforcement: {
            enforce: 'every-packet',
            unknownPods: 'drop',
            reject: false,
            policeNodeEgress: false,
            nodeDns: 'auto',
            recordDenied: true,
          },
          listen: { host: '127.0.0.1', port: 9478 },
          stateDir: '/var/lib/nftpolicy',
          cniConfDir: '/etc/cni/net.d',
          cniCacheDir: '/var/lib/cni',
          netnsDir: '/run/netns',
          logLevel: 'info',
        },
      },
    });
  });

  test('takes flags before the environment before the file', () => {
    const result = readConfig({
      flags: { node: 'by-flag', reject: true },
      env: { NFTPOLICY_NODE: 'by-env', NFTPOLICY_ENFORCE: 'new-connections', NFTPOLICY_RECORD_DENIED: 'false' },
      file: file('node: by-file\nenforce: every-packet\nunknownPods: accept\nrecordDenied: true\nlisten: "off"\n'),
    });
    expect(result.ok && result.value.config).toMatchObject({
      node: 'by-flag',
      enforcement: { enforce: 'new-connections', unknownPods: 'accept', reject: true, recordDenied: false },
    });
    expect(result.ok && result.value.config.listen).toBeUndefined();
  });

  test('prefers NFTPOLICY_NODE to NODE_NAME', () => {
    const result = readConfig({ flags: {}, env: { NODE_NAME: 'a', NFTPOLICY_NODE: 'b' } });
    expect(result.ok && result.value.config.node).toBe('b');
  });

  test('names the variable that cannot be used, not its twin', () => {
    expect(problemsOf({ flags: {}, env: { NODE_NAME: 'Node_1' } })[0]).toMatch(/(?<!\w)NODE_NAME: "Node_1"/);
    expect(problemsOf({ flags: {}, env: { NFTPOLICY_NODE: 'Node_1' } })[0]).toMatch(/(?<!\w)NFTPOLICY_NODE: "Node_1"/);
  });

  test('reports all problems of all layers at once, with places', () => {
    const problems = problemsOf({
      flags: { enforce: 'sometimes', node: 'Node_1' },
      env: { NFTPOLICY_REJECT: 'maybe' },
      file: file('node: node-1\nunknownPod: drop\nlisten: nowhere\nreject: "yes"\n'),
    });
    expect(problems).toEqual([
      expect.stringMatching(/^2:1 C002 unknown option "unknownPod" \| Did you mean unknownPods\?/),
      expect.stringMatching(/^3:1 C003 listen: "nowhere" cannot be used/),
      expect.stringMatching(/^4:1 C003 reject: "yes" cannot be used \| A boolean is needed/),
      expect.stringMatching(/^C003 NFTPOLICY_REJECT: "maybe" cannot be used/),
      expect.stringMatching(/^C003 --node: "Node_1" cannot be used/),
      expect.stringMatching(/^C003 --enforce: "sometimes" cannot be used \| Choose every-packet or new-connections/),
    ]);
  });

  test('says where a file is no configuration', () => {
    expect(problemsOf({ flags: {}, env: {}, file: file('- node\n') })[0]).toMatch(/^1:1 C001 a map of options/);
    expect(problemsOf({ flags: {}, env: {}, file: file('node: [\n') })[0]).toMatch(/I002/);
    expect(problemsOf({ flags: {}, env: {}, file: '/nowhere.yaml' })[0]).toMatch(/^C001 cannot read \/nowhere.yaml/);
  });

  test('needs a node and one source only', () => {
    expect(problemsOf({ flags: {}, env: {} })).toEqual([expect.stringMatching(/^C004 the name of this node/)]);
    expect(problemsOf({ flags: { node: 'n', manifests: 'd', context: 'c' }, env: {} })).toEqual([
      expect.stringMatching(/^C005 manifests cannot be used together/),
    ]);
  });

  test.each([
    ['node: n1\n__proto__: {reject: true}\n', /^2:1 C002 unknown option "__proto__"/],
    ['node: n1\nconstructor: x\n', /^2:1 C002 unknown option "constructor"/],
    ['node: n1\nlisten: 9478\n', /^2:1 C003 listen: 9478 cannot be used \| A text is needed: quote it/],
    ['node: n1\nreject: null\n', /^2:1 C003 reject: null cannot be used \| A boolean is needed/],
    [
      'node: n1\nnodeDns: [169.254.20.10]\n',
      /^2:1 C003 nodeDns: \["169.254.20.10"\] cannot be used \| A text is needed: quote it/,
    ],
    ['node: n1\nstateDir: ""\n', /^2:1 C003 stateDir: "" cannot be used \| A path is needed/],
    ['node: 5\n', /^1:1 C003 node: 5 cannot be used \| A text is needed: quote it/],
    ['node: n1\n---\nnode: m\n', /^C001 .* holds 2 documents/],
    [
      '{"node": "n", "enforce": "EVERY-PACKET"}',
      /^1:15 C003 enforce: "EVERY-PACKET" cannot be used \| Choose every-packet or/,
    ],
    ['node: {{ .Values.node }}\n', /I002/],
    ['"node": "n"\x00', /I002/],
    ['node: n\n', /^1:1 C003 node: false cannot be used \| A text is needed: quote it/],
  ])('refuses %j with the place', (text, problem) => {
    expect(problemsOf({ flags: {}, env: {}, file: file(text) })[0]).toMatch(problem);
  });

  test('warns of a key that stands twice in the file, with the place', () => {
    const result = readConfig({ flags: {}, env: {}, file: file('node: a\nreject: true\nreject: false\n') });
    expect(result.ok && result.value.config.enforcement.reject).toBe(false);
    expect(result.ok && result.value.warnings).toEqual([
      expect.objectContaining({ code: 'I003', message: 'duplicate key "reject"' }),
    ]);
    expect(result.ok && result.value.warnings[0]?.span?.start).toEqual({ line: 3, column: 1 });
  });

  test('warns of variables it does not know, except those of a Service of its name', () => {
    const env = { NFTPOLICY_REJCT: 'true', NFTPOLICY_SERVICE_HOST: '10.0.0.1', NFTPOLICY_PORT_80_TCP: 'x' };
    const result = readConfig({ flags: { node: 'n' }, env });
    expect(result.ok && result.value.warnings.map(({ message, help }) => `${message}: ${help ?? ''}`)).toEqual([
      'unknown environment variable NFTPOLICY_REJCT: Did you mean NFTPOLICY_REJECT? It is ignored.',
    ]);
  });

  test('keeps no state for a directory of manifests unless told to', () => {
    const state = (flags: object): string | undefined => {
      const result = readConfig({ flags: { node: 'n', ...flags }, env: {} });
      return result.ok ? result.value.config.stateDir : 'refused';
    };
    expect(state({ manifests: 'd' })).toBeUndefined();
    expect(state({ manifests: 'd', stateDir: '/s' })).toBe('/s');
    expect(state({ stateDir: 'off' })).toBeUndefined();
  });
});

test.each([
  ['127.0.0.1:9478', { host: '127.0.0.1', port: 9478 }],
  ['[::1]:1', { host: '::1', port: 1 }],
  [':9478', { host: '::', port: 9478 }],
  ['localhost:0', { host: 'localhost', port: 0 }],
  ['::1:9', undefined],
  ['9478', undefined],
  ['host:99999', undefined],
])('the address %s is read as %o', (text, expected) => {
  expect(parseListen(text)).toEqual(expected);
});

test.each([
  ['auto', 'auto'],
  ['off', []],
  ['169.254.20.10', ['169.254.20.10']],
  ['169.254.20.10, FD00::A', ['169.254.20.10', 'fd00::a']],
  ['', undefined],
  ['169.254.20.10,', undefined],
  ['169.254.20.10:53', undefined],
  ['169.254.20.0/24', undefined],
])('where DNS stays reachable, %j, is read as %j', (text, expected) => {
  expect(parseNodeDns(text)).toEqual(expected);
});

test('flags and variables are spelt from the names of options', () => {
  expect(agentOptionNames.map((name) => [flagOf(name), variableOf(name)])).toContainEqual([
    '--police-node-egress',
    'NFTPOLICY_POLICE_NODE_EGRESS',
  ]);
});

test('the defaults in the help are those in force', () => {
  const told = Object.fromEntries(
    agentOptionNames.flatMap((name) => {
      const text = agentOptions[name].default;
      return text === undefined ? [] : [[name, text] as const];
    }),
  );
  const spoken = readConfig({ flags: { node: 'n', ...told }, env: {} });
  expect(spoken).toEqual(readConfig({ flags: { node: 'n' }, env: {} }));
  expect(spoken.ok).toBe(true);
});

test('the choices in the help are those of the schema', () => {
  const { properties } = configJsonSchema() as { properties: Record<string, { enum?: string[]; type?: string }> };
  expect(agentOptionNames.map((name) => agentOptions[name].choices)).toEqual(
    agentOptionNames.map((name) => properties[name]?.enum),
  );
});

describe('the published schema', () => {
  const schema = JSON.parse(readFileSync(join(import.meta.dirname, '../../schemas/config.json'), 'utf8')) as object;
  const validate = new Ajv2020({ strict: true }).compile(schema);
  const paths = ['', 'd', '/a b', 5, null];
  const values: Readonly<Record<string, readonly unknown[]>> = {
    node: ['node-1', 'a.b', '', 'A', '-a', 'a-', 'a_b', 5, null, 'a'.repeat(253), 'a'.repeat(254)],
    manifests: paths,
    kubeconfig: paths,
    context: ['', 'prod', 1],
    enforce: ['every-packet', 'new-connections', 'never', '', true],
    unknownPods: ['drop', 'accept', 'reject', null],
    reject: [true, false, 'true', 1, null],
    policeNodeEgress: [true, 'false'],
    nodeDns: ['auto', 'off', '', '169.254.20.10', '169.254.20.10,fd00::a', '169.254.20.10, fd00::a', '10.0.0.0/8', []],
    recordDenied: [false, 'no'],
    listen: [
      'off',
      ':9478',
      '127.0.0.1:9478',
      '[::1]:0',
      'localhost:65535',
      '',
      'on',
      '9478',
      '::1:9',
      'h:65536',
    ].concat(['h:99999', 'h:', '[]:1', 'h:-1', 'h: 1']),
    stateDir: [...paths, 'off'],
    readyFile: paths,
    cniConfDir: paths,
    cniCacheDir: paths,
    netnsDir: paths,
    logLevel: ['debug', 'info', 'warn', 'error', 'trace', ''],
    unknown: [1],
  };

  test.each([...agentOptionNames, 'unknown'])('agrees with the agent about %s', (name) => {
    const accepted = (values[name] ?? []).map((value) => [
      value,
      configFileSchema.safeParse({ [name]: value }).success,
    ]);
    expect(accepted.length).toBeGreaterThan(0);
    expect((values[name] ?? []).map((value) => [value, validate({ [name]: value })])).toEqual(accepted);
  });

  test('leaves to the agent only whether an address is one', () => {
    expect(validate({ nodeDns: '1.2.3' })).toBe(true);
    expect(configFileSchema.safeParse({ nodeDns: '1.2.3' }).success).toBe(false);
  });
});

test('schemas/config.json is what the schema in the source gives', async () => {
  const path = join(import.meta.dirname, '../../schemas/config.json');
  const text = await format(JSON.stringify(configJsonSchema()), { parser: 'json', printWidth: 120 });
  if (process.env['UPDATE_GOLDENS'] !== undefined) writeFileSync(path, text);
  expect(readFileSync(path, 'utf8')).toBe(text);
});
