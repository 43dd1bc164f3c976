import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';

import { denyAllObject, namespaceObject, podObject } from '../api-server/objects-for-tests.ts';
import { whyNoRealServer } from '../api-server/real-server.ts';
import type { Json } from '../api-server/truth.ts';
import { compareSample, docCommands, docSample } from '../support/doc-samples.ts';
import { runPolicy } from '../support/run-policy.ts';
import type { CommandResult } from '../support/run-policy.ts';
import { AskedRealServer, AskedTestServer } from './support/asked-server.ts';
import type { AskedServer } from './support/asked-server.ts';

const schema = JSON.parse(readFileSync(join(import.meta.dirname, '../../schemas/explanation.json'), 'utf8')) as object;
const validate = new Ajv2020({ strict: true, allowUnionTypes: true, strictRequired: false }).compile(schema);

const egress = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'web-egress', namespace: 'shop' },
  spec: {
    podSelector: { matchLabels: { app: 'web' } },
    policyTypes: ['Egress'],
    egress: [
      { to: [{ podSelector: { matchLabels: { app: 'cache' } } }] },
      { to: [{ podSelector: { matchLabels: { app: 'api' } } }], ports: [{ protocol: 'TCP', port: 8080 }] },
    ],
  },
} as const;

/** Two namespaces, three pods, and the policy of one. */
const shop: readonly Json[] = [
  namespaceObject('shop'),
  namespaceObject('payments'),
  podObject({ name: 'web-1', namespace: 'shop', labels: { app: 'web' }, ip: '10.244.1.10', node: 'node-a' }),
  podObject({ name: 'api-1', namespace: 'shop', labels: { app: 'api' }, ip: '10.244.2.11', node: 'node-b' }),
  podObject({
    name: 'gateway-0',
    namespace: 'payments',
    labels: { app: 'gateway' },
    ip: '10.244.2.12',
    node: 'node-b',
  }),
  egress,
];

