import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import type { StatusReport } from '../../src/controller/status-report.ts';
import { LabAgent } from '../lab/agent.ts';
import { LabApiServer } from '../lab/api-server.ts';
import { Lab } from '../lab/lab.ts';
import { namespaceManifest, nodeManifest, podManifest } from '../lab/manifests.ts';
import type { Manifest } from '../lab/manifests.ts';
import { probeAll } from '../lab/matrix.ts';
import type { LabNode } from '../lab/node.ts';
import { addressOf } from '../lab/pod.ts';
import type { LabPod } from '../lab/pod.ts';

const bin = join(import.meta.dirname, '../../bin/policy.mjs');

function admit(app: string): Manifest {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'database', namespace: 'default' },
    spec: {
      podSelector: { matchLabels: { app: 'database' } },
      ingress: [{ from: [{ podSelector: { matchLabels: { app } } }] }],
    },
  };
}

describe('an agent that starts while the API server is down', () => {
  let lab: Lab;
  let node: LabNode;
  let api: LabApiServer;
  const agents: LabAgent[] = [];
  let state: string;
  let pods: Readonly<Record<'database' | 'api' | 'web', LabPod>>;

  beforeAll(async () => {
    lab = await Lab.create();
    node = await lab.addNode({ name: 'node-1', mode: 'routed' });
    const add = (name: string): Promise<LabPod> => node.addPod({ name, labels: { app: name } });
    const [database, apiPod, web] = await Promise.all([add('database'), add('api'), add('web')]);
    pods = { database, api: apiPod, web };
    api = await LabApiServer.start(node);
    await api.apply(namespaceManifest('default'), nodeManifest(node), admit('api'));
    await api.apply(...Object.values(pods).map((pod) => podManifest(pod)));
    state = join(node.directory, 'state');
    const agent = await launch();
    expect(await verdict(pods.web)).toBe('deny');
    await agent.stop();
    expect(readdirSync(state)).toEqual(['objects.jsonl']);
    await api.ask({ action: 'stop' });
  });
  afterAll(async () => {
    await lab?.close();
  });

  afterEach(async () => {
    for (const agent of agents.splice(0)) await agent.stop();
  });

  const launch = (options: { readonly waitForReady?: boolean } = {}): Promise<LabAgent> =>
    LabAgent.launch(node, ['--kubeconfig', api.kubeconfig, '--state-dir', state], options).then((agent) => {
      agents.push(agent);
      return agent;
    });
  const verdict = async (from: LabPod): Promise<string | undefined> => {
    const to = { to: addressOf(pods.database, 'IPv4'), port: 5432, protocol: 'tcp' as const, at: pods.database };
    return (await probeAll(lab.traffic, [{ ...to, from }]))[0]?.verdict;
  };
  const status = async (): Promise<StatusReport> =>
    JSON.parse(await node.run('curl', '-s', 'http://127.0.0.1:9478/status')) as StatusReport;
  const reboot = async (): Promise<void> => void (await node.run(process.execPath, bin, 'cleanup'));

  test('leaves the rules in the kernel as they are', async () => {
    const agent = await launch({ waitForReady: false });
    await agent.logged(({ msg }) => msg.includes('the rules in the kernel stay as they are'));
    expect(await verdict(pods.web)).toBe('deny');
    expect(await verdict(pods.api)).toBe('allow');
    expect((await status()).state).toBe('syncing');
    await agent.stop();
  });

  test('enforces the objects it kept when a stranger takes those rules away', async () => {
    const agent = await launch({ waitForReady: false });
    await agent.logged(({ msg }) => msg.includes('the rules in the kernel stay as they are'));
    await node.run('nft', 'flush', 'ruleset');
    expect(await verdict(pods.web)).toBe('allow');
    await expect.poll(() => verdict(pods.web), { timeout: 40_000 }).toBe('deny');
    expect(await verdict(pods.api)).toBe('allow');
    expect((await status()).state).toBe('cold-start');
    await agent.stop();
  });

  test('after a reboot enforces the objects it kept, closes pods it does not know, and is not ready', async () => {
    await reboot();
    expect(await verdict(pods.web)).toBe('allow');
    const stranger = await node.addPod({ name: 'stranger' });
    const agent = await launch({ waitForReady: false });
    await agent.logged(({ msg }) => msg.includes('enforcing the objects kept on disk'));
    await agent.logged(({ msg }) => msg === 'applied');
    await agent.settled();
    expect(await verdict(pods.web)).toBe('deny');
    expect(await verdict(pods.api)).toBe('allow');
    expect(await verdict(stranger)).toBe('deny');
    expect(await status()).toMatchObject({ state: 'cold-start', ready: false });
    // What the API server says counts from the moment it answers.
    await api.ask({ action: 'start' });
    await api.apply(admit('web'), podManifest(stranger));
    await expect.poll(async () => (await status()).state, { timeout: 40_000 }).toBe('enforcing');
    await expect.poll(() => verdict(pods.web), { timeout: 10_000 }).toBe('allow');
    expect(await verdict(pods.api)).toBe('deny');
    expect((await status()).ready).toBe(true);
    await agent.stop();
    await api.ask({ action: 'stop' });
  });

  test('believes no damaged file: it writes nothing and says that the node is open', async () => {
    await reboot();
    writeFileSync(join(state, 'objects.jsonl'), '{"nftpolicy":"objects","format":2,"node":"node-1"}\n{}\n');
    const agent = await launch({ waitForReady: false });
    await agent.logged(({ level, msg }) => level === 'error' && /hash differs: this node is OPEN/.test(msg));
    expect(await node.run('nft', 'list', 'tables')).not.toContain('nftpolicy');
    await agent.stop();
  });
});
