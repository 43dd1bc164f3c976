import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { LabAgent } from '../lab/agent.ts';
import { Lab } from '../lab/lab.ts';
import { ManifestDirectory, namespaceManifest, nodeManifest, podManifest } from '../lab/manifests.ts';
import type { Manifest } from '../lab/manifests.ts';
import { probeAll } from '../lab/matrix.ts';
import { addressOf } from '../lab/pod.ts';
import type { LabPod } from '../lab/pod.ts';
import type { LabNode } from '../lab/node.ts';

let lab: Lab;
let node: LabNode;
let closed: LabPod;
let manifests: ManifestDirectory;

const nobody: Manifest = {
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'nobody', namespace: 'default' },
  spec: { podSelector: {}, policyTypes: ['Ingress'] },
};

beforeAll(async () => {
  lab = await Lab.create();
  node = await lab.addNode({ name: 'node-1', mode: 'routed' });
  closed = await node.addPod({ name: 'closed' });
  manifests = new ManifestDirectory(join(lab.directory, 'manifests'));
  manifests.apply(namespaceManifest('default'), nodeManifest(node), podManifest(closed));
});
afterAll(async () => {
  await lab.close();
});

async function verdict(): Promise<string | undefined> {
  const to = addressOf(closed, 'IPv4');
  const probe = { name: 'in', from: lab.outside, to, port: 8080, protocol: 'tcp', at: closed } as const;
  const [answer] = await probeAll(lab.traffic, [probe]);
  return answer?.verdict;
}

test('an agent that starts while its policies cannot be read leaves the rules of the one before it', async () => {
  manifests.writeText('policies.json', JSON.stringify(nobody));
  const first = await LabAgent.start(node, manifests.path);
  expect(await verdict()).toBe('deny');
  await first.stop();

  manifests.writeText('policies.json', JSON.stringify(nobody).slice(0, -9));
  const second = await LabAgent.launch(node, [`--manifests=${manifests.path}`], { waitForReady: false });
  const text = (): string => second.log.map(({ msg }) => msg).join('\n');
  await expect.poll(text, { timeout: 20_000 }).toContain('cannot begin with');
  expect(await verdict()).toBe('deny');

  await second.applied(() => manifests.writeText('policies.json', JSON.stringify(nobody)));
  expect(await verdict()).toBe('deny');
  await second.applied(() => manifests.removeText('policies.json'));
  expect(await verdict()).toBe('allow');
  await second.stop();
});
