/**
 * The test API server with a large cluster in it, for `bench/agent.ts`: a process of its own, so that only the agent is
 * measured. Obeys lines of JSON on stdin; every line is answered by one line.
 */
import { createInterface } from 'node:readline';

import { TestApiServer } from '../../test/api-server/server.ts';
import { appOf, localPods, namespaceObject, podObject, policyObjects, sequence } from './cluster.ts';
import type { ClusterSize } from './cluster.ts';

/** What the benchmark may ask. */
export type ServerCommand =
  { readonly action: 'updates'; readonly perSecond: number; readonly seconds: number } | { readonly action: 'restart' };

const size = JSON.parse(process.argv[2] ?? '{}') as ClusterSize & { readonly protobuf: boolean };
const server = new TestApiServer({ protobuf: size.protobuf, ordered: true });
const { truth } = server;
const random = sequence(7);

for (let i = 0; i < size.namespaces; i += 1) truth.create('namespaces', namespaceObject(i));
for (const policy of policyObjects(size)) truth.create('networkpolicies', policy);
let bytes = 0;
for (let i = 0; i < size.pods; i += 1) {
  const pod = truth.create('pods', podObject(i, size));
  if (i % 1000 === 0) bytes += JSON.stringify(pod).length;
}
await server.start();
const podBytes = Math.round(bytes / Math.ceil(size.pods / 1000));
process.stdout.write(`${JSON.stringify({ kubeconfig: server.kubeconfig(), podBytes })}\n`);

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line) as ServerCommand;
  if (command.action === 'updates') await update(command.perSecond, command.seconds);
  else await server.restart();
  process.stdout.write('{}\n');
}
await server.stop();

/** Of ten updates nine say nothing new (a restart count), one changes the app of a pod elsewhere. */
async function update(perSecond: number, seconds: number): Promise<void> {
  const start = performance.now();
  for (let sent = 0; sent < perSecond * seconds;) {
    const due = Math.min(perSecond * seconds, Math.floor(((performance.now() - start) / 1000) * perSecond));
    for (; sent < due; sent += 1) {
      const index = localPods + random(size.pods - localPods);
      const app = sent % 10 === 0 ? random(12) : appOf(index, size);
      truth.update('pods', podObject(index, size, app, sent));
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
