import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { LabAgent } from '../lab/agent.ts';
import { Lab } from '../lab/lab.ts';
import { ManifestDirectory, namespaceManifest, nodeManifest, podManifest } from '../lab/manifests.ts';
import { probeAll } from '../lab/matrix.ts';
import { addressOf } from '../lab/pod.ts';
import type { LabPod } from '../lab/pod.ts';
import type { LabNode } from '../lab/node.ts';

/** As Calico and AWS name it: after the pod, so that one of the same name gets it again. */
const hostInterface = 'veth0a1b2c3d';

let lab: Lab;
let node: LabNode;
let manifests: ManifestDirectory;

beforeAll(async () => {
  lab = await Lab.create();
  node = await lab.addNode({ name: 'node-1', mode: 'routed' });
  manifests = new ManifestDirectory(join(lab.directory, 'manifests'));
  manifests.apply(namespaceManifest('default'), nodeManifest(node));
});
afterAll(async () => {
  await lab.close();
});

/** SCTP, because it is judged by what arrives: answers from an address that nobody knows would be lost in any case. */
async function verdicts(pod: LabPod): Promise<readonly (string | undefined)[]> {
  const answers = await probeAll(
    lab.traffic,
    (['IPv4', 'IPv6'] as const).flatMap((family) => [
      { name: 'in', from: lab.outside, to: addressOf(pod, family), port: 8080, protocol: 'sctp', at: pod } as const,
      {
        name: 'out',
        from: pod,
        to: addressOf({ name: 'outside', ips: lab.outside.addresses }, family),
        port: 8080,
        protocol: 'sctp',
        at: lab.outside,
      } as const,
    ]),
  );
  return answers.map(({ verdict }) => verdict);
}

test('a pod that gets the interface of another while no agent runs inherits nothing from it', async () => {
  const first = await node.addPod({
    name: 'web-0',
    attach: 'plain',
    hostInterface,
    ips: ['10.244.1.50', 'fd00:10:244:1::50'],
  });
  manifests.apply(podManifest(first));
  const agent = await LabAgent.start(node, manifests.path);
  expect(await verdicts(first)).toEqual(['allow', 'allow', 'allow', 'allow']);
  await agent.stop();

  await node.removePod(first);
  const second = await node.addPod({
    name: 'web-0',
    attach: 'plain',
    hostInterface,
    ips: ['10.244.1.51', 'fd00:10:244:1::51'],
  });
  expect(await verdicts(second)).toEqual(['deny', 'deny', 'deny', 'deny']);

  manifests.apply(podManifest(second));
  const next = await LabAgent.start(node, manifests.path);
  expect(await verdicts(second)).toEqual(['allow', 'allow', 'allow', 'allow']);
  await next.stop();
});
