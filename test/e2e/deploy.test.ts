/** The manifests as a real server takes them, and an agent with the rights they give: enough, and no more. */
import { mkdirSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { whyNoRealServer } from '../api-server/real-server.ts';
import { LabAgent } from '../lab/agent.ts';
import { Lab } from '../lab/lab.ts';
import { namespaceManifest, nodeManifest, pendingPodManifest, podManifest } from '../lab/manifests.ts';
import type { Manifest } from '../lab/manifests.ts';
import { probeAll } from '../lab/matrix.ts';
import type { LabNode } from '../lab/node.ts';
import { addressOf } from '../lab/pod.ts';
import type { LabPod } from '../lab/pod.ts';
import { run } from '../lab/run.ts';
import { LabApiServer } from './support/api-server.ts';
import { policy } from './support/cluster.ts';

const assets = process.env['KUBEBUILDER_ASSETS'];
const why = whyNoRealServer(assets);
const kustomize = join(import.meta.dirname, '../../deploy/kustomize');
const deployments = readdirSync(kustomize, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('kustomization.yaml'))
  .map((path) => dirname(path));
const account = 'system:serviceaccount:kube-system:nftpolicy';

/** As the DaemonSet runs it: NET_ADMIN only, a /run of its own, and the service account where a kubelet puts it. */
const asContainer = (serviceAccount: string): readonly string[] => [
  'unshare',
  '--mount',
  'sh',
  '-c',
  [
    'set -e',
    'mount --make-rprivate /',
    'mount -t tmpfs tmpfs /run',
    'mkdir -p /run/secrets/kubernetes.io/serviceaccount',
    'mount --bind "$1" /run/secrets/kubernetes.io/serviceaccount',
    'shift',
    'exec setpriv --bounding-set -all,+net_admin --inh-caps -all,+net_admin --no-new-privs "$@"',
  ].join('\n'),
  'sh',
  serviceAccount,
];

describe.skipIf(why !== undefined).each([
  { server: 'a server that streams lists', flags: [], lists: false },
  { server: 'a server that does not', flags: ['--feature-gates=WatchList=false'], lists: true },
])(`deployed to $server${why === undefined ? '' : ` (skipped: ${why})`}`, ({ flags, lists }) => {
  let lab: Lab;
  let node: LabNode;
  let api: LabApiServer;
  let agent: LabAgent;
  let database: LabPod;
  let web: LabPod;
  let secrets: string;

  const kubectl = async (...args: string[]): Promise<string> =>
    await run(['ip', 'netns', 'exec', lab.outside.netns, 'kubectl', `--kubeconfig=${api.kubeconfig}`, ...args], {
      env: { PATH: `${assets}:${process.env['PATH']}` },
    });

  interface Rendered {
    readonly kind: string;
    readonly metadata: { readonly name: string; readonly namespace?: string };
    readonly spec?: { readonly template?: object };
  }
  const rendered = async (path: string): Promise<readonly Rendered[]> =>
    parseAllDocuments(await kubectl('kustomize', path)).map((document) => document.toJS() as Rendered);

  const startPod = async (name: string, labels: Readonly<Record<string, string>>): Promise<LabPod> => {
    const [stored] = await api.apply(pendingPodManifest(node, { name, namespace: 'shop', labels }));
    const pod = await node.addPod({ name, namespace: 'shop', labels, uid: stored?.metadata.uid ?? '' });
    await api.apply(podManifest(pod));
    return pod;
  };

  /** What a kubelet does: the token is replaced as a whole. */
  const giveToken = async (): Promise<void> => {
    writeFileSync(join(secrets, 'new'), await kubectl('-n', 'kube-system', 'create', 'token', 'nftpolicy'));
    renameSync(join(secrets, 'new'), join(secrets, 'token'));
  };

  const verdict = async (): Promise<string | undefined> => {
    const to = { to: addressOf(database, 'IPv4'), port: 5432, protocol: 'tcp' as const, at: database };
    return (await probeAll(lab.traffic, [{ ...to, from: web }]))[0]?.verdict;
  };

  const admit = (app: string): Manifest =>
    policy('shop', 'database', {
      podSelector: { matchLabels: { app: 'database' } },
      ingress: [{ from: [{ podSelector: { matchLabels: { app } } }] }],
    });

  beforeAll(async () => {
    lab = await Lab.create();
    node = await lab.addNode({ name: 'node-1', mode: 'routed', cniFiles: 'config-and-results' });
    api = await LabApiServer.start(lab, node, assets, ...flags);
    secrets = join(lab.directory, 'serviceaccount');
    mkdirSync(secrets);
    await api.apply(nodeManifest(node), namespaceManifest('shop'), admit('nobody'));
    database = await startPod('database', { app: 'database' });
    web = await startPod('web', { app: 'web' });
  });
  afterAll(async () => {
    await lab?.close();
  });

  test('there is something to deploy', () => {
    expect(deployments).toEqual(expect.arrayContaining(['base', 'overlays/flannel']));
  });

  test.each(deployments)('%s is taken as it is, without a warning', async (deployment) => {
    const path = join(kustomize, deployment);
    await kubectl('apply', '-k', path, '--warnings-as-errors', '--dry-run=server');
    await kubectl('apply', '-k', path, '--warnings-as-errors');
    expect(await kubectl('diff', '-k', path)).toBe('');
    // No controller makes the pods here; the server judges one as if it did.
    for (const { kind, metadata, spec } of await rendered(path)) {
      if (kind !== 'DaemonSet') continue;
      const pod = { apiVersion: 'v1', kind: 'Pod', ...spec?.template };
      const file = join(lab.directory, 'pod.json');
      writeFileSync(file, JSON.stringify({ ...pod, metadata: { ...metadata, name: `${metadata.name}-x` } }));
      await kubectl('create', '-f', file, '--warnings-as-errors', '--dry-run=server');
    }
  });

  test('an agent with its service account enforces', async () => {
    const { clusters } = JSON.parse(await kubectl('config', 'view', '--raw', '-o', 'json')) as {
      readonly clusters: readonly {
        readonly cluster: { readonly server: string; readonly 'certificate-authority-data': string };
      }[];
    };
    const cluster = clusters[0]?.cluster;
    const url = new URL(cluster?.server ?? '');
    writeFileSync(join(secrets, 'ca.crt'), Buffer.from(cluster?.['certificate-authority-data'] ?? '', 'base64'));
    await giveToken();
    agent = await LabAgent.launch(node, [`--state-dir=${join(node.directory, 'state')}`], {
      wrapper: asContainer(secrets),
      env: { KUBERNETES_SERVICE_HOST: url.hostname, KUBERNETES_SERVICE_PORT: url.port },
    });
    expect(await verdict()).toBe('deny');
    await api.apply(admit('web'));
    await expect.poll(verdict, { timeout: 20_000 }).toBe('allow');
    await api.apply(admit('nobody'));
    await expect.poll(verdict, { timeout: 20_000 }).toBe('deny');
  });

  test('kubectl shows its Events at the pod and at the node', async () => {
    await api.apply(podManifest({ ...database, name: 'ghost', ips: ['10.244.1.77'] }));
    await node.run('ip', 'link', 'add', 'kube-ipvs0', 'type', 'veth', 'peer', 'name', 'ipvs-peer');
    const described = async (): Promise<string> =>
      (await kubectl('-n', 'shop', 'describe', 'pod', 'ghost')) + (await kubectl('describe', 'node', node.name));
    await expect.poll(described, { timeout: 60_000 }).toMatch(/Warning +PolicyPodClosed .*nftpolicy/);
    await expect.poll(described, { timeout: 60_000 }).toMatch(/Warning +PolicyNode\w+ .*nftpolicy/);
    await node.run('ip', 'link', 'del', 'kube-ipvs0');
    await api.remove({ plural: 'pods', namespace: 'shop', name: 'ghost' });
  });

  test('a token that is replaced in time, or too late, is no end', async () => {
    await kubectl('-n', 'kube-system', 'delete', 'serviceaccount', 'nftpolicy');
    await kubectl('apply', '-k', join(kustomize, 'base'));
    // Watches that began with the old token go on; new ones are refused.
    await api.restart();
    await agent.logged(({ msg }) => msg.includes('401'));
    expect(await verdict()).toBe('deny');
    await giveToken();
    await api.apply(admit('web'));
    await expect.poll(verdict, { timeout: 90_000 }).toBe('allow');
  });

  test('the rights it used are the rights it has', async () => {
    const requests = (await api.audit()).filter(({ user }) => user === account);
    expect(requests.filter(({ code }) => code === 403)).toEqual([]);
    const role = parseAllDocuments(await kubectl('get', 'clusterrole', 'nftpolicy', '-o', 'yaml'))[0]?.toJS() as {
      readonly rules: readonly {
        readonly apiGroups: readonly string[];
        readonly resources: readonly string[];
        readonly verbs: readonly string[];
      }[];
    };
    const granted = role.rules.flatMap(({ apiGroups, resources, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) => verbs.map((verb) => `${verb} ${resource}${group === '' ? '' : `.${group}`}`)),
      ),
    );
    const used = new Set(requests.map(({ what }) => what));
    // Only a server that does not stream lists is asked for lists.
    expect([...used].sort()).toEqual(granted.filter((right) => lists || !right.startsWith('list ')).sort());
  });

  test('without its rights it says which are missing, and goes on once it has them', async () => {
    await kubectl('delete', 'clusterrolebinding', 'nftpolicy');
    await api.restart();
    await agent.logged(({ msg, level }) => level === 'error' && msg.includes('networkpolicies.networking.k8s.io'));
    expect(await verdict()).toBe('allow');
    await kubectl('apply', '-k', join(kustomize, 'base'));
    await api.apply(admit('nobody'));
    await expect.poll(verdict, { timeout: 90_000 }).toBe('deny');
  });
});
