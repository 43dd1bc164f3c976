import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { LabAgent } from '../lab/agent.ts';
import { Lab } from '../lab/lab.ts';
import { ManifestDirectory, namespaceManifest, nodeManifest, podManifest } from '../lab/manifests.ts';
import { probeAll } from '../lab/matrix.ts';
import type { LabNode } from '../lab/node.ts';
import { addressOf } from '../lab/pod.ts';
import type { LabPod } from '../lab/pod.ts';

const bin = join(import.meta.dirname, '../../bin/policy.mjs');
const repository = join(import.meta.dirname, '../..');

/**
 * As a container with `drop: [ALL], add: [NET_ADMIN]`, no privilege escalation and a read-only root would run it: root
 * by name only, in a mount namespace whose file systems are read-only except memory and the given directories.
 */
function asContainer(capabilities: string, ...writable: readonly string[]): readonly string[] {
  const caps = capabilities === '' ? '-all' : `-all,${capabilities}`;
  const script = [
    'set -e',
    'mount --make-rprivate /',
    ...writable.map((path) => `mount --bind ${path} ${path}`),
    'mount -t tmpfs tmpfs /dev/shm',
    'mount -o remount,bind,ro /',
    'mount -o remount,bind,ro /proc/sys 2>/dev/null || { mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys; }',
    `exec setpriv --bounding-set ${caps} --inh-caps ${caps} --no-new-privs "$@"`,
  ].join('\n');
  return ['unshare', '--mount', 'sh', '-c', script, 'sh'];
}

describe.each(['routed', 'bridged'] as const)('an agent with NET_ADMIN only on a %s node', (mode) => {
  let lab: Lab;
  let node: LabNode;
  let agent: LabAgent;
  let manifests: ManifestDirectory;
  let pods: Readonly<Record<'database' | 'api' | 'web', LabPod>>;

  beforeAll(async () => {
    lab = await Lab.create();
    node = await lab.addNode({ name: 'node-1', mode, cniFiles: 'config-and-results' });
    const add = (name: string): Promise<LabPod> => node.addPod({ name, labels: { app: name } });
    const [database, api, web] = await Promise.all([add('database'), add('api'), add('web')]);
    pods = { database, api, web };
    manifests = new ManifestDirectory(join(lab.directory, 'manifests'));
    manifests.apply(namespaceManifest('default'), nodeManifest(node));
    manifests.apply(...Object.values(pods).map((pod) => podManifest(pod)));
    manifests.apply({
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'database', namespace: 'default' },
      spec: {
        podSelector: { matchLabels: { app: 'database' } },
        ingress: [{ from: [{ podSelector: { matchLabels: { app: 'api' } } }] }],
      },
    });
    agent = await LabAgent.launch(node, ['--manifests', manifests.path], {
      wrapper: asContainer('+net_admin', node.directory),
    });
  });
  afterAll(async () => {
    await lab?.close();
  });

  const verdict = async (from: LabPod, family: 'IPv4' | 'IPv6' = 'IPv4'): Promise<string | undefined> => {
    const to = { to: addressOf(pods.database, family), port: 5432, protocol: 'tcp' as const, at: pods.database };
    return (await probeAll(lab.traffic, [{ ...to, from }]))[0]?.verdict;
  };

  test('holds that capability and no other, and cannot write to its root', async () => {
    const pids = await node.run('ip', 'netns', 'pids', node.netns);
    const shown: string[] = [];
    for (const pid of pids.trim().split('\n')) {
      const command = await node.run('sh', '-c', `tr '\\0' ' ' < /proc/${pid}/cmdline || true`);
      if (!/\bagent --node/.test(command) || /^(?:unshare|sh|ip) /.test(command)) continue;
      shown.push(await node.run('grep', '-E', '^(CapEff|CapBnd|NoNewPrivs)', `/proc/${pid}/status`));
      const write = `nsenter -t ${pid} -m -- touch ${repository}/written-by-test 2>&1 || true`;
      expect(await node.run('sh', '-c', write)).toContain('Read-only file system');
    }
    expect(shown.length).toBeGreaterThan(0);
    for (const text of shown) {
      expect(text).toMatch(/CapEff:\s0000000000001000\nCapBnd:\s0000000000001000\nNoNewPrivs:\s1/);
    }
  });

  test('enforces policy in both families, for a new pod too', async () => {
    expect(await verdict(pods.web)).toBe('deny');
    expect(await verdict(pods.api)).toBe('allow');
    expect(await verdict(pods.web, 'IPv6')).toBe('deny');
    expect(await verdict(pods.api, 'IPv6')).toBe('allow');
    const late = await node.addPod({ name: 'late', labels: { app: 'api' } });
    expect(await verdict(late)).toBe('deny');
    await agent.applied(() => manifests.apply(podManifest(late)));
    expect(await verdict(late)).toBe('allow');
  });

  test('repairs drift, records denials and answers', async () => {
    await node.run('nft', 'delete', 'table', 'inet', 'nftpolicy');
    await expect.poll(() => verdict(pods.web), { timeout: 10_000 }).toBe('deny');
    expect(await node.run(process.execPath, bin, 'denied')).toMatch(/DENIED +default\/web/);
    expect(await node.run(process.execPath, bin, 'status')).toContain('ENFORCING');
    expect(await agent.stop()).toBe(0);
    expect(await verdict(pods.web)).toBe('deny');
  });

  test('cleans up with no more than that', async () => {
    const command = [process.execPath, bin, 'cleanup', '--state-dir', node.directory];
    const cleaned = await node.run(...asContainer('+net_admin', node.directory), ...command);
    expect(cleaned).toContain('removed table inet nftpolicy');
    expect(await verdict(pods.web)).toBe('allow');
    expect(await node.run('nft', 'list', 'tables')).not.toContain('nftpolicy');
  });
});

test('without NET_ADMIN the agent ends at once, says why, and exits with 2', async () => {
  const lab = await Lab.create();
  try {
    const node = await lab.addNode({ name: 'node-1', mode: 'routed' });
    const agent = await LabAgent.launch(node, ['--manifests', lab.directory], {
      wrapper: asContainer('', node.directory),
      waitForReady: false,
    });
    expect(await agent.exited()).toBe(2);
    expect(agent.text).toContain('NET_ADMIN');
    for (const command of ['status', 'denied', 'cleanup']) {
      const script = `"$@" ${process.execPath} ${bin} ${command} 2>&1; echo exit $?`;
      const said = await node.run('sh', '-c', script, 'sh', ...asContainer('', node.directory));
      expect(said).toMatch(/not allowed to use nftables\. Run as root, or with the capability NET_ADMIN\.\nexit 2\n$/);
      if (command !== 'cleanup') expect(said).toContain('no agent answers at 127.0.0.1:9478');
    }
    for (const command of ['agent --node n --manifests /', 'status', 'denied', 'cleanup']) {
      const said = await node.run('sh', '-c', `PATH=/nowhere ${process.execPath} ${bin} ${command} 2>&1; echo exit $?`);
      expect(said).toMatch(/nft cannot be started\. Install nftables 1\.0\.6 or newer[^\n]*\nexit 2\n$/);
    }
  } finally {
    await lab.close();
  }
});
