import { mkdtempSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';

import { namespaceObject, podObject } from '../api-server/objects-for-tests.ts';
import { TestApiServer } from '../api-server/server.ts';
import type { Json, Plural } from '../api-server/truth.ts';
import { compareSample, docCommands, docSample } from '../support/doc-samples.ts';
import { runPolicy } from '../support/run-policy.ts';
import type { CommandResult } from '../support/run-policy.ts';

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

describe('policy explain on a cluster', () => {
  let directory: string;
  let kubeconfig: string;
  let server: TestApiServer;

  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'explain-live-'));
    kubeconfig = join(directory, 'kubeconfig');
  });
  afterAll(() => rmSync(directory, { recursive: true }));
  beforeEach(async () => {
    await server?.stop();
    server = new TestApiServer();
    await server.start();
    writeFileSync(kubeconfig, server.kubeconfig());
    const create = (plural: Plural, ...objects: readonly Json[]): void => {
      for (const object of objects) server.truth.create(plural, object);
    };
    create('namespaces', namespaceObject('shop'), namespaceObject('payments'));
    create(
      'pods',
      podObject({ name: 'web-1', namespace: 'shop', labels: { app: 'web' }, ip: '10.244.1.10', node: 'node-a' }),
      podObject({ name: 'api-1', namespace: 'shop', labels: { app: 'api' }, ip: '10.244.2.11', node: 'node-b' }),
      podObject({
        name: 'gateway-0',
        namespace: 'payments',
        labels: { app: 'gateway' },
        ip: '10.244.2.12',
        node: 'node-b',
      }),
    );
    create('networkpolicies', egress);
  });
  afterAll(async () => {
    await server?.stop();
  });

  const ask = async (...args: string[]): Promise<CommandResult> =>
    await runPolicy(['explain', '--kubeconfig', kubeconfig, ...args], { cwd: directory });
  const lists = (): readonly string[] => server.requests.map(({ verb, plural }) => `${verb} ${plural}`);

  test('names fields of the rendered objects where there is no file', async () => {
    const { code, stdout } = await ask('-n', 'shop', 'web-1', 'api-1:8080');
    expect(code).toBe(0);
    expect(stdout).toContain('admitted by shop/web-egress, rule 2');
    expect(stdout).toContain('--> shop/web-egress#spec.egress[1].to[0].podSelector.matchLabels.app\n');
    expect(stdout).toMatch(/\d+ \| +port: 8080/);
    expect(stdout).toContain(`judged 1 policy, 2 pods, 0 services, 2 namespaces, 0 nodes from ${server.url}\n`);
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

  test('prints what the guide shows', async () => {
    const fields = compareSample('live-fields', await askSample('live-fields'));
    expect(fields.found).toBe(fields.shown);
    server.forbidden.add('list networkpolicies');
    const missing = compareSample('live-missing', await askSample('live-missing'));
    expect(missing.found).toBe(missing.shown);
  });

  test('says the same in JSON that fits its schema', async () => {
    for (const verb of ['none', 'list pods', 'list networkpolicies']) {
      server.forbidden.clear();
      server.forbidden.add(verb);
      const { stdout } = await ask('-o', 'json', '-n', 'shop', 'web-1', 'api-1:8080');
      const value = JSON.parse(stdout) as { verdict: string };
      expect(validate(value), JSON.stringify(validate.errors)).toBe(true);
      expect(value.verdict).toBe(verb === 'none' ? 'ALLOWED' : 'UNKNOWN');
    }
  });

  test('reads only what the question needs', async () => {
    await ask('-n', 'shop', 'web-1', 'payments/gateway-0:8080');
    expect([...lists()].sort()).toEqual([
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
    /** How pods were listed: `NAMESPACE or * SELECTOR`. */
    const podLists = (): readonly string[] =>
      server.requests
        .filter(({ verb, plural }) => verb === 'list' && plural === 'pods')
        .map(({ namespace, query }) => [namespace ?? '*', query.get('fieldSelector') ?? 'all'].join(' '))
        .sort();
    beforeEach(() => {
      server.truth.create('nodes', node('node-a', '192.168.0.1', 'fd00::1'));
      server.truth.update('pods', {
        ...podObject({ name: 'gateway-0', namespace: 'payments', labels: { app: 'gateway' }, node: 'node-b' }),
        status: { phase: 'Running', podIP: '10.244.2.12', podIPs: [{ ip: '10.244.2.12' }, { ip: 'fd00:244:2::12' }] },
      });
    });

    test('asks for its owner, and then for the namespace of that', async () => {
      const { stdout } = await ask('10.244.1.10', '10.244.2.12:8080');
      expect(stdout).toMatch(/^DENIED\[E011\] {2}shop\/web-1 -> payments\/gateway-0/);
      expect(podLists()).toEqual([
        '* status.podIP=10.244.1.10',
        '* status.podIP=10.244.2.12',
        'payments all',
        'shop all',
      ]);
    });

    test('knows a stranger, and a pod besides, from as little', async () => {
      const { stdout } = await ask('shop/web-1', '203.0.113.9:443');
      expect(stdout).toContain('ingress to 203.0.113.9: not policed');
      expect(podLists()).toEqual(['* status.podIP=203.0.113.9', 'shop all']);
    });

    test('of the other family reads all pods: their second addresses cannot be selected', async () => {
      const { stdout } = await ask('fd00:99::1', '[fd00:244:2::12]:8080');
      expect(stdout).toContain('fd00:99::1 -> payments/gateway-0');
      expect(podLists()).toContain('* all');
    });

    test('reads all pods where nodes differ, or cannot be read', async () => {
      server.truth.create('nodes', node('node-b', 'fd00::2', '192.168.0.2'));
      await ask('shop/web-1', '10.244.2.12:8080');
      expect(podLists()).toContain('* all');
      server.requests.length = 0;
      server.forbidden.add('list nodes');
      await ask('shop/web-1', '10.244.2.12:8080');
      expect(podLists()).toContain('* all');
    });
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
      server.exec = () => Promise.resolve({ exitCode, stdout, stderr });
    };
    const report = (...tables: readonly object[]): string =>
      JSON.stringify({
        schema: 'nftpolicy.dev/installed/v1',
        version: '0.1.0',
        tables,
        agent: { problem: 'no agent' },
      });
    beforeEach(() => void server.truth.create('pods', agentPod('agent-1')));

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
      server.exec = () => new Promise(() => undefined);
      const { code, stderr } = await insist('--request-timeout', '300ms');
      expect(stderr).toContain('it did not answer in time (--request-timeout)');
      expect(code).toBe(2);
    });

    test('asks a pod that runs, the newest first, and none that ends', async () => {
      const asked: string[] = [];
      server.exec = ({ pod }) => {
        asked.push(pod.metadata.name);
        return Promise.resolve({ exitCode: 0, stdout: report(), stderr: '' });
      };
      const meta = (name: string, more: Json): Json => ({
        metadata: { ...(agentPod(name)['metadata'] as Json), ...more },
      });
      server.truth.create('pods', agentPod('agent-2', meta('agent-2', { creationTimestamp: '2099-01-01T00:00:00Z' })));
      const ending = { creationTimestamp: '2099-02-01T00:00:00Z', deletionTimestamp: '2099-02-01T00:00:00Z' };
      server.truth.create('pods', agentPod('agent-3', meta('agent-3', ending)));
      server.truth.create('pods', agentPod('agent-4', { status: { phase: 'Pending' } }));
      await insist();
      expect(asked).toEqual(['agent-2']);
    });
  });

  test('takes the namespace of the context where none is given', async () => {
    const config = server.kubeconfig();
    const withNamespace = JSON.parse(config) as { contexts: { context: { namespace?: string } }[] };
    for (const entry of withNamespace.contexts) entry.context.namespace = 'shop';
    writeFileSync(kubeconfig, JSON.stringify(withNamespace));
    expect((await ask('web-1', 'api-1:8080')).code).toBe(0);
  });

  test('is undecided without the right to read policies, and says which right that is', async () => {
    server.forbidden.add('list networkpolicies');
    const { code, stdout } = await ask('-n', 'shop', 'web-1', 'api-1:8080');
    expect(code).toBe(3);
    expect(stdout).toMatch(/^UNKNOWN\[E090\]/);
    expect(stdout).toContain('namespace shop: policies');
    expect(stdout).toContain('allow "list" on networkpolicies.networking.k8s.io (Role)');
    expect(stdout).not.toContain('UNPROTECTED');
  });

  test('is undecided without the right to read pods', async () => {
    server.forbidden.add('list pods');
    const { code, stdout } = await ask('-n', 'shop', 'web-1', 'api-1:8080');
    expect(code).toBe(3);
    expect(stdout).toContain('pod shop/web-1: labels');
    expect(stdout).toContain('allow "list" on pods (Role)');
  });

  test('does not take an address for a stranger while nodes cannot be read', async () => {
    server.forbidden.add('list nodes');
    const { code, stdout } = await ask('192.0.2.7', 'shop/api-1:8080');
    expect(code).toBe(3);
    expect(stdout).toContain('allow "list" on nodes (ClusterRole)');
    expect((await ask('shop/web-1', 'shop/api-1:8080')).code).toBe(0);
  });

  test('reads namespaces one by one where they may not be listed', async () => {
    server.forbidden.add('list namespaces');
    expect((await ask('-n', 'shop', 'web-1', 'api-1:8080')).code).toBe(0);
    expect(server.requests.some(({ verb, plural }) => verb === 'get' && plural === 'namespaces')).toBe(true);
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
  });

  test('follows the source annotation, but never out of the directory', async () => {
    const annotated = (path: string): Json => ({
      ...egress,
      metadata: { ...egress.metadata, annotations: { 'nftpolicy.dev/source': path } },
    });
    mkdirSync(join(directory, 'policies'), { recursive: true });
    writeFileSync(join(directory, 'policies/web.yaml'), stringify(egress));
    server.truth.update('networkpolicies', annotated('policies/web.yaml:1'));
    const { stdout } = await ask('-n', 'shop', 'web-1', 'api-1:8080');
    expect(stdout).toMatch(/--> policies\/web\.yaml:\d+:\d+/);
    for (const path of ['../policies/web.yaml', join(directory, 'policies/web.yaml')]) {
      server.truth.update('networkpolicies', annotated(path));
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
      `1 policy, 2 pods, 0 services, 2 namespaces, 0 nodes from closed.yaml, ${server.url}\n`,
    );
    expect((await ask(...args)).stdout).toContain('0 pods, 0 services, 0 namespaces, 0 nodes from closed.yaml\n');
  });

  test('goes on to the last page', async () => {
    for (let index = 0; index < 700; index += 1) {
      server.truth.create(
        'pods',
        podObject({ name: `other-${index}`, namespace: 'shop', labels: {}, ip: `10.245.${index >> 8}.${index & 255}` }),
      );
    }
    const { stdout } = await ask('-n', 'shop', 'web-1', 'api-1:8080');
    expect(stdout).toContain('702 pods');
  });

  test('asks again while the server is busy, and starts a list anew that has expired', async () => {
    for (let index = 0; index < 600; index += 1)
      server.truth.create('pods', podObject({ name: `other-${index}`, ip: `10.245.${index >> 8}.${index & 255}` }));
    const refuse = (code: number, reason: string, facts: object): void =>
      server.faults.add({ plural: 'pods', ...facts }, { kind: 'status', code, reason });
    refuse(429, 'TooManyRequests', {});
    refuse(410, 'Expired', { continued: true });
    const { code, stdout } = await ask('-n', 'shop', 'web-1', 'api-1:8080');
    expect(code).toBe(0);
    expect(stdout).toContain('602 pods');
    expect(server.faults.pending).toBe(0);
  });

  test('does not wait for a silent server longer than it is told', async () => {
    server.faults.add({ plural: 'pods' }, { kind: 'stall', after: 0 });
    const { code, stderr } = await ask('--request-timeout', '300ms', '-n', 'shop', 'web-1', 'api-1:8080');
    expect(code).toBe(2);
    expect(stderr).toContain('did not answer in time (--request-timeout)');
  });

  test('names the end that does not exist in the cluster', async () => {
    const { code, stderr } = await ask('-n', 'shop', 'web-1', 'apu-1:8080');
    expect(code).toBe(2);
    expect(stderr).toContain('there is no pod shop/apu-1 in the cluster; did you mean shop/api-1?');
  });

  test('says what is wrong with the way to the cluster', async () => {
    const refused = await ask('--context', 'nowhere', 'shop/web-1', 'shop/api-1:8080');
    expect(refused.code).toBe(2);
    expect(refused.stderr).toContain('there is no context "nowhere"');
    await server.stop();
    const gone = await ask('-n', 'shop', 'web-1', 'api-1:8080');
    expect(gone.code).toBe(2);
    expect(gone.stderr).toMatch(/cannot ask https:\/\/127\.0\.0\.1:\d+: .*ECONNREFUSED/);
    const none = await runPolicy(['explain', 'shop/web-1', 'shop/api-1:8080'], { cwd: directory });
    expect(none.code).toBe(2);
    expect(none.stderr).toContain('no manifests: give files or directories with -f, or a cluster with --kubeconfig');
  });
});
