import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Lab } from '../lab/lab.ts';
import { probeAll } from '../lab/matrix.ts';
import type { Cell } from '../lab/matrix.ts';
import type { LabNode } from '../lab/node.ts';
import { addressOf } from '../lab/pod.ts';
import type { LabPod } from '../lab/pod.ts';
import { listNamespaces, sweep } from '../lab/registry.ts';
import type { LabService } from '../lab/services.ts';
import type { Place } from '../lab/traffic.ts';

const families = ['IPv4', 'IPv6'] as const;

const worlds = [
  { network: 'routes', mode: 'routed' },
  { network: 'routes', mode: 'bridged' },
  { network: 'vxlan', mode: 'routed' },
  { network: 'vxlan', mode: 'bridged' },
] as const;

describe.each(worlds)('a lab with $mode nodes and $network between them', ({ network, mode }) => {
  let lab: Lab;
  let node: LabNode;
  let other: LabNode;
  let pods: { a: LabPod; b: LabPod; far: LabPod; plain: LabPod };

  beforeAll(async () => {
    lab = await Lab.create({ network });
    node = await lab.addNode({ name: 'node-1', mode });
    other = await lab.addNode({ name: 'node-2', mode });
    pods = {
      a: await node.addPod({ name: 'a' }),
      b: await node.addPod({ name: 'b' }),
      far: await other.addPod({ name: 'far' }),
      plain: await node.addPod({ name: 'plain', attach: 'plain', ips: ['10.244.1.200', 'fd00:10:244:1::c8'] }),
    };
  });
  afterAll(() => lab.close());

  test('everyone reaches every pod by every protocol and both families', async () => {
    const from: Place[] = [...Object.values(pods), node, other, lab.outside];
    const cells: Cell[] = from.flatMap((place) =>
      Object.values(pods).flatMap((pod) =>
        pod.ips.flatMap((to) =>
          (['tcp', 'udp', 'sctp', 'icmp'] as const).map((protocol) => ({
            from: place,
            to,
            port: 7000,
            protocol,
            at: pod,
          })),
        ),
      ),
    );
    const answers = await probeAll(lab.traffic, cells);
    expect(answers).toHaveLength(7 * 4 * 2 * 4);
    expect(answers.filter((answer) => answer.verdict === 'deny')).toEqual([]);
    for (const { cell, result } of answers) if (cell.protocol !== 'icmp') expect(result.server).toBe(cell.at?.netns);
  });

  test('pods and the outside see each other without translation', async () => {
    await lab.traffic.listen(pods.a, 'tcp', 7001);
    for (const family of families) {
      const to = addressOf(pods.a, family);
      const near = await lab.traffic.probe({ from: pods.b, to, port: 7001, protocol: 'tcp' });
      expect(near.seen).toBe(addressOf(pods.b, family));
      const far = await lab.traffic.probe({ from: pods.far, to, port: 7001, protocol: 'tcp' });
      expect(far.seen).toBe(addressOf(pods.far, family));
      const outside = await lab.traffic.probe({ from: lab.outside, to, port: 7001, protocol: 'tcp' });
      expect(lab.outside.addresses).toContain(outside.seen);
    }
  });

  test('the overlay carries the traffic between nodes exactly when there is one', async () => {
    const links = JSON.parse(await other.run('ip', '-j', '-s', 'link', 'show')) as {
      ifname: string;
      stats64: { rx: { packets: number } };
    }[];
    const vxlan = links.find((link) => link.ifname === 'vxlan1');
    expect((vxlan?.stats64.rx.packets ?? 0) > 0).toBe(network === 'vxlan');
  });

  test('pods hang on the node as the mode says', async () => {
    for (const pod of [pods.a, pods.plain]) {
      const [link] = JSON.parse(await node.run('ip', '-j', 'link', 'show', pod.hostInterface)) as { master?: string }[];
      expect(link?.master).toBe(mode === 'bridged' ? 'cni0' : undefined);
      const [inside] = JSON.parse(await node.run('ip', '-j', '-n', pod.netns, 'link', 'show', 'eth0')) as {
        address: string;
      }[];
      expect(inside?.address).toBe(pod.mac);
    }
  });

  test('a ClusterIP and a NodePort lead to the backend, from its own pod too', async () => {
    const service: LabService = {
      namespace: 'default',
      name: 'db',
      clusterIps: ['10.96.0.10', 'fd00:10:96::a'],
      ports: (['TCP', 'UDP', 'SCTP'] as const).map((protocol) => ({
        protocol,
        port: 80,
        targetPort: 7002,
        nodePort: 30080,
      })),
      backends: pods.b.ips,
    };
    await node.setServices([service]);
    const cells: Cell[] = [];
    for (const protocol of ['tcp', 'udp', 'sctp'] as const) {
      await lab.traffic.listen(pods.b, protocol, 7002);
      for (const family of [0, 1] as const) {
        for (const from of [pods.a, pods.b, pods.plain, node]) {
          cells.push({ from, to: service.clusterIps[family] ?? '', port: 80, protocol });
        }
        cells.push({ from: lab.outside, to: node.addresses[family] ?? '', port: 30080, protocol });
      }
    }
    const answers = await probeAll(lab.traffic, cells);
    for (const { cell, result } of answers) {
      expect(result.server, `${cell.from.netns} to ${cell.to} ${cell.protocol}`).toBe(pods.b.netns);
      // The backend sees its node, not the client, where kube-proxy masquerades.
      if (cell.from === lab.outside || cell.from === pods.b) expect(lab.outside.addresses).not.toContain(result.seen);
      if (cell.from === pods.a) expect(pods.a.ips).toContain(result.seen);
    }

    await node.setServices([{ ...service, externalTrafficPolicy: 'Local', localBackends: pods.b.ips }]);
    const [first] = await probeAll(lab.traffic, [
      { from: lab.outside, to: node.addresses[0] ?? '', port: 30080, protocol: 'tcp' },
    ]);
    expect(lab.outside.addresses).toContain(first?.result.seen);
  });

  test('rules on the node are noticed: drops are silence, live connections stall, streams stop', async () => {
    const to = addressOf(pods.b, 'IPv4');
    for (const protocol of ['tcp', 'udp'] as const) await lab.traffic.listen(pods.b, protocol, 7003);
    const held = await lab.traffic.hold({ from: pods.a, to, port: 7003, protocol: 'tcp' });
    const session = await lab.traffic.hold({ from: pods.a, to, port: 7003, protocol: 'udp' });
    expect([await held.exchange(), await session.exchange()]).toEqual(['answered', 'answered']);

    await node.nft('table inet test { chain f { type filter hook forward priority 0; th dport 7003 drop; }; }');
    const denied = (['tcp', 'udp'] as const).map((protocol) => ({ from: pods.a, to, port: 7003, protocol }));
    const answers = await probeAll(lab.traffic, denied);
    expect(answers.map((answer) => answer.result.outcome)).toEqual(['timeout', 'timeout']);
    expect([await held.exchange(100), await session.exchange(100)]).toEqual(['timeout', 'timeout']);
    const blocked = await lab.traffic.stream({ from: pods.a, to, port: 7003 }, { rate: 1000 });
    await sleep(200);
    expect(await blocked.halt()).toBeGreaterThan(0);
    expect(await lab.traffic.received(pods.b, 7003)).toEqual(new Map());

    await node.run('nft', 'delete', 'table', 'inet', 'test');
    await node.nft('table inet test { chain f { type filter hook forward priority 0; th dport 7003 reject; }; }');
    const rejected = await probeAll(lab.traffic, denied);
    expect(rejected.map((answer) => answer.result.outcome)).toEqual(['refused', 'refused']);

    await node.run('nft', 'delete', 'table', 'inet', 'test');
    const stream = await lab.traffic.stream({ from: pods.a, to, port: 7003 }, { rate: 2000, sockets: 4 });
    await sleep(200);
    const sent = await stream.halt();
    // Answered after the datagrams before it in the queue: all of them are counted then.
    await lab.traffic.probe({ from: pods.a, to, port: 7003, protocol: 'udp' });
    expect(await lab.traffic.received(pods.b, 7003)).toEqual(new Map([[addressOf(pods.a, 'IPv4'), sent]]));
    await held.release();
    await session.release();
  });

  test('the outside and a node can have more addresses, and packets can start from any of them', async () => {
    const addresses = ['192.168.50.2', 'fd00:50::2'];
    const more = ['10.200.0.1', 'fd00:200::1'];
    for (const ip of addresses) await lab.outside.addAddress(ip);
    for (const ip of more) await lab.addNodeAddress(node, ip);
    const cells: Cell[] = families.flatMap((family, at) => {
      const source = addresses[at] ?? '';
      const pod = addressOf(pods.a, family);
      return [
        { from: lab.outside, source, to: pod, port: 7005, protocol: 'tcp', at: pods.a },
        { from: lab.outside, source, to: pod, port: 7005, protocol: 'udp', at: pods.a },
        { from: lab.outside, source, to: pod, port: 7005, protocol: 'sctp', at: pods.a },
        { from: pods.a, to: source, port: 7005, protocol: 'udp', at: lab.outside },
        { from: lab.outside, source, to: more[at] ?? '', port: 7005, protocol: 'udp', at: node },
        { from: node, source: more[at] ?? '', to: source, port: 7005, protocol: 'tcp', at: lab.outside },
      ];
    });
    for (const { cell, verdict, result } of await probeAll(lab.traffic, cells)) {
      expect(verdict, JSON.stringify(cell)).toBe('allow');
      expect(result.seen).toBe(cell.source ?? pods.a.ips.find((ip) => ip.includes(':') === cell.to.includes(':')));
    }
  });

  test('a listener on one address and one on all addresses live side by side', async () => {
    const to = addressOf(pods.b, 'IPv4');
    for (const protocol of ['tcp', 'udp'] as const) {
      for (const [port, ...order] of [
        [7006, to, '*'],
        [7007, '*', to],
      ] as const) {
        for (const address of order) await lab.traffic.listen(pods.b, protocol, port, address);
        const [answer] = await probeAll(lab.traffic, [{ from: pods.a, to, port, protocol }]);
        expect(answer?.result.server).toBe(pods.b.netns);
      }
      await lab.traffic.listen(pods.b, protocol, 7008, '127.0.0.1');
      const hidden = await probeAll(lab.traffic, [
        { from: pods.b, to: '127.0.0.1', port: 7008, protocol },
        { from: pods.a, to, port: 7008, protocol },
      ]);
      expect(hidden.map((answer) => answer.verdict)).toEqual(['allow', 'deny']);
    }
  });

  test('a removed pod is gone, and its address can be given to another', async () => {
    const first = await node.addPod({ name: 'first' });
    await lab.traffic.listen(first, 'tcp', 7004);
    const [to = ''] = first.ips;
    await node.removePod(first);
    expect(listNamespaces()).not.toContain(first.netns);
    const second = await node.addPod({ name: 'second', ips: first.ips });
    expect(second.ips).toEqual(first.ips);
    const [answer] = await probeAll(lab.traffic, [{ from: pods.a, to, port: 7004, protocol: 'tcp', at: second }]);
    expect(answer?.result).toMatchObject({ outcome: 'open', server: second.netns });
  });
});

