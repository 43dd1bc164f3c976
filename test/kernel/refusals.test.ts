import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import type { StatusReport } from '../../src/controller/status-report.ts';
import { LabAgent } from '../lab/agent.ts';
import { LabApiServer } from '../lab/api-server.ts';
import { Lab } from '../lab/lab.ts';
import { namespaceManifest, nodeManifest, podManifest } from '../lab/manifests.ts';
import type { Manifest } from '../lab/manifests.ts';
import type { LabNode } from '../lab/node.ts';
import { addressOf } from '../lab/pod.ts';
import type { LabPod } from '../lab/pod.ts';
import { CommandError } from '../lab/run.ts';

const bin = join(import.meta.dirname, '../../bin/policy.mjs');

/** As in a container that may not write to /proc/sys. */
const readOnlySettings = [
  'unshare',
  '--mount',
  'sh',
  '-c',
  'mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && exec "$@"',
  'sh',
];

interface Sight {
  readonly code: string;
  /** What is found on the node, and what makes it work. */
  readonly seen: string;
  readonly help: string;
  readonly appear: readonly string[];
  readonly vanish: readonly string[];
  /** Packets inside a bridge pass by every rule then, which is why the node is refused. */
  readonly bypassed?: boolean;
}

// A bridge stands for any device here: what counts is the name.
const device = (name: string): Pick<Sight, 'seen' | 'appear' | 'vanish'> => ({
  seen: `interface ${name}`,
  appear: ['ip', 'link', 'add', name, 'type', 'bridge'],
  vanish: ['ip', 'link', 'del', name],
});

const everywhere: readonly Sight[] = [
  { code: 'kube-proxy-ipvs', help: 'Run kube-proxy in nftables or iptables mode', ...device('kube-ipvs0') },
  { code: 'network-plugin-ebpf', help: 'Use the network policy of that plugin', ...device('cilium_host') },
  { code: 'network-plugin-ovs', help: 'Use the network policy of that plugin', ...device('ovs-system') },
];
const setting = (value: 0 | 1): readonly string[] => ['sysctl', '-w', `net.bridge.bridge-nf-call-iptables=${value}`];
const bridgedOnly: readonly Sight[] = [
  {
    code: 'bridge-netfilter-off',
    seen: 'pod bridge cni0; bridge-nf-call-iptables 0, bridge-nf-call-ip6tables 1',
    help: 'sysctl -w net.bridge.bridge-nf-call-iptables=1',
    appear: setting(0),
    vanish: setting(1),
    bypassed: true,
  },
];

