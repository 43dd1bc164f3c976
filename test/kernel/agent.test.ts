import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { LabAgent } from '../lab/agent.ts';
import { askExplain } from '../lab/ask-explain.ts';
import { podManifest } from '../lab/manifests.ts';
import { probeAll } from '../lab/matrix.ts';
import type { Cell } from '../lab/matrix.ts';
import { addressOf } from '../lab/pod.ts';
import { createScenario } from '../lab/scenario.ts';
import type { Scenario } from '../lab/scenario.ts';

const policyFile = join(import.meta.dirname, '../../examples/01-database-api/policy.yaml');
const policyText = readFileSync(policyFile, 'utf8');
const bin = join(import.meta.dirname, '../../bin/policy.mjs');

describe.each(['routed', 'bridged'] as const)('policy agent on a %s node', (mode) => {
  let scenario: Scenario;
  let agent: LabAgent;

  beforeAll(async () => {
    scenario = await createScenario(mode);
    agent = await LabAgent.start(scenario.node, scenario.manifests.path);
  });
  afterAll(async () => {
    await scenario?.lab.close();
  });

  const expectAgreement = async (): Promise<void> => {
    const packets = await scenario.probe();
    const expected = await askExplain(scenario.manifests.path, scenario.cells);
    const wrong = packets.flatMap(({ cell, verdict }, i) =>
      verdict === expected[i] ? [] : [`${cell.row} -> ${cell.column}: packets ${verdict}, explain ${expected[i]}`],
    );
    expect(wrong).toEqual([]);
    expect(packets.length).toBeGreaterThan(50);
  };
  const verdict = async (cell: Partial<Cell> & Pick<Cell, 'from'>): Promise<string> => {
    const { database } = scenario.pods;
    const toDatabase = { to: addressOf(database, 'IPv4'), port: 5432, protocol: 'tcp' as const, at: database };
    const [answer] = await probeAll(scenario.lab.traffic, [{ ...toDatabase, ...cell }]);
    return answer?.verdict ?? 'no answer';
  };

  test('lets everything pass before there is a policy', async () => {
    await expectAgreement();
    expect(await verdict({ from: scenario.pods.web })).toBe('allow');
  });

  test('enforces the example as explain says, for pods, nodes, Services and the outside', async () => {
    await agent.applied(() => scenario.manifests.writeText('policy.yaml', policyText));
    await expectAgreement();
    expect(await verdict({ from: scenario.pods.web })).toBe('deny');
    expect(await verdict({ from: scenario.pods.api })).toBe('allow');
  });

  test('keeps the last good state when a file breaks, and says where', async () => {
    scenario.manifests.writeText('policy.yaml', `${policyText}  bad indent: [\n`);
    await agent.logged(({ level, msg }) => level === 'error' && msg.includes('policy.yaml:'));
    expect(await verdict({ from: scenario.pods.web })).toBe('deny');
    expect(await verdict({ from: scenario.pods.api })).toBe('allow');
    scenario.manifests.writeText('policy.yaml', policyText.replaceAll('app-component: api', 'app-component: apis'));
    await agent.settled();
    await expect.poll(() => verdict({ from: scenario.pods.api }), { timeout: 5000 }).toBe('deny');
    scenario.manifests.writeText('policy.yaml', policyText);
    await expect.poll(() => verdict({ from: scenario.pods.api }), { timeout: 5000 }).toBe('allow');
  });

  test('puts its rules back when somebody flushes the ruleset', async () => {
    await scenario.node.run('nft', 'flush', 'table', 'inet', 'nftpolicy');
    await expect.poll(() => verdict({ from: scenario.pods.web }), { timeout: 5000 }).toBe('deny');
    await scenario.node.run('nft', 'delete', 'table', 'inet', 'nftpolicy');
    await expect.poll(() => verdict({ from: scenario.pods.web }), { timeout: 5000 }).toBe('deny');
    await expectAgreement();
  });

  test('drops packets with the address of an allowed pod that come from another pod', async () => {
    const { web, api, database } = scenario.pods;
    await scenario.node.run(
      'ip',
      'netns',
      'exec',
      web.netns,
      'ip',
      'addr',
      'add',
      `${addressOf(api, 'IPv4')}/32`,
      'dev',
      'lo',
    );
    const spoofed = { from: web, source: addressOf(api, 'IPv4'), protocol: 'udp' as const };
    await scenario.lab.traffic.listen(database, 'udp', 5432, addressOf(database, 'IPv4'));
    const stream = await scenario.lab.traffic.stream(
      { from: web, source: spoofed.source, to: addressOf(database, 'IPv4'), port: 5432 },
      { rate: 200 },
    );
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await stream.halt()).toBeGreaterThan(10);
    const received = await scenario.lab.traffic.received(database, 5432);
    expect(received.get(addressOf(api, 'IPv4')) ?? 0).toBe(0);
    await scenario.node.run(
      'ip',
      'netns',
      'exec',
      web.netns,
      'ip',
      'addr',
      'del',
      `${addressOf(api, 'IPv4')}/32`,
      'dev',
      'lo',
    );
  });

  test('gives a reused address to the new pod, not to the rights of the old one', async () => {
    const labels = { 'app-component': 'api' };
    const first = await scenario.node.addPod({ name: 'first', labels });
    await agent.applied(() => scenario.manifests.apply(podManifest(first)));
    // Its peer sets are applied before its interface is found: two changes, of which a busy machine may show one.
    await expect.poll(() => verdict({ from: first }), { timeout: 10_000 }).toBe('allow');
    await scenario.node.removePod(first);
    const second = await scenario.node.addPod({ name: 'second', ips: first.ips });
    await agent.applied(() => {
      scenario.manifests.remove({ kind: 'Pod', namespace: 'default', name: 'first' });
      scenario.manifests.apply(podManifest(second));
    });
    expect(await verdict({ from: second })).toBe('deny');
  });

  test('adopts the rules of the agent before it without cutting anybody', async () => {
    await agent.stop('SIGKILL');
    expect(await verdict({ from: scenario.pods.web })).toBe('deny');
    const held = await scenario.lab.traffic.hold({
      from: scenario.pods.api,
      to: addressOf(scenario.pods.database, 'IPv6'),
      port: 5432,
      protocol: 'tcp',
    });
    agent = await LabAgent.start(scenario.node, scenario.manifests.path);
    expect(await held.exchange()).toBe('answered');
    await held.release();
    await expectAgreement();
  });

  test('cleanup refuses while it runs: the rules would come back, and traffic would be open until then', async () => {
    const refused = await scenario.node.run('sh', '-c', `${process.execPath} ${bin} cleanup 2>&1; echo $?`);
    expect(refused).toMatch(/nothing was removed: the agent of this node runs[^]*\n2\n$/);
    expect(await verdict({ from: scenario.pods.web })).toBe('deny');
  });

  test('leaves the rules when it is told to stop, and cleanup removes them', async () => {
    await agent.stop('SIGTERM');
    expect(await verdict({ from: scenario.pods.web })).toBe('deny');
    await scenario.node.run(process.execPath, bin, 'cleanup');
    expect(await scenario.node.run('nft', 'list', 'tables')).not.toContain('nftpolicy');
    expect(await verdict({ from: scenario.pods.web })).toBe('allow');
    expect(await scenario.node.run(process.execPath, bin, 'cleanup')).toContain('nothing to remove');
  });
});