/** A Deployment with a pod and one without, a StatefulSet, a Job, and Services with and without a selector. */
async function workloads(apply: (object: Json) => Promise<string>): Promise<readonly Json[]> {
  const labelled = (kind: string, apiVersion: string, name: string, labels: Json, more: Json = {}): Json => ({
    apiVersion,
    kind,
    metadata: { name, namespace: 'shop', ...(more['metadata'] as Json | undefined) },
    spec: {
      ...(kind !== 'Job' && { selector: { matchLabels: labels } }),
      template: {
        metadata: { labels },
        spec: { ...(kind === 'Job' && { restartPolicy: 'Never' }), containers: [{ name: 'main', image: 'image' }] },
      },
      ...(more['spec'] as Json | undefined),
    },
  });
  const ownedBy = (apiVersion: string, kind: string, name: string, uid: string): Json => ({
    ownerReferences: [{ apiVersion, kind, name, uid, controller: true }],
  });
  const pod = (name: string, labels: Json, ip: string, owner: Json): Json => {
    const object = podObject({ name, namespace: 'shop', labels, ip, node: 'node-a' });
    return { ...object, metadata: { ...(object['metadata'] as Json), ...owner } };
  };
  const service = (name: string, spec: Json): Json => ({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'shop' },
    spec: { ports: [{ port: 80, targetPort: 8080 }], ...spec },
  });
  const slice = (name: string, endpoint: Json): Json => ({
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${name}-1`, namespace: 'shop', labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [{ name: '', port: 8080, protocol: 'TCP' }],
    endpoints: [endpoint],
  });
  const replicas = { app: 'front', 'pod-template-hash': '5d9c7' };
  const front = await apply(labelled('Deployment', 'apps/v1', 'front', { app: 'front' }));
  const set = await apply(
    labelled('ReplicaSet', 'apps/v1', 'front-5d9c7', replicas, {
      metadata: ownedBy('apps/v1', 'Deployment', 'front', front),
    }),
  );
  const db = await apply(labelled('StatefulSet', 'apps/v1', 'db', { app: 'db' }, { spec: { serviceName: 'db' } }));
  return [
    {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'node-a' },
      status: { addresses: [{ type: 'InternalIP', address: '192.0.2.1' }] },
    },
    pod('front-5d9c7-abcde', replicas, '10.244.1.20', ownedBy('apps/v1', 'ReplicaSet', 'front-5d9c7', set)),
    pod('db-0', { app: 'db' }, '10.244.1.11', ownedBy('apps/v1', 'StatefulSet', 'db', db)),
    labelled('Deployment', 'apps/v1', 'idle', { app: 'idle' }),
    labelled('Job', 'batch/v1', 'migrate', { app: 'migrate' }),
    service('db', { selector: { app: 'db' }, ports: [{ port: 80, targetPort: 'http' }] }),
    slice('db', {
      addresses: ['10.244.1.11'],
      conditions: { ready: true },
      targetRef: { kind: 'Pod', namespace: 'shop', name: 'db-0' },
    }),
    service('elsewhere', {}),
    slice('elsewhere', { addresses: ['10.244.2.12'] }),
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'front-egress', namespace: 'shop' },
      spec: { podSelector: { matchLabels: { app: 'front' } }, policyTypes: ['Egress'], egress: [{}] },
    },
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'db', namespace: 'shop' },
      spec: {
        podSelector: { matchLabels: { app: 'db' } },
        ingress: [{ from: [{ podSelector: { matchLabels: { app: 'front' } } }], ports: [{ port: 'http' }] }],
      },
    },
    denyAllObject('closed', 'payments'),
  ];
}

const assets = process.env['KUBEBUILDER_ASSETS'];
const noRealServer = whyNoRealServer(assets);

describe('policy explain on the API server made for tests', () =>
  describeExplain(() => Promise.resolve(new AskedTestServer())));

describe.skipIf(noRealServer !== undefined)(
  `policy explain on a real kube-apiserver${noRealServer === undefined ? '' : ` (skipped: ${noRealServer})`}`,
  () => describeExplain(() => AskedRealServer.start(assets ?? '')),
);

function describeExplain(start: () => Promise<AskedServer>): void {
  let directory: string;
  let kubeconfig: string;
  let server: AskedServer;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'explain-live-'));
    kubeconfig = join(directory, 'kubeconfig');
    server = await start();
  });
  afterAll(async () => {
    rmSync(directory, { recursive: true });
    await server?.stop();
  });
  beforeEach(async () => {
    await server.reset();
    writeFileSync(kubeconfig, server.kubeconfig());
    await server.apply(...shop);
  });
  const ask = async (...args: string[]): Promise<CommandResult> =>
    await runPolicy(['explain', '--kubeconfig', kubeconfig, ...args], { cwd: directory });
  const namespaces = (): number => 2 + server.ownNamespaces;

  test('names fields of the rendered objects where there is no file', async () => {
    const { code, stdout } = await ask('-n', 'shop', 'web-1', 'api-1:8080');
    expect(code).toBe(0);
    expect(stdout).toContain('admitted by shop/web-egress, rule 2');
    expect(stdout).toContain('--> shop/web-egress#spec.egress[1].to[0].podSelector.matchLabels.app\n');
    expect(stdout).toMatch(/\d+ \| +port: 8080/);
    expect(stdout).toContain(
      `judged 1 policy, 2 pods, 0 services, ${namespaces()} namespaces, 0 nodes from ${server.url}\n`,
    );
  });

  /** What the command of a page prints here. */
  const askSample = async (name: string): Promise<string> => {
    const [command] = docCommands(docSample(name));
    const { stdout, stderr } = await runPolicy(command?.args ?? [], {
      cwd: directory,
      env: { KUBECONFIG: kubeconfig },
    });
    expect(stderr).toBe('');
    return stdout;
  };

  test('prints what the guide shows', async ({ skip }) => {
    skip(server.ownNamespaces > 0, 'a real server has namespaces and an order of fields of its own');
    const fields = compareSample('live-fields', await askSample('live-fields'));
    expect(fields.found).toBe(fields.shown);
    await server.forbid('list networkpolicies');
    const missing = compareSample('live-missing', await askSample('live-missing'));
    expect(missing.found).toBe(missing.shown);
  });

  test('says the same in JSON that fits its schema', async () => {
    for (const verb of ['none', 'list pods', 'list networkpolicies']) {
      await server.forbid(verb);
      const { stdout } = await ask('-o', 'json', '-n', 'shop', 'web-1', 'api-1:8080');
      const value = JSON.parse(stdout) as { verdict: string };
      expect(validate(value), JSON.stringify(validate.errors)).toBe(true);
      expect(value.verdict).toBe(verb === 'none' ? 'ALLOWED' : 'UNKNOWN');
    }
  });

  test('reads only what the question needs', async () => {
    await ask('-n', 'shop', 'web-1', 'payments/gateway-0:8080');
    await expect
      .poll(() => server.asked())
      .toEqual([
        'list namespaces',
        'list networkpolicies',
        'list networkpolicies',
        'list nodes',
        'list pods',
        'list pods',
      ]);
  });

  test('finds the pod behind an address, and its policies', async () => {
    const { code, stdout } = await ask('10.244.1.10', '10.244.2.12:8080');
    expect(stdout).toMatch(/^DENIED\[E011\] {2}shop\/web-1 -> payments\/gateway-0/);
    expect(code).toBe(1);
  });

  describe('with an address', () => {
    const node = (name: string, ...addresses: readonly string[]): Json => ({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name },
      status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) },
    });
    beforeEach(async () => {
      await server.apply(node('node-a', '192.168.0.1', 'fd00::1'), {
        ...podObject({ name: 'gateway-0', namespace: 'payments', labels: { app: 'gateway' }, node: 'node-b' }),
        status: { phase: 'Running', podIP: '10.244.2.12', podIPs: [{ ip: '10.244.2.12' }, { ip: 'fd00:244:2::12' }] },
      });
    });

    test('asks for its owner, and then for the namespace of that', async () => {
      const { stdout } = await ask('10.244.1.10', '10.244.2.12:8080');
      expect(stdout).toMatch(/^DENIED\[E011\] {2}shop\/web-1 -> payments\/gateway-0/);
      await expect
        .poll(() => server.podLists())
        .toEqual(['* status.podIP=10.244.1.10', '* status.podIP=10.244.2.12', 'payments all', 'shop all']);
    });

    test('knows a stranger, and a pod besides, from as little', async () => {
      const { stdout } = await ask('shop/web-1', '203.0.113.9:443');
      expect(stdout).toContain('ingress to 203.0.113.9: not policed');
      await expect.poll(() => server.podLists()).toEqual(['* status.podIP=203.0.113.9', 'shop all']);
    });

    test('of the other family reads all pods: their second addresses cannot be selected', async () => {
      const { stdout } = await ask('fd00:99::1', '[fd00:244:2::12]:8080');
      expect(stdout).toContain('fd00:99::1 -> payments/gateway-0');
      await expect.poll(() => server.podLists()).toContain('* all');
    });

    test('reads all pods where nodes differ', async () => {
      await server.apply(node('node-b', 'fd00::2', '192.168.0.2'));
      await ask('shop/web-1', '10.244.2.12:8080');
      await expect.poll(() => server.podLists()).toContain('* all');
    });

    test('reads all pods where nodes cannot be read', async () => {
      await server.forbid('list nodes');
      await ask('shop/web-1', '10.244.2.12:8080');
      await expect.poll(() => server.podLists()).toContain('* all');
    });
  });

  test('takes the namespace of the context where none is given', async () => {
    const withNamespace = JSON.parse(server.kubeconfig()) as { contexts: { context: { namespace?: string } }[] };
    for (const entry of withNamespace.contexts) entry.context.namespace = 'shop';
    writeFileSync(kubeconfig, JSON.stringify(withNamespace));
    expect((await ask('web-1', 'api-1:8080')).code).toBe(0);
  });

  test('is undecided without the right to read policies, and says which right that is', async () => {
    await server.forbid('list networkpolicies');
    const { code, stdout } = await ask('-n', 'shop', 'web-1', 'api-1:8080');
    expect(code).toBe(3);
    expect(stdout).toMatch(/^UNKNOWN\[E090\]/);
    expect(stdout).toContain('namespace shop: policies');
    expect(stdout).toContain('allow "list" on networkpolicies.networking.k8s.io (Role)');
    expect(stdout).not.toContain('UNPROTECTED');
  });

  test('is undecided without the right to read pods', async () => {
    await server.forbid('list pods');
    const { code, stdout } = await ask('-n', 'shop', 'web-1', 'api-1:8080');
    expect(code).toBe(3);
    expect(stdout).toContain('pod shop/web-1: labels');
    expect(stdout).toContain('allow "list" on pods (Role)');
  });

  test('does not take an address for a stranger while nodes cannot be read', async () => {
    await server.forbid('list nodes');
    const { code, stdout } = await ask('192.0.2.7', 'shop/api-1:8080');
    expect(code).toBe(3);
    expect(stdout).toContain('allow "list" on nodes (ClusterRole)');
    expect((await ask('shop/web-1', 'shop/api-1:8080')).code).toBe(0);
  });

  test('reads namespaces one by one where they may not be listed', async () => {
    await server.forbid('list namespaces');
    expect((await ask('-n', 'shop', 'web-1', 'api-1:8080')).code).toBe(0);
    await expect.poll(() => server.asked()).toContain('get namespaces');
  });

  test('shows the file and line of a manifest that says the same', async () => {
    mkdirSync(join(directory, 'deploy'), { recursive: true });
    writeFileSync(join(directory, 'deploy/web.yaml'), `# the shop\n${stringify(egress)}`);
    const args = ['--source-dir', 'deploy', '-n', 'shop', 'web-1', 'api-1:8080'];
    const same = await ask(...args);
    expect(same.stdout).toMatch(/--> deploy\/web\.yaml:\d+:\d+/);
    expect(same.stderr).toBe('');
    writeFileSync(join(directory, 'deploy/web.yaml'), stringify(egress).replace('8080', '8081'));
    const other = await ask(...args);
    expect(other.stderr).toContain('NetworkPolicy shop/web-egress in the cluster differs from deploy/web.yaml');
    expect(other.stdout).toContain('--> shop/web-egress#spec.egress[1]');
    const sample = compareSample('source-differs', other.stderr + other.stdout);
    expect(sample.found).toBe(sample.shown);
  });

  test('follows the source annotation, but never out of the directory', async () => {
    const annotated = (path: string): Json => ({
      ...egress,
      metadata: { ...egress.metadata, annotations: { 'nftpolicy.dev/source': path } },
    });
    mkdirSync(join(directory, 'policies'), { recursive: true });
    writeFileSync(join(directory, 'policies/web.yaml'), stringify(egress));
    await server.apply(annotated('policies/web.yaml:1'));
    const { stdout } = await ask('-n', 'shop', 'web-1', 'api-1:8080');
    expect(stdout).toMatch(/--> policies\/web\.yaml:\d+:\d+/);
    for (const path of ['../policies/web.yaml', join(directory, 'policies/web.yaml')]) {
      await server.apply(annotated(path));
      expect((await ask('-n', 'shop', 'web-1', 'api-1:8080')).stdout).toContain('--> shop/web-egress#');
    }
  });

  test('judges files over the cluster when both are given', async () => {
    const closed = { ...egress, spec: { podSelector: {}, policyTypes: ['Egress'] } };
    writeFileSync(join(directory, 'closed.yaml'), stringify(closed));
    const args = ['-f', 'closed.yaml', '-n', 'shop', 'web-1', 'api-1:8080'];
    const [context = ''] = (JSON.parse(server.kubeconfig()) as { contexts: { name: string }[] }).contexts.map(
      ({ name }) => name,
    );
    const both = await ask('--context', context, ...args);
    expect(both.code).toBe(1);
    expect(both.stdout).toContain(
      `1 policy, 2 pods, 0 services, ${namespaces()} namespaces, 0 nodes from closed.yaml, ${server.url}\n`,
    );
    expect((await ask(...args)).stdout).toContain('0 pods, 0 services, 0 namespaces, 0 nodes from closed.yaml\n');
  });

  test('goes on to the last page', async () => {
    const others = Array.from({ length: 700 }, (_, index) => {
      const { status: _status, ...pod } = podObject({ name: `other-${index}`, namespace: 'shop', labels: {} });
      return pod;
    });
    await server.apply(...others);
    const { stdout } = await ask('-n', 'shop', 'web-1', 'api-1:8080');
    expect(stdout).toContain('702 pods');
  });

  describe('with workloads and Services', () => {
    beforeEach(async () => {
      for (const object of await workloads((owner) => server.apply(owner))) await server.apply(object);
    });

    test.each([
      [
        'deploy/front',
        'svc/db:80',
        0,
        /ALLOWED {2}deployment shop\/front -> service shop\/db:80 -> shop\/db-0 {2}TCP 8080/,
      ],
      ['rs/front-5d9c7', 'db-0:http', 0, /ALLOWED {2}replicaset shop\/front-5d9c7 -> shop\/db-0 {2}TCP 8080/],
      ['deploy/idle', 'sts/db:8080', 1, /DENIED\[E012\] {2}deployment shop\/idle -> statefulset shop\/db/],
      ['job/migrate', 'sts/db:8080', 1, /DENIED\[E012\] {2}job shop\/migrate -> statefulset shop\/db/],
      ['node/node-a', 'db-0:8080', 0, /own node is exempt/],
      ['10.0.0.0/8', 'db-0:8080', 1, /DENIED\[E014,E021,E011,E012\] on 4 of 6 sources/],
    ])('%s to %s exits %i', async (from, to, code, said) => {
      const result = await ask('-n', 'shop', from, to);
      expect(result.stdout + result.stderr).toMatch(said);
      expect(result.code).toBe(code);
    });

    test('EndpointSlices lead to pods of other namespaces, and their policies are read', async () => {
      const { code, stdout } = await ask('-n', 'shop', 'deploy/front', 'svc/elsewhere:80');
      expect(stdout).toContain('service shop/elsewhere:80 -> payments/gateway-0');
      expect(stdout).toContain('ingress to gateway-0: isolated, admitted by none of 1 policy');
      expect(code).toBe(1);
    });

    test.each([
      ['shop/api-1', 'node/node-a:30080'],
      ['shop/api-1', '192.0.2.1:30080'],
      ['192.0.2.99', '192.0.2.1:30080'],
    ])("the port of a node leads from %s to another namespace's pod, by its policies", async (from, to) => {
      const gateway = { selector: { app: 'gateway' }, type: 'NodePort' };
      await server.apply({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'gateway', namespace: 'payments' },
        spec: { ...gateway, ports: [{ port: 80, targetPort: 8080, nodePort: 30_080 }] },
      });
      const { code, stdout } = await ask(from, to);
      expect(stdout).toContain('ingress to gateway-0: isolated, admitted by none of 1 policy');
      expect(code).toBe(1);
    });

    test('Services that are not asked do not make it read the whole cluster', async () => {
      await ask('-n', 'shop', 'deploy/front', 'svc/db:80');
      await expect.poll(() => server.asked()).toContain('list endpointslices');
      expect(server.asked().filter((what) => what === 'list pods')).toHaveLength(2);
    });

    test.each([
      ['list services', 'deploy/front', 'node/node-a:30080', 'node/node-a: ports', '"list" on services (ClusterRole)'],
      ['list services', 'deploy/front', 'svc/db:80', 'service shop/db: existence', '"list" on services (Role)'],
      [
        'list services',
        'deploy/front',
        '192.0.2.80:443',
        'address 192.0.2.80: owner',
        '"list" on services (ClusterRole)',
      ],
      ['list pods', 'deploy/front', 'svc/db:80', 'address 10.244.1.11: owner', '"list" on pods (Role)'],
      ['list nodes', 'node/node-a', 'db-0:8080', 'node/node-a: existence', '"list" on nodes (ClusterRole)'],
      [
        'get deployments',
        'deploy/idle',
        'sts/db:8080',
        'deployment shop/idle: existence',
        '"get" on deployments.apps (Role)',
      ],
      [
        'list endpointslices',
        'deploy/front',
        'svc/elsewhere:80',
        'UNKNOWN[E061]',
        '"list" on endpointslices.discovery.k8s.io (Role)',
      ],
    ])('without the right to %s, whether %s reaches %s is unknown', async (right, from, to, missing, help) => {
      await server.forbid(right);
      const { code, stdout } = await ask('-n', 'shop', from, to);
      expect(stdout).toMatch(/^UNKNOWN\[E0/);
      expect(stdout).toContain(missing);
      expect(stdout).toContain(help);
      expect(code).toBe(3);
      const json = JSON.parse((await ask('-o', 'json', '-n', 'shop', from, to)).stdout) as object;
      expect(validate(json), JSON.stringify(validate.errors)).toBe(true);
    });

    test('what is not needed may be forbidden', async () => {
      await server.forbid('list nodes', 'get deployments', 'list endpointslices', 'list namespaces', 'get namespaces');
      expect((await ask('-n', 'shop', 'deploy/front', 'svc/db:80')).code).toBe(0);
    });
  });

  test('speaks as every kind of user a kubeconfig can name', async () => {
    const { cert, key } = server.certificate('asker');
    const script = join(directory, 'plugin');
    const credential = { apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential' };
    const answer = JSON.stringify({ ...credential, status: { token: server.token } });
    writeFileSync(script, `#!/bin/sh\ntest -n "$KUBERNETES_EXEC_INFO" && echo '${answer}'\n`, { mode: 0o700 });
    writeFileSync(join(directory, 'token'), server.token);
    const base64 = (text: string): string => Buffer.from(text).toString('base64');
    for (const user of [
      { token: server.token },
      { tokenFile: 'token' },
      { 'client-certificate-data': base64(cert), 'client-key-data': base64(key) },
      { exec: { apiVersion: credential.apiVersion, command: './plugin', interactiveMode: 'Never' } },
    ]) {
      writeFileSync(kubeconfig, server.kubeconfig(user));
      const { code, stderr } = await ask('-n', 'shop', 'web-1', 'api-1:8080');
      expect(stderr, JSON.stringify(Object.keys(user))).toBe('');
      expect(code).toBe(0);
    }
    writeFileSync(kubeconfig, server.kubeconfig({ token: 'nobody' }));
    const { code, stderr } = await ask('-n', 'shop', 'web-1', 'api-1:8080');
    expect(stderr).toContain(`${server.url} does not know these credentials`);
    expect(code).toBe(2);
  });

  test('takes cluster and user from the flags, and contexts from several files, as kubectl does', async () => {
    const config = JSON.parse(server.kubeconfig()) as Readonly<Record<string, readonly Json[]>>;
    const rename = (list: readonly Json[] | undefined, name: string): readonly Json[] =>
      (list ?? []).map((item) => ({ ...item, name }));
    const part = (content: Json): string => JSON.stringify({ apiVersion: 'v1', kind: 'Config', ...content });
    writeFileSync(join(directory, 'users'), part({ users: rename(config['users'], 'reader') }));
    writeFileSync(join(directory, 'clusters'), part({ clusters: rename(config['clusters'], 'prod') }));
    const context = { cluster: 'prod', user: 'reader', namespace: 'shop' };
    writeFileSync(join(directory, 'contexts'), part({ contexts: [{ name: 'work', context }] }));
    const files = ['users', 'clusters', 'contexts', 'absent'].map((file) => join(directory, file)).join(':');
    const env = { KUBECONFIG: files };
    const run = async (...args: string[]): Promise<number> =>
      (await runPolicy(['explain', ...args, 'web-1', 'api-1:8080'], { cwd: directory, env })).code;
    expect(await run('--context', 'work')).toBe(0);
    expect(await run('--cluster', 'prod', '--user', 'reader', '-n', 'shop')).toBe(0);
    expect(await run('--cluster', 'prod', '--user', 'nobody', '-n', 'shop')).toBe(2);
  });

  test('asks as somebody else, if the server lets it', async ({ skip }) => {
    skip(server.superToken === undefined, 'the server made for tests lets everybody');
    const args = ['-n', 'shop', 'web-1', 'api-1:8080'];
    const refused = await ask('--as', 'jane', ...args);
    expect(refused.stderr).toContain('cannot impersonate');
    expect(refused.code).toBe(2);
    writeFileSync(kubeconfig, server.kubeconfig({ token: server.superToken }));
    expect((await ask('--as', 'asker', ...args)).code).toBe(0);
    expect((await ask('--as', 'jane', '--as-group', 'system:masters', ...args)).code).toBe(0);
    const jane = await ask('--as', 'jane', ...args);
    expect(jane.stdout).toContain('allow "list" on pods (Role)');
    expect(jane.code).toBe(3);
  });

  test('names the end that does not exist in the cluster', async () => {
    const { code, stderr } = await ask('-n', 'shop', 'web-1', 'apu-1:8080');
    expect(code).toBe(2);
    expect(stderr).toContain('there is no pod shop/apu-1 in the cluster; did you mean shop/api-1?');
    const nobody = await ask('shop/web-1', 'nowhere/ghost:8080');
    expect(nobody.code).toBe(2);
    expect(nobody.stderr).toContain('there is no pod nowhere/ghost in the cluster; its namespace has no pods');
  });

  test('says what is wrong with the way to the cluster', async () => {
    const refused = await ask('--context', 'nowhere', 'shop/web-1', 'shop/api-1:8080');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('there is no context "nowhere"');
    writeFileSync(kubeconfig, server.kubeconfig().replace(server.url, 'https://127.0.0.1:1'));
    const gone = await ask('-n', 'shop', 'web-1', 'api-1:8080');
    expect(gone.code).toBe(2);
    expect(gone.stderr).toMatch(/cannot ask https:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/);
    const none = await runPolicy(['explain', 'shop/web-1', 'shop/api-1:8080'], { cwd: directory });
    expect(none.code).toBe(2);
    expect(none.stderr).toContain('no manifests: give files or directories with -f, or a cluster with --kubeconfig');
  });
}

