/** A cluster of two nodes through what happens to clusters, with packets that never stop. */
import { setTimeout as sleep } from 'node:timers/promises';

import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

import { seededRandom } from '../api-server/random.ts';
import { whyNoRealServer } from '../api-server/real-server.ts';
import { namespaceManifest } from '../lab/manifests.ts';
import { addressOf } from '../lab/pod.ts';
import type { LabPod } from '../lab/pod.ts';
import type { Held } from '../lab/traffic.ts';
import { Cluster, policy } from './support/cluster.ts';
import type { ClusterOptions } from './support/cluster.ts';

const port = 7000;
const assets = process.env['KUBEBUILDER_ASSETS'];

describe.each([
  { name: 'routes between routed nodes', network: 'routes', modes: ['routed', 'routed'] },
  { name: 'a VXLAN overlay between bridged nodes', network: 'vxlan', modes: ['bridged', 'bridged'] },
] as const)('with $name', { timeout: 600_000 }, ({ network, modes }) => {
  describe('and the API server made for tests', () => describeCluster({ network, modes }));
  const why = whyNoRealServer(assets);
  describe.skipIf(why !== undefined)(`and a real kube-apiserver${why === undefined ? '' : ` (skipped: ${why})`}`, () =>
    describeCluster({ network, modes, assets }),
  );
});