describe('CNI files', () => {
  test('a node has none, or a conflist, or also the result cache, as asked', async () => {
    await using lab = await Lab.create();
    const bare = await lab.addNode({ name: 'bare', mode: 'routed' });
    const full = await lab.addNode({ name: 'full', mode: 'bridged', cniFiles: 'config-and-results' });
    await bare.addPod({ name: 'x' });
    const pod = await full.addPod({ name: 'y', namespace: 'team' });
    expect(readdirSync(bare.cni.configDirectory)).toEqual([]);
    expect(readdirSync(bare.cni.resultsDirectory)).toEqual([]);
    expect(readdirSync(full.cni.configDirectory)).toEqual(['10-lab.conflist']);
    const [file = ''] = readdirSync(full.cni.resultsDirectory);
    expect(file).toBe(`lab-${pod.containerId}-eth0`);
    const cached: unknown = JSON.parse(readFileSync(join(full.cni.resultsDirectory, file), 'utf8'));
    expect(cached).toMatchObject({ kind: 'cniCacheV1', containerId: pod.containerId, ifName: 'eth0' });
    expect(cached).toHaveProperty(
      'cniArgs',
      expect.arrayContaining([
        ['K8S_POD_NAME', 'y'],
        ['K8S_POD_UID', pod.uid],
      ]),
    );
    await full.removePod(pod);
    expect(readdirSync(full.cni.resultsDirectory)).toEqual([]);
  });
});

