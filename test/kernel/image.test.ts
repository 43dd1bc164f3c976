import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { StatusReport } from '../../src/controller/status-report.ts';
import { LabApiServer } from '../lab/api-server.ts';
import { containerCommand, containerOf } from '../lab/container.ts';
import type { Place } from '../lab/container.ts';
import { Lab } from '../lab/lab.ts';
import { namespaceManifest, nodeManifest, podManifest } from '../lab/manifests.ts';
import { probeAll } from '../lab/matrix.ts';
import type { LabNode } from '../lab/node.ts';
import { addressOf } from '../lab/pod.ts';
import type { LabPod } from '../lab/pod.ts';
import { CommandError } from '../lab/run.ts';

/*
 * The image as the DaemonSet runs it, on a node with real CNI plugins and an API server. `npm run test:image` makes the
 * image and names its directory; other runs leave this out.
 */
const root = process.env['IMAGE_ROOT'];

describe.skipIf(root === undefined).each(['bridged', 'routed'] as const)('the image on a %s node', (mode) => {
  const daemonSet = containerOf('base/daemonset.yaml');
  const init = containerOf('overlays/flannel/bridge-netfilter.yaml', 'initContainers');
  let lab: Lab;
  let node: LabNode;
  let place: Place;
  let agent: ReturnType<LabNode['spawn']>;
  let log = '';
  let pods: Readonly<Record<'database' | 'api' | 'web', LabPod>>;

  /** As `kubectl exec` in the agent's container. */
  const inside = async (...command: string[]): Promise<string> =>
    await node.run(...containerCommand(daemonSet, place, command));
  const get = async (path: string): Promise<string> =>
    await node.run('curl', '-s', '-w', ' %{http_code}', `http://127.0.0.1:9478${path}`);
  const verdict = async (from: LabPod, family: 'IPv4' | 'IPv6' = 'IPv4'): Promise<string | undefined> => {
    const to = { to: addressOf(pods.database, family), port: 5432, protocol: 'tcp' as const, at: pods.database };
    return (await probeAll(lab.traffic, [{ ...to, from }]))[0]?.verdict;
  };

  beforeAll(async () => {
    lab = await Lab.create();
    node = await lab.addNode({ name: 'node-1', mode, cniFiles: 'config-and-results' });
    const add = (name: string): Promise<LabPod> => node.addPod({ name, labels: { app: name } });
    const [database, api, web] = await Promise.all([add('database'), add('api'), add('web')]);
    pods = { database, api, web };
    const server = await LabApiServer.start(node);
    await server.apply(
      namespaceManifest('default'),
      nodeManifest(node),
      ...Object.values(pods).map((pod) => podManifest(pod)),
    );
    await server.apply({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'database', namespace: 'default' },
      spec: {
        podSelector: { matchLabels: { app: 'database' } },
        ingress: [{ from: [{ podSelector: { matchLabels: { app: 'api' } } }] }],
      },
    });
    const { url, ...account } = accessOf(server.kubeconfig);
    const directory = (name: string): string => {
      mkdirSync(join(node.directory, name), { recursive: true });
      return join(node.directory, name);
    };
    for (const [name, text] of Object.entries(account)) writeFileSync(join(directory('account'), name), text);
    place = {
      root: root ?? '',
      hostPaths: {
        '/var/lib/cni': join(node.cni.resultsDirectory, '..'),
        '/etc/cni/net.d': node.cni.configDirectory,
        '/var/lib/nftpolicy': directory('state'),
        '/lib/modules': directory('modules'),
      },
      serviceAccount: directory('account'),
      env: { NODE_NAME: node.name, KUBERNETES_SERVICE_HOST: url.hostname, KUBERNETES_SERVICE_PORT: url.port },
    };
    if (mode === 'bridged') {
      await node.run('sh', '-c', 'echo 0 > /proc/sys/net/bridge/bridge-nf-call-ip6tables');
      await node.run(...containerCommand(init, place, init.container.command ?? []));
    }
    agent = node.spawn(containerCommand(daemonSet, place, ['policy', ...(daemonSet.container.args ?? [])]));
    for (const stream of [agent.stdout, agent.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => (log += text));
  });
  afterAll(async () => {
    agent.kill('SIGKILL');
    await lab.close();
  });

  test('becomes ready', async () => {
    await expect.poll(() => get('/readyz').catch(() => log), { timeout: 30_000 }).toBe('ok\n 200');
    expect(await get('/healthz')).toBe('ok\n 200');
  });

  test('has NET_ADMIN alone, and nothing to write to but memory and its state', async () => {
    expect(await inside('grep', '-E', '^(CapEff|CapBnd|NoNewPrivs)', '/proc/self/status')).toBe(
      'CapEff:\t0000000000001000\nCapBnd:\t0000000000001000\nNoNewPrivs:\t1\n',
    );
    const tries = [
      '/x',
      '/tmp/x',
      '/run/x',
      '/etc/cni/net.d/x',
      '/var/lib/cni/x',
      '/dev/shm/x',
      '/var/lib/nftpolicy/x',
    ];
    const script = tries.map((path) => `touch ${path} 2> /dev/null && rm ${path} && echo ${path}`).join('; ');
    expect(await inside('sh', '-c', `${script}; true`)).toBe('/dev/shm/x\n/var/lib/nftpolicy/x\n');
  });

  test('enforces policy in both families', async () => {
    for (const family of ['IPv4', 'IPv6'] as const)
      expect([await verdict(pods.web, family), await verdict(pods.api, family)]).toEqual(['deny', 'allow']);
  });

  test('recognises its rules in what its nft lists, and says what it enforces and refused', async () => {
    const report = JSON.parse(await inside('policy', 'status', '-o', 'json')) as StatusReport;
    expect(report).toMatchObject({ state: 'enforcing', problems: [], refusals: [], closedPods: [], driftRepaired: 0 });
    expect(report.pods).toHaveLength(3);
    expect(await inside('policy', 'status')).toMatch(/ENFORCING[^]*, nft 1\.1\.3, /);
    expect(await inside('policy', 'denied')).toMatch(/DENIED +default\/web/);
  });

  test('repairs what somebody else changed', async () => {
    await inside('nft', 'flush', 'chain', 'inet', 'nftpolicy', 'forward-ingress');
    await expect.poll(() => verdict(pods.web), { timeout: 10_000 }).toBe('deny');
    const status = async (): Promise<StatusReport> =>
      JSON.parse(await inside('policy', 'status', '-o', 'json')) as StatusReport;
    await expect.poll(async () => (await status()).driftRepaired, { timeout: 10_000 }).toBe(1);
    expect((await status()).problems).toEqual([]);
  });

  test('leaves its rules when it ends, until policy cleanup', async () => {
    const ended = new Promise((resolve) => agent.once('exit', resolve));
    // As a runtime does: to the first process of the container, and not to what started it.
    const children = readFileSync(`/proc/${agent.pid}/task/${agent.pid}/children`, 'utf8').trim();
    process.kill(Number(children), 'SIGTERM');
    await ended;
    await expect.poll(() => log).toContain('agent stops, the rules stay');
    expect(await verdict(pods.web)).toBe('deny');
    const status = inside('policy', 'status');
    await expect(status).rejects.toThrow(CommandError);
    await expect(status).rejects.toMatchObject({ exitCode: 3 });
    const removed = mode === 'bridged' ? 'table inet nftpolicy, table bridge nftpolicy' : 'table inet nftpolicy';
    expect(await inside('policy', 'cleanup')).toContain(`removed ${removed}`);
    expect(await verdict(pods.web)).toBe('allow');
  });
});

/** What a kubelet would give a pod, from a kubeconfig. */
function accessOf(kubeconfig: string): { readonly url: URL; readonly 'ca.crt': string; readonly token: string } {
  const config = parse(readFileSync(kubeconfig, 'utf8')) as {
    readonly clusters: readonly {
      readonly cluster: { readonly server: string; readonly 'certificate-authority-data': string };
    }[];
    readonly users: readonly { readonly user: { readonly token: string } }[];
  };
  const cluster = config.clusters[0]!.cluster;
  const ca = Buffer.from(cluster['certificate-authority-data'], 'base64').toString();
  return { url: new URL(cluster.server), 'ca.crt': ca, token: config.users[0]!.user.token };
}
