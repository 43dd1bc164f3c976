import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { LabAgent } from '../lab/agent.ts';
import { Lab } from '../lab/lab.ts';
import { ManifestDirectory, namespaceManifest, nodeManifest, podManifest } from '../lab/manifests.ts';
import type { Manifest } from '../lab/manifests.ts';
import type { LabNode } from '../lab/node.ts';
import { addressOf } from '../lab/pod.ts';
import type { LabPod } from '../lab/pod.ts';
import type { Place, ProbeResult } from '../lab/traffic.ts';

const bin = join(import.meta.dirname, '../../bin/policy.mjs');

/** Isolates `app: server` in one direction and admits only `app: friend`. */
function isolate(name: string, direction: 'Ingress' | 'Egress', annotations: Record<string, string> = {}): Manifest {
  const friends = [{ podSelector: { matchLabels: { app: 'friend' } } }];
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, namespace: 'default', annotations },
    spec: {
      podSelector: { matchLabels: { app: 'server' } },
      policyTypes: [direction],
      ...(direction === 'Ingress' ? { ingress: [{ from: friends }] } : { egress: [{ to: friends }] }),
    },
  };
}

const auditMode = { 'nftpolicy.dev/mode': 'audit' };

describe.each(['routed', 'bridged'] as const)('the modes of enforcement on a %s node', (mode) => {
  let lab: Lab;
  let node: LabNode;
  let server: LabPod;
  let client: LabPod;
  let friend: LabPod;
  let manifests: ManifestDirectory;

  beforeEach(async () => {
    lab = await Lab.create();
    node = await lab.addNode({ name: 'node-1', mode, cniFiles: 'config-and-results' });
    [server, client, friend] = await Promise.all([
      node.addPod({ name: 'server', labels: { app: 'server' } }),
      node.addPod({ name: 'client', labels: { app: 'client' } }),
      node.addPod({ name: 'friend', labels: { app: 'friend' } }),
    ]);
    manifests = new ManifestDirectory(join(lab.directory, 'manifests'));
    manifests.apply(namespaceManifest('default'), nodeManifest(node));
    manifests.apply(podManifest(server), podManifest(client), podManifest(friend));
    for (const protocol of ['tcp', 'udp'] as const) await lab.traffic.listen(server, protocol, 80);
  });
  afterEach(async () => {
    await lab?.close();
  });

  const start = (...args: string[]): Promise<LabAgent> => LabAgent.start(node, manifests.path, args);
  const probe = async (
    from: Place,
    to: string,
    protocol: 'tcp' | 'udp' | 'icmp' = 'tcp',
  ): Promise<ProbeResult['outcome']> => (await lab.traffic.probe({ from, to, port: 80, protocol })).outcome;
  const v4 = (pod: LabPod): string => addressOf(pod, 'IPv4');
  const v6 = (pod: LabPod): string => addressOf(pod, 'IPv6');
  const denied = async (): Promise<string> => await node.run(process.execPath, bin, 'denied');

  test('every-packet cuts a live connection when a policy tightens; new-connections lets it live', async () => {
    const hold = () => lab.traffic.hold({ from: client, to: v4(server), port: 80, protocol: 'tcp' });
    const agent = await start();
    const strict = await hold();
    expect(await strict.exchange()).toBe('answered');
    await agent.applied(() => manifests.apply(isolate('p', 'Ingress')));
    expect(await strict.exchange()).toBe('timeout');
    await agent.stop();
    manifests.remove({ kind: 'NetworkPolicy', namespace: 'default', name: 'p' });
    const relaxed = await start('--enforce', 'new-connections');
    const lives = await hold();
    expect(await lives.exchange()).toBe('answered');
    await relaxed.applied(() => manifests.apply(isolate('p', 'Ingress')));
    expect(await lives.exchange()).toBe('answered');
    expect(await probe(client, v4(server))).toBe('timeout');
    expect(await probe(friend, v4(server))).toBe('open');
    await relaxed.stop();
  });

  test('unknown local pods are closed, or open where the operator says so', async () => {
    manifests.apply(isolate('p', 'Ingress'));
    const agent = await start();
    const stranger = await node.addPod({ name: 'stranger' });
    expect(await probe(stranger, v4(client))).not.toBe('refused');
    expect(await probe(stranger, v4(client), 'icmp')).toBe('timeout');
    expect(await probe(client, v4(stranger), 'icmp')).toBe('timeout');
    await agent.stop();
    const open = await start('--unknown-pods', 'accept');
    const other = await node.addPod({ name: 'other' });
    expect(await probe(client, v4(other), 'icmp')).toBe('answered');
    expect(await probe(stranger, v6(client), 'icmp')).toBe('answered');
    expect(await probe(stranger, v4(server))).toBe('timeout');
    await open.stop();
  });

  test('refusals are silent, or answered with a reset and an ICMP error', async () => {
    manifests.apply(isolate('p', 'Ingress'));
    const agent = await start();
    expect(await probe(client, v4(server))).toBe('timeout');
    await agent.stop();
    const polite = await start('--reject');
    expect(await probe(client, v4(server))).toBe('refused');
    expect(await probe(client, v6(server))).toBe('refused');
    expect(['unreachable', 'refused']).toContain(await probe(client, v4(server), 'udp'));
    expect(await probe(friend, v4(server))).toBe('open');
    expect(await denied()).toContain('default/client');
    await polite.stop();
  });

  test('egress to the own node is exempt, or policed where the operator says so', async () => {
    const [node4, node6] = node.addresses;
    for (const address of node.addresses) await lab.traffic.listen(node, 'tcp', 80, address);
    manifests.apply(isolate('p', 'Egress'));
    const agent = await start();
    expect(await probe(server, node4 ?? '')).toBe('open');
    await agent.stop();
    const strict = await start('--police-node-egress');
    expect(await probe(server, node4 ?? '')).toBe('timeout');
    expect(await probe(server, node6 ?? '')).toBe('timeout');
    expect(await probe(client, node4 ?? '')).toBe('open');
    expect(await probe(client, node6 ?? '')).toBe('open');
    expect(await probe(server, v4(friend), 'icmp')).toBe('answered');
    // The node reaches its pods all the same: probes of the kubelet are answered.
    expect(await probe(node, v4(server))).toBe('open');
    expect(await probe(node, v6(server))).toBe('open');
    await strict.stop();
  });

  test('DNS of the node itself stays reachable while egress to it is policed, and nothing else there', async () => {
    const cache4 = '169.254.20.10';
    const cache6 = 'fd00:10:96::a';
    const [node4 = ''] = node.addresses;
    const ask = async (to: string, protocol: 'tcp' | 'udp' = 'udp', port = 53): Promise<string> => {
      const { outcome } = await lab.traffic.probe({ from: server, to, port, protocol });
      return outcome === 'open' || outcome === 'answered' ? 'reached' : outcome;
    };
    manifests.apply(isolate('p', 'Egress'));
    const agent = await start('--police-node-egress');
    await node.run('ip', 'link', 'add', 'nodelocaldns', 'type', 'bridge');
    for (const address of [`${cache4}/32`, `${cache6}/128`]) {
      await node.run('ip', 'address', 'add', address, 'dev', 'nodelocaldns', 'nodad');
    }
    await node.run('ip', 'link', 'set', 'nodelocaldns', 'up');
    // As NodeLocal DNSCache does: its packets are not tracked.
    await node.nft(`table inet raw { chain pre { type filter hook prerouting priority raw; th dport 53 notrack; }
      chain out { type filter hook output priority raw; th sport 53 notrack; }; }`);
    for (const address of [cache4, cache6, node4]) {
      for (const protocol of ['tcp', 'udp'] as const) await lab.traffic.listen(node, protocol, 53, address);
    }
    await lab.traffic.listen(node, 'tcp', 80, cache4);
    await expect.poll(() => ask(cache4), { timeout: 60_000 }).toBe('reached');
    for (const address of [cache4, cache6]) {
      for (const protocol of ['tcp', 'udp'] as const) expect(await ask(address, protocol)).toBe('reached');
    }
    expect(await ask(cache4, 'tcp', 80)).toBe('timeout');
    expect(await ask(node4)).toBe('timeout');
    const status = await node.run(process.execPath, bin, 'status');
    expect(status).toContain(`egress to the own node policed except DNS at ${cache4}, ${cache6}`);
    expect(status).not.toContain('repaired');
    await agent.stop();
    const named = await start('--police-node-egress', `--node-dns=${cache6}`);
    expect(await ask(cache4)).toBe('timeout');
    expect(await ask(cache6)).toBe('reached');
    await named.stop();
    const off = await start('--police-node-egress', '--node-dns=off');
    for (const address of [cache4, cache6]) expect(await ask(address)).toBe('timeout');
    await off.stop();
  });

  test('a policy in audit mode drops nothing and records what it would deny', async () => {
    manifests.apply(isolate('dry', 'Ingress', auditMode));
    const agent = await start();
    expect(await probe(client, v4(server))).toBe('open');
    expect(await probe(client, v6(server))).toBe('open');
    expect(await probe(friend, v4(server))).toBe('open');
    const text = await denied();
    for (const address of [v4(client), v6(client)]) {
      expect(text).toMatch(
        new RegExp(`WOULD DENY +default/client \\(${address}\\).*no rule of default/dry in audit mode`),
      );
    }
    expect(text).not.toContain('default/friend');
    const status = await node.run(process.execPath, bin, 'status');
    expect(status).toContain('in: open (audit only: default/dry)');
    await agent.applied(() => manifests.apply(isolate('dry', 'Ingress')));
    expect(await probe(client, v4(server))).toBe('timeout');
    expect(await denied()).toMatch(/DENIED +default\/client/);
    await agent.stop();
  });

  test('a namespace in audit mode takes its policies with it, live', async () => {
    manifests.apply(isolate('p', 'Ingress'));
    const agent = await start();
    expect(await probe(client, v4(server))).toBe('timeout');
    const namespace = namespaceManifest('default');
    await agent.applied(() =>
      manifests.apply({ ...namespace, metadata: { ...namespace.metadata, annotations: auditMode } }),
    );
    expect(await probe(client, v4(server))).toBe('open');
    expect(await denied()).toMatch(/WOULD DENY +default\/client.*no rule of default\/p in audit mode/);
    await agent.applied(() => manifests.apply(namespace));
    expect(await probe(client, v4(server))).toBe('timeout');
    await agent.stop();
  });

  test('without a record refused flows are dropped all the same', async () => {
    manifests.apply(isolate('p', 'Ingress'));
    const agent = await start('--record-denied', 'false');
    expect(await probe(client, v4(server))).toBe('timeout');
    expect(await denied()).toBe('');
    expect(await node.run('sh', '-c', `${process.execPath} ${bin} denied 2>&1`)).toContain('are not recorded');
    await agent.stop();
  });
});
