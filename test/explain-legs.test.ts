import { join } from 'node:path';
import { expect, test } from 'vitest';

import { fileCluster } from '../src/cli/explain/file-cluster.ts';
import { createDirectory } from '../src/explain/ends.ts';
import { explain } from '../src/explain/explain.ts';
import { flowOf } from '../src/explain/installed-flow.ts';
import { nodeName } from '../src/model/names.ts';
import { loadManifests } from '../src/source/manifests/files.ts';

const paths = [join(import.meta.dirname, 'fixtures/explain/entrances')];
const cluster = fileCluster(loadManifests({ paths }), []);
const { snapshot } = cluster;

/** Source, destination and port of the packets of a pod that asks node b's port, as the rules of a node see them. */
function packets(node: string): readonly string[] {
  const answer = explain(cluster, {
    from: 'shop/client',
    to: 'node/b',
    port: 30080,
    protocol: 'TCP',
    protocolGiven: true,
    namespace: 'default',
    dns: false,
    dnsService: { namespace: 'kube-system', name: 'kube-dns' },
  });
  if (!answer.ok) throw new Error(answer.error);
  const place = { snapshot, directory: createDirectory(snapshot), node: nodeName(node), bindings: new Map() };
  return answer.value.steps.flatMap((step) => {
    const flow = step.kind === 'flow' ? flowOf(place, step) : undefined;
    return flow === undefined ? [] : [`${flow.from.address} -> ${flow.to.address}:${flow.port}`];
  });
}

test('the rules of a node are compared with the packets that it sees', () => {
  expect(packets('a')).toEqual(['10.0.1.2 -> 192.168.1.2:30080', '10.0.1.2 -> 192.168.1.2:30080']);
  expect(packets('b')).toEqual(['192.168.1.2 -> 10.0.1.1:8080', '10.0.1.2 -> 10.0.2.1:9090']);
});
