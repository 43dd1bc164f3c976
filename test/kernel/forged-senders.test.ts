import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';

import { LabAgent } from '../lab/agent.ts';
import { Lab } from '../lab/lab.ts';
import { ManifestDirectory, namespaceManifest, nodeManifest, podManifest } from '../lab/manifests.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';
import { run } from '../lab/run.ts';
import { arrivals, echo, send, udp } from './support/frames.ts';

/*
 * What a pod may make its node say in another's name. `victim` admits `friend` of the other node only; `forger` is no
 * pod that anybody restricts.
 */
let lab: Lab | undefined;

afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

interface World {
  readonly lab: Lab;
  readonly node: LabNode;
  readonly other: LabNode;
  readonly pods: Readonly<Record<'forger' | 'victim' | 'friend', LabPod>>;
}

async function createWorld(
  mode: 'routed' | 'bridged',
  network: 'routes' | 'vxlan',
  ...args: readonly string[]
): Promise<World> {
  lab = await Lab.create({ network });
  const node = await lab.addNode({ name: 'node-1', mode, cniFiles: 'config' });
  const other = await lab.addNode({ name: 'node-2', mode });
  const pod = (at: LabNode, name: string): Promise<LabPod> => at.addPod({ name, labels: { app: name } });
  const [forger, victim, friend] = [await pod(node, 'forger'), await pod(node, 'victim'), await pod(other, 'friend')];
  const manifests = new ManifestDirectory(join(lab.directory, 'manifests'));
  manifests.apply(
    namespaceManifest('default'),
    ...[node, other].map(nodeManifest),
    ...[forger, victim, friend].map((one) => podManifest(one)),
    {
      apiVersion: 'networking.k8s.io/v1',
      kind: 'NetworkPolicy',
      metadata: { name: 'friend-only', namespace: 'default' },
      spec: {
        podSelector: { matchLabels: { app: 'victim' } },
        ingress: [{ from: [{ podSelector: { matchLabels: { app: 'friend' } } }] }],
      },
    },
  );
  await LabAgent.start(node, manifests.path, args);
  return { lab, node, other, pods: { forger, victim, friend } };
}

async function macOf(netns: string, device: string): Promise<string> {
  return (await run(['ip', 'netns', 'exec', netns, 'cat', `/sys/class/net/${device}/address`])).trim();
}

/** A datagram by an ordinary socket. */
function say(from: LabPod, to: string, port: number, hex: string): Promise<string> {
  const script = `use IO::Socket::INET;
    IO::Socket::INET->new(Proto => "udp", PeerAddr => "${to}", PeerPort => ${String(port)})->send(pack("H*", "${hex}"))`;
  return run(['ip', 'netns', 'exec', from.netns, '/usr/bin/perl', '-e', script]);
}

test('a routed pod cannot have its node answer another pod', async () => {
  const { node, pods } = await createWorld('routed', 'routes');
  const { forger, victim } = pods;
  for (const [family, index] of Object.entries({ IPv4: 0, IPv6: 1 })) {
    const asks = async (sender: LabPod, source: string, text: string): Promise<number> => {
      const frame = echo(
        sender.mac,
        await macOf(node.netns, sender.hostInterface),
        source,
        node.addresses[index]!,
        text,
      );
      return await arrivals(victim, text, () => send(sender.netns, 'eth0', frame));
    };
    expect(await asks(victim, victim.ips[index]!, 'asked by itself'), family).toBe(1);
    expect(await asks(forger, victim.ips[index]!, 'asked by another'), family).toBe(0);
  }
});

test('a refusal is no answer to somebody who never asked', async () => {
  const { lab, node, pods } = await createWorld('routed', 'routes', '--reject');
  const { forger, victim } = pods;
  const tries = async (sender: LabPod, to: string, text: string): Promise<number> => {
    const frame = udp(sender.mac, await macOf(node.netns, sender.hostInterface), victim.ips[0]!, to, text);
    return await arrivals(victim, text, () => send(sender.netns, 'eth0', frame));
  };
  expect(await tries(forger, lab.outside.addresses[0]!, 'quoted')).toBe(0);
});

test('an accepted pod that nobody knows speaks for no other pod of the node', async () => {
  const { node, pods } = await createWorld('routed', 'routes', '--unknown-pods=accept');
  const { forger, victim } = pods;
  const stranger = await node.addPod({ name: 'stranger' });
  const sent = async (source: string, text: string): Promise<number> => {
    const frame = udp(stranger.mac, await macOf(node.netns, stranger.hostInterface), source, forger.ips[0]!, text);
    return await arrivals(forger, text, () => send(stranger.netns, 'eth0', frame));
  };
  expect(await sent(stranger.ips[0]!, 'by itself')).toBe(1);
  expect(await sent(victim.ips[0]!, 'by another')).toBe(0);
});

test.each(['routed', 'bridged'] as const)(
  'a pod cannot send into the tunnel of its node or of another (%s)',
  async (mode) => {
    const { node, other, pods } = await createWorld(mode, 'vxlan');
    const { forger, victim, friend } = pods;
    const hidden = async (from: LabPod, to: LabPod, text: string): Promise<string> => {
      const frame = udp('02:00:00:00:00:77', await macOf(to.node.netns, 'vxlan1'), from.ips[0]!, to.ips[0]!, text);
      return `0800000000000100${frame}`;
    };
    const said = Buffer.from('through the tunnel').toString('hex');
    expect(await arrivals(victim, 'through the tunnel', () => say(friend, victim.ips[0]!, 9, said))).toBe(1);
    const here = await hidden(friend, victim, 'hidden here');
    expect(await arrivals(victim, 'hidden here', () => say(forger, node.addresses[0]!, 4789, here))).toBe(0);
    const there = await hidden(victim, friend, 'hidden there');
    expect(await arrivals(friend, 'hidden there', () => say(forger, other.addresses[0]!, 4789, there))).toBe(0);
  },
);
