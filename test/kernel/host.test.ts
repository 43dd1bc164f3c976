import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { nodeCommands } from '../../src/host/commands.ts';
import { collectHostFacts } from '../../src/host/facts.ts';
import type { HostFacts, HostOptions } from '../../src/host/facts.ts';
import { bindInterfaces } from '../../src/host/interfaces.ts';
import { ensureBridgeNetfilter, readKernelSettings, settingFilesOf } from '../../src/host/kernel-settings.ts';
import { checkNode } from '../../src/host/network-plugin.ts';
import { askNeighbours } from '../../src/host/neighbours.ts';
import { nodeFacts } from '../../src/host/node-facts.ts';
import { nodeShape } from '../../src/host/node-shape.ts';
import { watchHost } from '../../src/host/watch.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { IpAddress } from '../../src/model/ip.ts';
import { namespaceName, nodeName, podKey } from '../../src/model/names.ts';
import { Lab } from '../lab/lab.ts';
import { probeAll } from '../lab/matrix.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';

/** What the API would say about a lab pod. */
function endpoint(pod: LabPod, addresses: readonly string[] = pod.ips): Endpoint {
  return {
    kind: 'Pod',
    key: podKey(pod.namespace, pod.name),
    namespace: namespaceName(pod.namespace),
    name: pod.name,
    uid: pod.uid,
    labels: new Map(),
    node: nodeName(pod.node.name),
    hostNetwork: false,
    phase: 'Running',
    terminating: false,
    createdAtMs: 0,
    addresses: addresses as readonly IpAddress[],
    namedPorts: [],
    declaredPorts: [],
    source: { kind: 'cluster', resourceVersion: '1' },
  };
}

function optionsOf(node: LabNode): HostOptions {
  const commands = nodeCommands(['nsenter', `--net=/run/netns/${node.netns}`]);
  return {
    commands,
    settingFiles: settingFilesOf(commands),
    cniCacheDirectories: [node.cni.resultsDirectory],
    cniConfigDirectory: node.cni.configDirectory,
  };
}

function expected(pod: LabPod): object {
  const attachment = pod.node.mode === 'routed' ? { kind: 'routed' } : { kind: 'bridged', bridge: 'cni0' };
  return {
    pod: `default/${pod.name}`,
    uid: pod.uid,
    interface: pod.hostInterface,
    addresses: pod.ips,
    attachment,
  };
}

/** The facts with every source of evidence removed but one. */
function only(facts: HostFacts, source: 'cache' | 'routes' | 'namespaces' | 'forwarding'): HostFacts {
  return {
    ...facts,
    cache: source === 'cache' ? facts.cache : [],
    routes: source === 'routes' ? facts.routes : facts.routes.filter(({ destination }) => destination.prefix < 32),
    namespaces: source === 'namespaces' ? facts.namespaces : [],
    forwarding: source === 'forwarding' ? facts.forwarding : [],
  };
}

const families = [
  { family: 'IPv4', podCidrs: ['10.244.1.0/24'] },
  { family: 'IPv6', podCidrs: ['fd00:10:244:1::/64'] },
  { family: 'both families', podCidrs: ['10.244.1.0/24', 'fd00:10:244:1::/64'] },
] as const;
const worlds = families.flatMap((family) => (['routed', 'bridged'] as const).map((mode) => ({ ...family, mode })));