/** What a lab in another process made, as `lab.child.ts` reports it. */
interface Left {
  readonly namespaces: readonly string[];
  readonly processes: readonly number[];
  readonly directory: string;
}

describe('cleaning up', () => {
  const startChild = async (): Promise<{ child: ReturnType<typeof spawn>; left: Left }> => {
    const script = fileURLToPath(new URL('lab.child.ts', import.meta.url));
    const child = spawn(process.execPath, [script], { stdio: 'pipe' });
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    for await (const line of createInterface({ input: child.stdout })) return { child, left: JSON.parse(line) as Left };
    throw new Error(`the child made no lab: ${stderr}`);
  };
  const remains = (left: Left): unknown => ({
    namespaces: listNamespaces().filter((name) => left.namespaces.includes(name)),
    processes: left.processes.filter((pid) => isRunning(pid)),
    directory: existsSync(left.directory),
  });
  const nothing = { namespaces: [], processes: [], directory: false };

  test.each([['SIGINT'], ['SIGTERM'], ['SIGHUP']] as const)('%s leaves nothing behind', async (signal) => {
    const { child, left } = await startChild();
    expect(left.namespaces).toHaveLength(3);
    child.kill(signal);
    await once(child, 'exit');
    await expect.poll(() => remains(left)).toEqual(nothing);
  });

  test('a failure that nobody catches leaves nothing behind', async () => {
    const { child, left } = await startChild();
    child.stdin?.write('throw\n');
    await once(child, 'exit');
    expect(child.exitCode).toBe(1);
    await expect.poll(() => remains(left)).toEqual(nothing);
  });

  test('after kill -9 the next lab removes what was left, and nothing of living labs', async () => {
    await using living = await Lab.create();
    const { child, left } = await startChild();
    child.kill('SIGKILL');
    await once(child, 'exit');
    expect(remains(left)).not.toEqual(nothing);
    sweep();
    await expect.poll(() => remains(left)).toEqual(nothing);
    expect(listNamespaces()).toContain(living.outside.netns);
  });
});

/** False for a process that has ended, also while its parent has not yet asked for its status. */
function isRunning(pid: number): boolean {
  const path = `/proc/${String(pid)}/stat`;
  return existsSync(path) && !readFileSync(path, 'utf8').includes(') Z ');
}
