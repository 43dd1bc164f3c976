import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

import { LabAgent } from '../lab/agent.ts';
import { Lab } from '../lab/lab.ts';
import { ManifestDirectory, namespaceManifest, nodeManifest, podManifest } from '../lab/manifests.ts';
import type { LabNode } from '../lab/node.ts';
import { addressOf } from '../lab/pod.ts';
import type { LabPod } from '../lab/pod.ts';
import { CommandError, run } from '../lab/run.ts';

const bin = join(import.meta.dirname, '../../bin/policy.mjs');

const serviceAddress = '10.96.0.99';

interface Neighbour {
  readonly name: string;
  /** Writes its rules, which lead port 80 of the Service to the backend; again and again, as kube-proxy does. */
  readonly sync: (node: LabNode, backend: string) => Promise<void>;
}

const kubeProxyIptables: Neighbour = {
  name: 'kube-proxy in iptables mode',
  sync: async (node, backend) => {
    const rules = `*nat
:KUBE-SERVICES - [0:0]
:KUBE-SVC-WEB - [0:0]
:KUBE-SEP-WEB - [0:0]
:PREROUTING ACCEPT [0:0]
-F KUBE-SERVICES
-F KUBE-SVC-WEB
-F KUBE-SEP-WEB
-F PREROUTING
-A PREROUTING -j KUBE-SERVICES
-A KUBE-SERVICES -d ${serviceAddress}/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-WEB
-A KUBE-SVC-WEB -j KUBE-SEP-WEB
-A KUBE-SEP-WEB -s ${backend}/32 -j MARK --set-xmark 0x4000/0x4000
-A KUBE-SEP-WEB -p tcp -m tcp -j DNAT --to-destination ${backend}:5432
COMMIT
*filter
:KUBE-FORWARD - [0:0]
-F KUBE-FORWARD
-F FORWARD
-A FORWARD -j KUBE-FORWARD
-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP
-A KUBE-FORWARD -m mark --mark 0x4000/0x4000 -j ACCEPT
-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
`;
    await node.run('sh', '-c', `printf %s '${rules}' | iptables-nft-restore --noflush`);
  },
};

const kubeProxyNftables: Neighbour = {
  name: 'kube-proxy in nftables mode',
  sync: async (node, backend) =>
    await node.nft(`
      add table ip kube-proxy
      delete table ip kube-proxy
      table ip kube-proxy {
        map service-ips { type ipv4_addr . inet_proto . inet_service : verdict
          elements = { ${serviceAddress} . tcp . 80 : goto service-web } }
        chain service-web { meta l4proto tcp dnat to ${backend}:5432; }
        chain services { ip daddr . meta l4proto . th dport vmap @service-ips; }
        chain nat-prerouting { type nat hook prerouting priority dstnat; jump services; }
        chain filter-forward { type filter hook forward priority -110; ct state new accept; }
      }`),
};

/** Some kernels have no rules of iptables at all; there is no kube-proxy in that mode there. */
const hasIptables = await run(['unshare', '-n', 'iptables-nft', '-t', 'nat', '-A', 'OUTPUT', '-j', 'ACCEPT']).then(
  () => true,
  (error: unknown) => {
    if (error instanceof CommandError) return false;
    throw error;
  },
);
const neighbours = [...(hasIptables ? [kubeProxyIptables] : []), kubeProxyNftables];

describe.each(['routed', 'bridged'] as const)('on a %s node', (mode) => {
  test.each(neighbours)(
    'beside $name policy is judged behind the Service, and its tables stay as they are',
    async (one) => {
      await using lab = await Lab.create();
      const node = await lab.addNode({ name: 'node-1', mode, cniFiles: 'config-and-results' });
      const add = (name: string): Promise<LabPod> => node.addPod({ name, labels: { app: name } });
      const [database, web, api] = await Promise.all([add('database'), add('web'), add('api')]);
      const manifests = new ManifestDirectory(join(lab.directory, 'manifests'));
      manifests.apply(namespaceManifest('default'), nodeManifest(node));
      manifests.apply(...[database, web, api].map((pod) => podManifest(pod)));
      manifests.apply({
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata: { name: 'database', namespace: 'default' },
        spec: {
          podSelector: { matchLabels: { app: 'database' } },
          ingress: [{ from: [{ podSelector: { matchLabels: { app: 'api' } } }] }],
        },
      });
      await lab.traffic.listen(database, 'tcp', 5432);
      const sync = (): Promise<void> => one.sync(node, addressOf(database, 'IPv4'));
      const probe = async (from: LabPod): Promise<string> =>
        (await lab.traffic.probe({ from, to: serviceAddress, port: 80, protocol: 'tcp' })).outcome;
      /** Everything that is not ours, without counters and handles. */
      const foreign = async (): Promise<string> => {
        const tables = (await node.run('nft', 'list', 'tables')).split('\n').filter((line) => line !== '');
        const others = tables.filter((line) => !line.endsWith(' nftpolicy')).map((line) => line.replace(/^table /, ''));
        const listed = await Promise.all(
          others.sort().map((table) => node.run('nft', '-s', 'list', 'table', ...table.split(' '))),
        );
        return listed.join('\n').replaceAll(/counter packets \d+ bytes \d+/g, 'counter');
      };

      await sync();
      await node.nft(
        'table inet firewalld { set s { type ipv4_addr; elements = { 192.0.2.1 }; }; chain c { ip saddr @s drop; }; }',
      );
      const before = await foreign();
      expect(before).toContain(serviceAddress);
      expect([await probe(web), await probe(api)]).toEqual(['open', 'open']);

      const agent = await LabAgent.start(node, manifests.path);
      expect([await probe(web), await probe(api)]).toEqual(['timeout', 'open']);
      for (let again = 0; again < 5; again += 1) await sync();
      await agent.settled();
      // What the neighbour writes is no change of ours.
      expect(await node.run(process.execPath, bin, 'status')).not.toContain('repaired');
      await node.run('nft', 'delete', 'table', 'inet', 'nftpolicy');
      await agent.logged(({ msg }) => msg.includes('repaired'));
      await expect.poll(() => probe(web), { timeout: 60_000 }).toBe('timeout');
      expect(await probe(api)).toBe('open');
      expect(await foreign()).toBe(before);

      await agent.stop();
      await node.run(process.execPath, bin, 'cleanup');
      expect([await probe(web), await probe(api)]).toEqual(['open', 'open']);
      expect(await foreign()).toBe(before);
    },
  );
});