function describeCluster(options: ClusterOptions): void {
  const real = options.assets !== undefined;
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await Cluster.create(options);
  }, 300_000);
  afterAll(() => cluster?.[Symbol.asyncDispose]());

  // Whatever a test did: the pods that nothing concerns lost nothing, and what is denied leaked nothing.
  afterEach(async () => {
    const packets = await cluster.packets();
    expect(packets).toMatchObject({ leaked: 0, lost: 0 });
    expect(packets.denied).toBeGreaterThan(100);
    expect(packets.allowed).toBeGreaterThan(100);
  });

  const agree = async (): Promise<void> => {
    expect(await cluster.settle()).toEqual([]);
  };

  test('packets agree with the evaluator and the oracle while no policy concerns the pods', async () => {
    await agree();
  });

  test('packets agree after policies for pods of both nodes came', async () => {
    await cluster.api.apply(
      policy('red', 'by-app', {
        podSelector: { matchLabels: { app: 'a' } },
        ingress: [{ from: [{ podSelector: { matchLabels: { app: 'b' } } }], ports: [{ protocol: 'TCP', port }] }],
      }),
      policy('blue', 'by-team', {
        podSelector: {},
        policyTypes: ['Ingress', 'Egress'],
        ingress: [{ from: [{ namespaceSelector: { matchLabels: { team: 'x' } } }] }],
        egress: [{ to: [{ ipBlock: { cidr: '10.244.0.0/16', except: ['10.244.1.0/24'] } }] }],
      }),
    );
    await agree();
  });

  test('packets agree after a rollout: every pod is replaced by one with other addresses', async () => {
    const before = cluster.members;
    for (const { pod } of before) await cluster.roll(pod);
    expect(cluster.members).toHaveLength(before.length);
    await agree();
  });

  test('packets agree after pods got other labels', async () => {
    const apps = ['b', 'a', 'c', 'a'];
    for (const [index, { pod }] of cluster.members.entries())
      await cluster.relabel(pod, { app: apps[index % 4] ?? 'a' });
    await agree();
  });

  test('packets agree after namespaces got other labels', async () => {
    await cluster.setTeam('red', 'y');
    await cluster.setTeam('blue', 'x');
    await agree();
    await cluster.api.apply(namespaceManifest('red', { team: 'x' }));
    await agree();
  });

  test('rules stand through an outage of the API, new pods stay closed, and what was missed is made up for', async () => {
    await cluster.api.stop();
    const [near] = cluster.nodes;
    const stranger = await cluster.addPod(near, 'red', { app: 'b' });
    const target = cluster.members.find(({ pod }) => pod.namespace === 'red' && pod.node !== near)?.pod;
    if (target === undefined) throw new Error('no pod of red on the other node');
    await cluster.lab.traffic.listen(target, 'tcp', port, addressOf(target, 'IPv4'));
    const probe = { from: stranger, to: addressOf(target, 'IPv4'), port, protocol: 'tcp' } as const;
    expect(await cluster.lab.traffic.probe(probe)).toMatchObject({ outcome: 'timeout' });
    await cluster.api.remove({ plural: 'networkpolicies', namespace: 'blue', name: 'by-team' });
    await sleep(1_000);
    await cluster.api.start();
    await agree();
  });

  test('an agent that dies and starts during an outage leaves the rules alone until the API is back', async () => {
    const [, far] = cluster.nodes;
    await cluster.api.stop();
    await cluster.agentOf(far).end('SIGKILL', { group: true });
    const agent = cluster.startAgent(far);
    await cluster.api.apply(policy('blue', 'late', { podSelector: {}, ingress: [] }));
    await sleep(2_000);
    await cluster.api.start();
    await agent.ready();
    await agree();
  });

  test.skipIf(real)('packets agree after a storm of API faults and a server that lost its history', async () => {
    const random = seededRandom(5);
    await cluster.api.control({ action: 'storm', seed: 5, share: 0.2 });
    for (let i = 0; i < 8; i++) await cluster.churn(random);
    await cluster.api.control({ action: 'calm' });
    await cluster.api.restart();
    await agree();
  });

  test.runIf(real)(
    'packets agree after the server restarted and its storage crashed, with changes between',
    async () => {
      const random = seededRandom(5);
      await cluster.api.restart();
      for (let i = 0; i < 4; i++) await cluster.churn(random);
      await cluster.api.crashStorage();
      for (let i = 0; i < 4; i++) await cluster.churn(random);
      await agree();
    },
  );

  test('agents are replaced one after the other without anybody noticing', async () => {
    for (const node of cluster.nodes) {
      await cluster.agentOf(node).end('SIGTERM');
      await cluster.churn(seededRandom(6));
      await cluster.startAgent(node).ready();
    }
    await agree();
  });

  describe('open connections between the nodes', () => {
    let server: LabPod;
    let client: LabPod;
    const held: Held[] = [];

    const all = async (waitMs?: number): Promise<readonly string[]> =>
      await Promise.all(held.map((connection) => connection.exchange(waitMs)));
    const everyOne = (outcome: string): readonly string[] => held.map(() => outcome);
    const admit = policy('green', 'server', {
      podSelector: { matchLabels: { app: 'server' } },
      ingress: [{ from: [{ podSelector: { matchLabels: { app: 'client' } } }] }],
    });

    beforeAll(async () => {
      await cluster.api.apply(namespaceManifest('green'), admit);
      const [near, far] = cluster.nodes;
      server = await cluster.addPod(near, 'green', { app: 'server' });
      client = await cluster.addPod(far, 'green', { app: 'client' });
      expect(await cluster.settle()).toEqual([]);
      for (const family of ['IPv4', 'IPv6'] as const) {
        for (const protocol of ['tcp', 'udp'] as const) {
          const to = addressOf(server, family);
          await cluster.lab.traffic.listen(server, protocol, port, to);
          held.push(await cluster.lab.traffic.hold({ from: client, to, port, protocol }));
        }
      }
    });

    test('stay through changes that do not concern them', async () => {
      await cluster.api.apply(
        policy('green', 'more', {
          podSelector: { matchLabels: { app: 'server' } },
          ingress: [{ ports: [{ port: 443 }] }],
        }),
        policy('green', 'client', {
          podSelector: { matchLabels: { app: 'client' } },
          policyTypes: ['Egress'],
          egress: [{}],
        }),
      );
      await cluster.setTeam('green', 'y');
      await agree();
      expect(await all()).toEqual(everyOne('answered'));
    });

    test('stay when both agents are killed and start again', async () => {
      for (const node of cluster.nodes) await cluster.agentOf(node).end('SIGKILL', { group: true });
      expect(await all()).toEqual(everyOne('answered'));
      for (const node of cluster.nodes) await cluster.startAgent(node).ready();
      expect(await all()).toEqual(everyOne('answered'));
    });

    test('are cut when the policy tightens, TCP and UDP, IPv4 and IPv6', async () => {
      await cluster.api.remove({ plural: 'networkpolicies', namespace: 'green', name: 'more' });
      await cluster.api.apply(
        policy('green', 'server', { podSelector: { matchLabels: { app: 'server' } }, ingress: [] }),
      );
      await agree();
      expect(await all(300)).toEqual(everyOne('timeout'));
    });

    test('go on when it loosens again', async () => {
      await cluster.api.apply(admit);
      await agree();
      // TCP repeats what was lost with growing delays.
      expect(await all(20_000)).toEqual(everyOne('answered'));
    });

    test('are cut when the client loses its label', async () => {
      await cluster.relabel(client, { app: 'other' });
      await agree();
      expect(await all(300)).toEqual(everyOne('timeout'));
    });
  });
}
