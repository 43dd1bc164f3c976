import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';

import { LabAgent } from '../lab/agent.ts';
import { Lab } from '../lab/lab.ts';
import { ManifestDirectory, namespaceManifest, nodeManifest, podManifest } from '../lab/manifests.ts';
import { probeAll } from '../lab/matrix.ts';
import type { CniFiles } from '../lab/cni.ts';
import type { LabNode } from '../lab/node.ts';
import { addressOf } from '../lab/pod.ts';
import type { LabPod } from '../lab/pod.ts';
import { ipBatch } from '../lab/run.ts';
import type { Place } from '../lab/traffic.ts';

let lab: Lab | undefined;

afterEach(async () => {
  await lab?.close();
  lab = undefined;
});

interface World {
  readonly lab: Lab;
  readonly node: LabNode;
  readonly manifests: ManifestDirectory;
  /** The pods that every test has, known to the API. */
  readonly open: LabPod;
}

async function createWorld(cniFiles: CniFiles): Promise<World> {
  lab = await Lab.create();
  const node = await lab.addNode({ name: 'node-1', mode: 'routed', cniFiles });
  const open = await node.addPod({ name: 'open' });
  const manifests = new ManifestDirectory(join(lab.directory, 'manifests'));
  manifests.apply(namespaceManifest('default'), nodeManifest(node), podManifest(open));
  return { lab, node, manifests, open };
}

/** Which of these pairs reach each other, both families. */
async function reached(world: World, pairs: Readonly<Record<string, readonly [Place, LabPod]>>): Promise<string[]> {
  const cells = Object.entries(pairs).flatMap(([pair, [from, at]]) =>
    (['IPv4', 'IPv6'] as const).map((family) => ({
      name: `${pair} ${family}`,
      from,
      to: addressOf(at, family),
      port: 8080,
      protocol: 'tcp' as const,
      at,
    })),
  );
  const answers = await probeAll(world.lab.traffic, cells);
  return answers.flatMap(({ cell, verdict }) => (verdict === 'allow' ? [cell.name] : []));
}

const both = (...pairs: readonly string[]): string[] => pairs.flatMap((pair) => [`${pair} IPv4`, `${pair} IPv6`]);

describe('a pod that the API does not know, on a node whose plugin names interfaces as nobody knows', () => {
  const ips = ['10.244.1.77', 'fd00:10:244:1::77'];

  async function meet(world: World): Promise<string[]> {
    const options = { ips, attach: 'plain', hostInterface: 'podlink7' } as const;
    const stranger = await world.node.addPod({ name: 'stranger', ...options });
    const pairs = { 'from it': [stranger, world.open], 'to it': [world.open, stranger] } as const;
    const outside = { 'from outside': [world.lab.outside, stranger], others: [world.lab.outside, world.open] } as const;
    const found = await reached(world, { ...pairs, ...outside });
    await world.node.removePod(stranger);
    return found;
  }

  test('is closed from the start, and the uplink, a veth too, stays open', async () => {
    const world = await createWorld('none');
    expect(await meet(world)).toEqual(both('from it', 'to it', 'from outside', 'others'));
    const agent = await LabAgent.start(world.node, world.manifests.path);
    expect(await meet(world)).toEqual(both('others'));
    await agent.stop('SIGTERM');
    expect(await meet(world)).toEqual(both('others'));
  });
});

describe('a pod that forwards for a network behind it, which only a host route names', () => {
  test('stays closed as reported, though the route through a gateway makes it look like an uplink', async () => {
    const world = await createWorld('config');
    const ips = ['10.244.1.78', 'fd00:10:244:1::78'];
    const gateway = await world.node.addPod({ name: 'gateway', ips, attach: 'plain' });
    await ipBatch(world.node.netns, [
      `route add 192.168.77.0/24 via ${ips[0] ?? ''} dev ${gateway.hostInterface} onlink`,
    ]);
    world.manifests.apply(podManifest(gateway));
    const pairs = { 'from it': [gateway, world.open], 'to it': [world.open, gateway] } as const;
    expect(await reached(world, pairs)).toEqual(both('from it', 'to it'));
    // Without SYS_ADMIN the agent cannot look into namespaces: only the route is left.
    const wrapper = ['setpriv', '--bounding-set', '-all,+net_admin', '--inh-caps', '-all,+net_admin', '--no-new-privs'];
    const agent = await LabAgent.launch(world.node, [`--manifests=${world.manifests.path}`], { wrapper });
    expect(agent.log.map(({ msg }) => msg).join('\n')).toMatch(/default\/gateway stays closed: .*through a gateway/);
    expect(await reached(world, pairs)).toEqual([]);
  });
});
