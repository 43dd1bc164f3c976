import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { LabApiServer } from '../e2e/support/api-server.ts';
import { LabAgent } from '../lab/agent.ts';
import type { Manifest } from '../lab/manifests.ts';
import type { LabNode } from '../lab/node.ts';
import { CommandError, run } from '../lab/run.ts';
import { createScenario } from '../lab/scenario.ts';
import { compareSample, docCommands, docSample } from '../support/doc-samples.ts';
import type { Scenario } from '../lab/scenario.ts';

const bin = join(import.meta.dirname, '../../bin/policy.mjs');
const example = join(import.meta.dirname, '../../examples/01-database-api/policy.yaml');
const policy = parse(readFileSync(example, 'utf8')) as Manifest;

/** A pod of the agent as `deploy/kustomize` makes it. */
function agentPod(node: LabNode): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: `nftpolicy-${node.name}`,
      namespace: 'kube-system',
      labels: { 'app.kubernetes.io/name': 'nftpolicy' },
    },
    spec: { nodeName: node.name, hostNetwork: true, containers: [{ name: 'agent', image: 'nftpolicy' }] },
    status: { phase: 'Running', podIP: node.addresses[0] },
  };
}

describe('policy explain from elsewhere', () => {
  let scenario: Scenario;
  let api: LabApiServer;
  let nodes: readonly [LabNode, LabNode];
  const agents: LabAgent[] = [];

  beforeAll(async () => {
    scenario = await createScenario('routed');
    nodes = [scenario.node, scenario.pods.remoteApi.node];
    api = await LabApiServer.start(scenario.lab, scenario.node);
    const { path } = scenario.manifests;
    const objects = readdirSync(path).map((file) => JSON.parse(readFileSync(join(path, file), 'utf8')) as Manifest);
    await api.apply(...objects, { ...policy, metadata: { ...policy.metadata, namespace: 'default' } });
    await api.apply(...nodes.map(agentPod));
    await api.runContainers(nodes);
    for (const node of nodes) {
      const args = ['--kubeconfig', api.kubeconfig, '--state-dir', join(node.directory, 'state')];
      agents.push(await LabAgent.launch(node, args));
    }
  });
  afterAll(async () => {
    await scenario?.lab.close();
  });

  /** Asked beyond the nodes, where there is nothing but a kubeconfig. */
  const explain = async (...args: string[]): Promise<{ readonly code: number | null; readonly out: string }> => {
    const { netns } = scenario.lab.outside;
    const command = ['ip', 'netns', 'exec', netns, process.execPath, bin, 'explain', '--kubeconfig', api.kubeconfig];
    try {
      return { code: 0, out: await run([...command, '--family', '4', ...args]) };
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      return { code: error.exitCode, out: error.stderr };
    }
  };
  const insist = (...args: string[]): ReturnType<typeof explain> => explain('--installed', 'require', ...args);

  test('shows the rules of both nodes, in the order of the packet', async () => {
    const { code, out } = await insist('default/remote-api', 'default/database:5432');
    expect(out).toMatch(/^ALLOWED {2}default\/remote-api -> default\/database/m);
    expect(out).toMatch(
      /installed \(inet nftpolicy on node-1, node-2\)\n {2}node-2 +egress +chain \S+ +handle \d+ +accept/,
    );
    expect(out).toMatch(/node-1 +ingress +chain pod-veth\w+-ingress +handle \d+ +accept +default\/database, rule 1/);
    expect(out).not.toMatch(/differs|warning/);
    expect(code).toBe(0);
    const denied = await insist('default/remote-web', 'default/database:5432');
    expect(denied.out).toMatch(/node-1 +ingress +chain pod-veth\w+-ingress +handle \d+ +drop/);
    expect(denied.code).toBe(1);
  });

  /** What the command of a page prints here. */
  const askSample = async (name: string): Promise<string> => {
    const [command] = docCommands(docSample(name));
    const { netns } = scenario.lab.outside;
    const policy = ['env', `KUBECONFIG=${api.kubeconfig}`, process.execPath, bin, ...(command?.args ?? [])];
    return await run(['ip', 'netns', 'exec', netns, 'sh', '-c', '"$@" || true', 'sh', ...policy]);
  };

  test('prints what the guide shows', async () => {
    const { shown, found } = compareSample('nodes', await askSample('nodes'));
    expect(found).toBe(shown);
  });

  test('asks no node unless it is told to, and one if one is named', async () => {
    expect((await explain('default/remote-api', 'default/database:5432')).out).not.toContain('installed');
    const { out } = await explain('--node', 'node-1', 'default/remote-api', 'default/database:5432');
    expect(out).toContain('installed (inet nftpolicy on node-1)\n');
    expect(out).not.toMatch(/node-2 +egress/);
  });

  test('says the same in JSON, a node at a time', async () => {
    const { out } = await insist('-o', 'json', 'default/remote-api', 'default/database:5432');
    const { installed } = JSON.parse(out) as { installed: readonly { node: string; flows: readonly object[] }[] };
    expect(installed.map(({ node, flows }) => [node, flows.length])).toEqual([
      ['node-1', 1],
      ['node-2', 1],
    ]);
  });

  test('is loud about a node that does something else', async () => {
    const [, far] = nodes;
    await agents[1]?.stop('SIGKILL');
    const remote = scenario.pods.remoteApi;
    const insert = ['nft', 'insert', 'rule', 'inet', 'nftpolicy', 'forward-egress'];
    await far.run(...insert, 'iifname', remote.hostInterface, 'drop');
    const { code, out } = await insist('default/remote-api', 'default/database:5432');
    expect(out).toMatch(/^DENIED\[E070\] {2}default\/remote-api -> default\/database/m);
    expect(out).toMatch(
      /differs on node-2: chain forward-egress handle \d+ drops it, and no policy isolates remote-api/,
    );
    expect(out).toMatch(/no agent answers at .*these rules are what an agent left/);
    expect(out).toContain('policies say ALLOWED');
    expect(code).toBe(1);
  });

  test('says which right is missing', async () => {
    await api.control({ action: 'forbid', verb: 'create', plural: 'pods/exec' });
    const { code, out } = await insist('default/remote-api', 'default/database:5432');
    expect(out).toContain('allow "get" and "create" on pods/exec in namespace kube-system');
    expect(code).toBe(2);
    await api.control({ action: 'permit', verb: 'create', plural: 'pods/exec' });
  });

  test('does not take the word of policies for a node without agent', async () => {
    await api.remove({ plural: 'pods', namespace: 'kube-system', name: 'nftpolicy-node-1' });
    const denied = await insist('default/remote-web', 'default/database:5432');
    expect(denied.out).toMatch(/^UNKNOWN\[E071\] {2}default\/remote-web -> default\/database/m);
    expect(denied.out).toContain('installed: node-1 has no agent to ask [E071]');
    expect(denied.out).toContain('no pod with app.kubernetes.io/name=nftpolicy runs on node-1');
    expect(denied.code).toBe(3);
    const sample = compareSample('node-without-agent', await askSample('node-without-agent'));
    expect(sample.found).toBe(sample.shown);
    await api.apply(agentPod(nodes[0]));
    await agents[0]?.stop('SIGKILL');
    await nodes[0].run(process.execPath, bin, 'cleanup');
    const open = await insist('default/remote-web', 'default/database:5432');
    expect(open.out).toMatch(/^UNKNOWN\[E071\]/m);
    expect(open.out).toContain('installed: node-1 has no table nftpolicy; nothing is enforced there [E071]');
  });
});