describe('policy explain on a server with faults and containers', () => {
  let directory: string;
  const asked = new AskedTestServer();

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'explain-live-'));
    await asked.reset();
    writeFileSync(join(directory, 'kubeconfig'), asked.kubeconfig());
    await asked.apply(...shop);
  });
  afterEach(() => rmSync(directory, { recursive: true }));
  afterAll(() => asked.stop());

  const ask = async (...args: string[]): Promise<CommandResult> =>
    await runPolicy(['explain', '--kubeconfig', join(directory, 'kubeconfig'), ...args], { cwd: directory });

  test('asks again while the server is busy, and starts a list anew that has expired', async () => {
    const pods = Array.from({ length: 600 }, (_, index) =>
      podObject({ name: `other-${index}`, ip: `10.245.${index >> 8}.${index & 255}` }),
    );
    await asked.apply(...pods);
    const refuse = (code: number, reason: string, facts: object): void =>
      asked.server.faults.add({ plural: 'pods', ...facts }, { kind: 'status', code, reason });
    refuse(429, 'TooManyRequests', {});
    refuse(410, 'Expired', { continued: true });
    const { code, stdout } = await ask('-n', 'shop', 'web-1', 'api-1:8080');
    expect(code).toBe(0);
    expect(stdout).toContain('602 pods');
    expect(asked.server.faults.pending).toBe(0);
  });

  test('does not wait for a silent server longer than it is told', async () => {
    asked.server.faults.add({ plural: 'pods' }, { kind: 'stall', after: 0 });
    const { code, stderr } = await ask('--request-timeout', '300ms', '-n', 'shop', 'web-1', 'api-1:8080');
    expect(code).toBe(2);
    expect(stderr).toContain('did not answer in time (--request-timeout)');
  });

  describe('with the kernels of its nodes', () => {
    const insist = (...args: string[]): Promise<CommandResult> =>
      ask('--installed', 'require', '--node', 'node-b', ...args, '-n', 'shop', 'web-1', 'api-1:8080');
    const agentPod = (name: string, changes: Json = {}): Json => ({
      ...podObject({
        name,
        namespace: 'kube-system',
        labels: { 'app.kubernetes.io/name': 'nftpolicy' },
        node: 'node-b',
      }),
      ...changes,
    });
    const answer = (stdout: string, exitCode = 0, stderr = ''): void => {
      asked.server.exec = () => Promise.resolve({ exitCode, stdout, stderr });
    };
    const report = (...tables: readonly object[]): string =>
      JSON.stringify({
        schema: 'nftpolicy.dev/installed/v1',
        version: '0.1.0',
        tables,
        agent: { problem: 'no agent' },
      });
    beforeEach(() => void asked.server.truth.create('pods', agentPod('agent-1')));

    test('takes a kernel without tables for what it is', async () => {
      answer(report());
      const { code, stdout } = await insist();
      expect(stdout).toContain('installed: node-b has no table nftpolicy; nothing is enforced there [E071]');
      expect(code).toBe(0);
    });

    test.each([
      ['an older agent', '', 2, "error: unknown command 'installed'\n", 'is older than this one'],
      [
        'a failure there',
        '',
        1,
        'policy: nft cannot be started\n',
        'pod kube-system/agent-1 on node-b: policy: nft cannot',
      ],
      ['another answer', 'hello', 0, '', 'its nftpolicy is another version'],
      ['a newer answer', '{"schema":"nftpolicy.dev/installed/v2"}', 0, '', 'its nftpolicy is another version'],
      [
        'tables nobody can read',
        report({ nftables: [{ table: 1 }] }),
        0,
        '',
        'cannot read the rules of pod kube-system/',
      ],
    ])('says what is wrong with %s', async (_name, stdout, exitCode, stderr, says) => {
      answer(stdout, exitCode, stderr);
      const result = await insist();
      expect(result.stderr).toContain(says);
      expect({ code: result.code, stdout: result.stdout }).toEqual({ code: 2, stdout: '' });
    });

    test('does not wait longer than it is told', async () => {
      asked.server.exec = () => new Promise(() => undefined);
      const { code, stderr } = await insist('--request-timeout', '300ms');
      expect(stderr).toContain('it did not answer in time (--request-timeout)');
      expect(code).toBe(2);
    });

    test('asks a pod that runs, the newest first, and none that ends', async () => {
      const ran: string[] = [];
      asked.server.exec = ({ pod }) => {
        ran.push(pod.metadata.name);
        return Promise.resolve({ exitCode: 0, stdout: report(), stderr: '' });
      };
      const meta = (name: string, more: Json): Json => ({
        metadata: { ...(agentPod(name)['metadata'] as Json), ...more },
      });
      asked.server.truth.create(
        'pods',
        agentPod('agent-2', meta('agent-2', { creationTimestamp: '2099-01-01T00:00:00Z' })),
      );
      const ending = { creationTimestamp: '2099-02-01T00:00:00Z', deletionTimestamp: '2099-02-01T00:00:00Z' };
      asked.server.truth.create('pods', agentPod('agent-3', meta('agent-3', ending)));
      asked.server.truth.create('pods', agentPod('agent-4', { status: { phase: 'Pending' } }));
      await insist();
      expect(ran).toEqual(['agent-2']);
    });
  });
});