describe.each(worlds)('a $mode node with pods of $family', ({ mode, podCidrs }) => {
  let lab: Lab;
  let node: LabNode;
  let pods: LabPod[];
  let facts: HostFacts;

  beforeAll(async () => {
    lab = await Lab.create();
    node = await lab.addNode({ name: 'node-1', mode, podCidrs, cniFiles: 'config-and-results' });
    pods = [await node.addPod({ name: 'a' }), await node.addPod({ name: 'b' })];
    // Whatever the node learns from its pods comes with the first packets.
    const cells = pods.flatMap((pod) =>
      pod.ips.map((to) => ({ from: node, to, port: 9, protocol: 'udp' as const, at: pod })),
    );
    await probeAll(lab.traffic, cells);
    facts = await collectHostFacts(optionsOf(node));
  });
  afterAll(() => lab.close());

  const sources =
    mode === 'routed' ? (['cache', 'routes', 'namespaces'] as const) : (['cache', 'namespaces', 'forwarding'] as const);
  test.each(sources)('the %s alone name the right veth', (source) => {
    const { bindings, problems } = bindInterfaces(
      pods.map((pod) => endpoint(pod)),
      only(facts, source),
    );
    expect(problems).toEqual([]);
    expect(bindings).toEqual(
      pods.map((pod) => ({ ...expected(pod), ...(source === 'routes' ? {} : { mac: pod.mac }) })),
    );
  });

  test('all sources together agree', () => {
    const { bindings, problems } = bindInterfaces(
      pods.map((pod) => endpoint(pod)),
      facts,
    );
    expect(problems).toEqual([]);
    expect(bindings).toEqual(pods.map((pod) => ({ ...expected(pod), mac: pod.mac })));
  });

  test('the result cache binds a pod before the API knows its addresses', () => {
    const { bindings } = bindInterfaces(
      pods.map((pod) => endpoint(pod, [])),
      facts,
    );
    expect(bindings).toEqual(pods.map((pod) => ({ ...expected(pod), mac: pod.mac })));
  });

  test('the shape covers pods, known or not, and no uplink', () => {
    const { bindings } = bindInterfaces(
      pods.map((pod) => endpoint(pod)),
      facts,
    );
    const shape = nodeShape(facts, bindings);
    const texts = shape.bridges.map((bridge) => ({ ...bridge, podCidrs: bridge.podCidrs.map(({ text }) => text) }));
    const cni0 = { name: 'cni0', ports: { kind: 'pattern', pattern: 'veth*' }, podCidrs: [...podCidrs].sort() };
    // The plugin gives the bridge the first address of each range.
    const addresses = cni0.podCidrs.map((text) => text.replace(/0\/24$/, '1').replace(/\/64$/, '1'));
    const ports = facts.bridgeNameMatch ? { kind: 'bridge-name' } : cni0.ports;
    expect({ routed: shape.routed, bridges: texts }).toEqual(
      mode === 'routed' ? { routed: ['veth*'], bridges: [] } : { routed: [], bridges: [{ ...cni0, ports, addresses }] },
    );
    expect(nodeShape(facts, []).routed).toEqual(shape.routed);
  });

  test('the node can be policed, and its addresses are known', () => {
    expect(checkNode({ ...facts, neighbourTargetMatch: true })).toEqual([]);
    const { addresses, families: found } = nodeFacts(nodeName('node-1'), facts);
    expect(addresses).toEqual(expect.arrayContaining([...node.addresses]));
    expect(found).toEqual(['IPv4', 'IPv6']);
  });
});

describe.each(['routed', 'bridged'] as const)('a bare %s node without any file of the CNI', (mode) => {
  let lab: Lab;
  let node: LabNode;
  let a: LabPod;
  let b: LabPod;

  beforeAll(async () => {
    lab = await Lab.create();
    node = await lab.addNode({ name: 'node-1', mode });
    a = await node.addPod({ name: 'a' });
    b = await node.addPod({ name: 'b', attach: 'plain', ips: ['10.244.1.200', 'fd00:10:244:1::c8'] });
  });
  afterAll(() => lab.close());

  test('binds every pod, also for a command that runs there by ip netns exec', async () => {
    for (const prefix of [
      ['nsenter', `--net=/run/netns/${node.netns}`],
      ['ip', 'netns', 'exec', node.netns],
    ]) {
      const facts = await collectHostFacts({ ...optionsOf(node), commands: nodeCommands(prefix) });
      const { bindings, problems } = bindInterfaces([endpoint(a), endpoint(b)], facts);
      expect(problems).toEqual([]);
      expect(bindings).toEqual([a, b].map((pod) => ({ ...expected(pod), mac: pod.mac })));
    }
  });

  test('closes pods nobody knows from the start', async () => {
    const shape = nodeShape(await collectHostFacts(optionsOf(node)), []);
    expect(shape).toMatchObject({ routed: [], anyVeth: true });
    expect(shape.bridges.map(({ name }) => name)).toEqual(mode === 'bridged' ? ['cni0'] : []);
  });

  test('another node on this machine with the same indexes and addresses does not confuse it', async () => {
    await using other = await Lab.create();
    const twin = await other.addNode({ name: 'node-1', mode });
    const twinPods = [await twin.addPod({ name: 'c', ips: b.ips }), await twin.addPod({ name: 'd', ips: a.ips })];
    const facts = await collectHostFacts(optionsOf(node));
    expect(
      facts.namespaces.filter(({ names }) => names.some((name) => twinPods.some((pod) => pod.netns === name))),
    ).toHaveLength(2);
    const { bindings, problems } = bindInterfaces([endpoint(a), endpoint(b)], only(facts, 'namespaces'));
    expect(problems).toEqual([]);
    expect(bindings.map((binding) => binding.interface)).toEqual([a.hostInterface, b.hostInterface]);
  });
});

