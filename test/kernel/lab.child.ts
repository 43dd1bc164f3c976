/** A process with a lab, for the tests of cleaning up: reports what it made, then waits to be ended. */
import { createInterface } from 'node:readline';
import { Lab } from '../lab/lab.ts';

const lab = await Lab.create();
const node = await lab.addNode({ name: 'node', mode: 'routed' });
const pod = await node.addPod({ name: 'pod' });
// `sh` starts a second process: both must end.
const sleeper = node.spawn(['sh', '-c', 'sleep 600; true']);
console.log(
  JSON.stringify({
    namespaces: [lab.outside.netns, node.netns, pod.netns],
    processes: [sleeper.pid],
    directory: lab.directory,
  }),
);
for await (const line of createInterface({ input: process.stdin })) {
  if (line === 'throw') throw new Error('expected by the test');
}