describe.each([
  { mode: 'routed' as const, sights: everywhere },
  { mode: 'bridged' as const, sights: [...everywhere, ...bridgedOnly] },
])('a $mode node that cannot be policed any more', ({ mode, sights }) => {
  let lab: Lab;
  let node: LabNode;
  let api: LabApiServer;
  let agent: LabAgent;
  let database: LabPod;
  let web: LabPod;

  const policyManifest = (name: string, app: string): Manifest => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace: 'default' },
    spec: {
      podSelector: { matchLabels: { app: 'database' } },
      ingress: [{ from: [{ podSelector: { matchLabels: { app } } }] }],
    },
  });

  beforeAll(async () => {
    lab = await Lab.create();
    node = await lab.addNode({ name: 'node-1', mode, cniFiles: 'config-and-results' });
    [database, web] = await Promise.all([
      node.addPod({ name: 'database', labels: { app: 'database' } }),
      node.addPod({ name: 'web', labels: { app: 'web' } }),
    ]);
    api = await LabApiServer.start(node);
    await api.apply(namespaceManifest('default'), nodeManifest(node), podManifest(database), podManifest(web));
    await api.apply(policyManifest('database', 'api'));
    await lab.traffic.listen(database, 'tcp', 5432);
    agent = await launch();
  });
  afterAll(async () => {
    await lab?.close();
  });

  const launch = (waitForReady = true): Promise<LabAgent> =>
    LabAgent.launch(node, ['--kubeconfig', api.kubeconfig, '--state-dir', 'off'], {
      wrapper: readOnlySettings,
      waitForReady,
    });
  const policy = async (...args: string[]): Promise<{ code: number | null; out: string }> => {
    try {
      return { code: 0, out: await node.run(process.execPath, bin, ...args) };
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      return { code: error.exitCode, out: error.stderr };
    }
  };
  const get = async (path: string): Promise<string> =>
    await node.run('curl', '-s', '-w', ' %{http_code}', `http://127.0.0.1:9478${path}`);
  const probe = async (from: LabPod): Promise<string> =>
    (await lab.traffic.probe({ from, to: addressOf(database, 'IPv4'), port: 5432, protocol: 'tcp' })).outcome;
  const hour = (): number => Math.floor(Date.now() / 3_600_000);
  let saidIn: number;
  type Event = {
    readonly reason: string;
    readonly message: string;
    readonly involvedObject: { readonly kind: string };
  };
  const events = async (): Promise<readonly Event[]> =>
    (await api.ask({ action: 'list', plural: 'events' })) as Event[];

  test.each(sights)('$code: says what was seen and what helps, and keeps the rules', async (sight) => {
    const { code, seen, help, appear, vanish, bypassed = false } = sight;
    expect(await probe(web)).toBe('timeout');
    if (code === 'kube-proxy-ipvs') saidIn = hour();
    await node.run(...appear);
    await expect.poll(async () => (await policy('status')).out, { timeout: 60_000 }).toMatch(/^state +REFUSED: /m);

    const status = await policy('status');
    expect(status.code).toBe(1);
    expect(status.out).toContain('what was in the kernel before stays');
    expect(status.out).toMatch(new RegExp(`REFUSED +${code} +${seen}: `));
    expect(status.out).toContain(help);
    const report = JSON.parse((await policy('status', '-o', 'json')).out) as StatusReport;
    expect(report).toMatchObject({ state: 'refused', ready: false });
    // Beside it there may be a warning about what this nft cannot do.
    const refusals = report.refusals.filter(({ severity }) => severity === 'refuse');
    expect(refusals).toMatchObject([{ code, seen }]);
    const readiness = await get('/readyz');
    expect(readiness).toContain(`this node cannot be policed: ${code}: ${seen}: `);
    expect(readiness).toContain(help);
    expect(readiness).toMatch(/ 503$/);
    expect(await get('/healthz')).toMatch(/ 200$/);
    expect(await get('/metrics')).toContain(`nftpolicy_refusals{code="${code}",severity="refuse"} 1`);
    await agent.logged((line) => line.level === 'error' && line['code'] === code && line['seen'] === seen);

    // What was enforced stays; what is new is not written.
    expect(await probe(web)).toBe(bypassed ? 'open' : 'timeout');
    await api.apply(policyManifest('late', 'web'));
    const waited = await policy('status', '--wait-for', 'default/late', '--timeout', '1');
    expect(waited.code).toBe(1);
    expect(waited.out).toContain(`this node is refused: ${code}: ${seen}: `);
    expect(await node.run('nft', 'list', 'table', 'inet', 'nftpolicy')).not.toContain('default/late');

    const about = async (): Promise<readonly Event[]> =>
      (await events()).filter(({ message }) => message.startsWith(`${seen}: `));
    await expect.poll(about, { timeout: 60_000 }).toHaveLength(1);
    const said = await about();
    expect(said[0]).toMatchObject({ reason: 'PolicyNodeRefused', involvedObject: { kind: 'Node' } });
    expect(said[0]?.message).toContain(help);

    await node.run(...vanish);
    await expect.poll(() => get('/readyz'), { timeout: 60_000 }).toBe('ok\n 200');
    await expect.poll(() => probe(web), { timeout: 60_000 }).toBe('open');
    await api.remove('networkpolicies', 'late', 'default');
    await expect.poll(() => probe(web), { timeout: 60_000 }).toBe('timeout');
  });

  test('an agent that starts on a refused node keeps the rules of the agent before it, and posts no Event twice', async () => {
    const about = async (): Promise<readonly Event[]> =>
      (await events()).filter(({ message }) => message.startsWith('interface kube-ipvs0: '));
    expect(await about()).toHaveLength(1);
    await agent.stop('SIGKILL');
    await node.run('ip', 'link', 'add', 'kube-ipvs0', 'type', 'bridge');
    agent = await launch(false);
    await expect.poll(async () => (await policy('status')).out, { timeout: 60_000 }).toMatch(/^state +REFUSED: /m);
    expect(await probe(web)).toBe('timeout');
    const { refusals } = JSON.parse((await policy('status', '-o', 'json')).out) as StatusReport;
    const told = async (): Promise<number> => {
      const counted = (await get('/metrics')).matchAll(
        /^nftpolicy_kubernetes_events_total\{result="(?:suppressed|posted)"\} (\d+)$/gm,
      );
      return [...counted].reduce((sum, [, count]) => sum + Number(count), 0);
    };
    await expect.poll(told, { timeout: 60_000 }).toBe(refusals.length);
    // Once an hour: an hour that has just begun is another one.
    const again = hour() === saidIn ? 0 : 1;
    expect(await about()).toHaveLength(1 + again);
    await node.run('ip', 'link', 'del', 'kube-ipvs0');
    await expect.poll(() => get('/readyz'), { timeout: 60_000 }).toBe('ok\n 200');
    expect(await probe(web)).toBe('timeout');
  });

  test('metrics move with what happens', async () => {
    const value = async (series: string): Promise<number> => {
      const line = (await get('/metrics')).split('\n').find((text) => text.startsWith(`${series} `));
      return line === undefined ? 0 : Number(line.slice(series.length + 1));
    };
    const denied =
      'nftpolicy_denied_packets_total{namespace="default",pod="database",direction="ingress",mode="denied"}';
    const [drift, batches] = ['nftpolicy_drift_repaired_total', 'nftpolicy_event_to_kernel_seconds_count'];
    const [driftBefore, batchesBefore, deniedBefore] = [await value(drift), await value(batches), await value(denied)];
    await node.run('nft', 'delete', 'table', 'inet', 'nftpolicy');
    await expect.poll(() => value(drift), { timeout: 60_000 }).toBe(driftBefore + 1);
    expect(await probe(web)).toBe('timeout');
    await policy('denied');
    expect(await value(denied)).toBeGreaterThan(deniedBefore);
    await api.apply(policyManifest('late', 'web'));
    await expect.poll(() => value(batches), { timeout: 60_000 }).toBeGreaterThan(batchesBefore);
    expect(await value('nftpolicy_event_loop_delay_p99_seconds')).toBeGreaterThan(0);
    expect(await value('nftpolicy_synced{kind="Pod"}')).toBe(1);
    await api.remove('networkpolicies', 'late', 'default');
  });
});