describe('what goes wrong on a node', () => {
  let lab: Lab;
  let routed: LabNode;
  let bridged: LabNode;

  beforeAll(async () => {
    lab = await Lab.create();
    routed = await lab.addNode({ name: 'routed', mode: 'routed', cniFiles: 'config-and-results' });
    bridged = await lab.addNode({ name: 'bridged', mode: 'bridged' });
  });
  afterAll(() => lab.close());

  const problemsOf = async (node: LabNode, ...pods: LabPod[]): Promise<string[]> => {
    const { bindings, problems } = bindInterfaces(
      pods.map((pod) => endpoint(pod)),
      await collectHostFacts(optionsOf(node)),
    );
    return [...bindings.map((one) => `${one.pod} bound`), ...problems.map((one) => `${one.pod} ${one.code}`)].sort();
  };

  test('a route that contradicts the result cache closes the pod', async () => {
    const [a, b] = [await routed.addPod({ name: 'a' }), await routed.addPod({ name: 'b' })];
    await routed.run('ip', 'route', 'replace', `${a.ips[0] ?? ''}/32`, 'dev', b.hostInterface);
    expect(await problemsOf(routed, a, b)).toEqual(['default/a pod-interface-contradiction', 'default/b bound']);
    await routed.run('ip', 'route', 'replace', `${a.ips[0] ?? ''}/32`, 'dev', a.hostInterface);
    expect(await problemsOf(routed, a, b)).toEqual(['default/a bound', 'default/b bound']);
  });

  test('a pod that takes all addresses of another closes that one, if only namespaces can tell', async () => {
    const [a, b] = [await bridged.addPod({ name: 'victim' }), await bridged.addPod({ name: 'thief' })];
    for (const ip of a.ips) {
      const prefix = ip.includes(':') ? '128' : '32';
      await bridged.run('ip', '-n', b.netns, 'address', 'add', `${ip}/${prefix}`, 'dev', 'eth0');
    }
    expect(await problemsOf(bridged, a, b)).toEqual([
      'default/thief bound',
      'default/victim pod-interface-contradiction',
    ]);
  });

  test('without the right to enter namespaces the other sources still bind', async () => {
    const pod = await routed.addPod({ name: 'plain-rights' });
    const drop = ['setpriv', '--bounding-set=-sys_admin', '--inh-caps=-sys_admin'];
    const commands = nodeCommands(['nsenter', `--net=/run/netns/${routed.netns}`, ...drop]);
    const facts = await collectHostFacts({ ...optionsOf(routed), commands });
    expect(facts.namespaces).toEqual([]);
    expect(facts.gaps.map(({ why }) => why).join('\n')).toMatch(/not permitted/);
    expect(bindInterfaces([endpoint(pod)], facts).bindings.map((one) => one.interface)).toEqual([pod.hostInterface]);
  });

  test('a silent bridged pod answers when the node asks for its address', async () => {
    const pod = await bridged.addPod({ name: 'silent' });
    const options = { ...optionsOf(bridged), enterNamespaces: false };
    const facts = await collectHostFacts(options);
    await askNeighbours([endpoint(pod)], nodeShape(facts, []), options.commands);
    await vi.waitFor(async () => {
      const { bindings } = bindInterfaces([endpoint(pod)], await collectHostFacts(options));
      expect(bindings.map((one) => [one.interface, one.mac])).toEqual([[pod.hostInterface, pod.mac]]);
    }, 5000);
  });

  test('a pod on macvlan is refused with the reason', async () => {
    const pod = await routed.addPod({ name: 'mac' });
    const address = '10.244.1.77';
    await routed.run('ip', '-n', pod.netns, 'address', 'flush', 'dev', 'eth0');
    await routed.run('ip', 'link', 'add', 'link', 'eth0', 'name', 'mv0', 'netns', pod.netns, 'type', 'macvlan');
    await routed.run('ip', '-n', pod.netns, 'address', 'add', `${address}/24`, 'dev', 'mv0');
    const facts = await collectHostFacts({ ...optionsOf(routed), cniCacheDirectories: [] });
    const { problems } = bindInterfaces([endpoint(pod, [address])], facts);
    expect(problems.map(({ code }) => code)).toEqual(['pod-interface-unsupported']);
  });

  test('kube-proxy in IPVS mode and unset bridge-nf-call are refused', async () => {
    await bridged.run('ip', 'link', 'add', 'kube-ipvs0', 'type', 'veth');
    await bridged.run('sh', '-c', 'echo 0 > /proc/sys/net/bridge/bridge-nf-call-ip6tables');
    const codes = checkNode(await collectHostFacts(optionsOf(bridged))).map(
      ({ code, severity }) => `${severity} ${code}`,
    );
    const old = 'warn neighbour-targets-unchecked';
    expect(codes.filter((code) => code !== old)).toEqual(['refuse kube-proxy-ipvs', 'refuse bridge-netfilter-off']);
    expect(codes.includes(old)).toBe((await collectHostFacts(optionsOf(bridged))).neighbourTargetMatch === false);
  });

  test('what nft can match is asked once, and again if nft was killed or is missing', async () => {
    const options = optionsOf(bridged);
    const facts = await collectHostFacts(options);
    expect([typeof facts.bridgeNameMatch, typeof facts.neighbourTargetMatch]).toEqual(['boolean', 'boolean']);
    const inner = options.commands ?? nodeCommands();
    const asked = async (previous: HostFacts, before: string): Promise<[HostFacts, number]> => {
      const run = vi.fn<typeof inner.run>((command, args) =>
        inner.run(command, command === 'sh' ? args.with(1, before + args[1]) : args),
      );
      const found = await collectHostFacts({ ...options, commands: { ...inner, run }, previous });
      return [found, run.mock.calls.filter(([command]) => command === 'sh').length];
    };
    expect((await asked(facts, ''))[1]).toBe(0);
    const { bridgeNameMatch: _name, neighbourTargetMatch: _target, ...unasked } = facts;
    for (const before of ['kill -KILL $$; ', 'PATH=/nowhere; ']) {
      const [unknown, questions] = await asked(unasked, before);
      expect([questions, unknown.bridgeNameMatch, unknown.neighbourTargetMatch]).toEqual([2, undefined, undefined]);
    }
  });

  test('bridge-nf-call is set where it may be', async () => {
    const files = settingFilesOf(nodeCommands(['nsenter', `--net=/run/netns/${bridged.netns}`]));
    await bridged.run('sh', '-c', 'echo 0 > /proc/sys/net/bridge/bridge-nf-call-ip6tables');
    expect(await ensureBridgeNetfilter({ files })).toEqual({
      kind: 'on',
      changed: ['net.bridge.bridge-nf-call-ip6tables'],
    });
    expect(await readKernelSettings(files)).toMatchObject({ bridgeNetfilter4: true, bridgeNetfilter6: true });
    expect(await ensureBridgeNetfilter({ files })).toEqual({ kind: 'on', changed: [] });
  });

  test('namespaces that were read and did not change are not entered again', async () => {
    const options = optionsOf(routed);
    const before = await collectHostFacts(options);
    const inner = options.commands ?? nodeCommands();
    const run = vi.fn<typeof inner.run>((...call) => inner.run(...call));
    const pod = await routed.addPod({ name: 'late' });
    const after = await collectHostFacts({ ...options, commands: { ...inner, run }, previous: before });
    const entered = run.mock.calls.filter(([command]) => command === 'nsenter').map(([, args]) => args[0]);
    expect(entered).toContain(`--net=/run/netns/${pod.netns}`);
    const known = [...routed.pods].find(({ name }) => name === 'b');
    expect(known).toBeDefined();
    expect(entered).not.toContain(`--net=/run/netns/${known?.netns ?? ''}`);
    expect(bindInterfaces([endpoint(pod)], after).bindings).toHaveLength(1);
  });

  test('a change of links, routes or the result cache is told', async () => {
    const stop = new AbortController();
    let calls = 0;
    const quiet = async (): Promise<number> => {
      for (let last = -1; last !== calls; await new Promise((resolve) => setTimeout(resolve, 700))) last = calls;
      return calls;
    };
    const { commands, cniCacheDirectories, cniConfigDirectory } = optionsOf(routed);
    const places = {
      commands,
      cniCacheDirectories,
      cniConfigDirectory,
      netnsDirectory: join(lab.directory, 'no/such'),
    };
    const watching = watchHost(() => (calls += 1), stop.signal, places as Parameters<typeof watchHost>[2]);
    let before = await quiet();
    expect(before).toBeGreaterThan(0);
    await routed.run('ip', 'route', 'add', '203.0.113.1/32', 'dev', 'eth0');
    await vi.waitFor(() => expect(calls).toBeGreaterThan(before), 5000);
    before = await quiet();
    writeFileSync(join(routed.cni.resultsDirectory, 'other'), '{}');
    await vi.waitFor(() => expect(calls).toBeGreaterThan(before), 5000);
    stop.abort();
    await watching;
  });
});
