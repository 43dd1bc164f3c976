import { NftProcess } from 'nftables-json';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { compileNode } from '../../src/compiler/compile.ts';
import { Enforcer } from '../../src/enforcer/enforcer.ts';
import { parseCidr } from '../../src/model/cidr.ts';
import type { IpAddress } from '../../src/model/ip.ts';
import { podKey } from '../../src/model/names.ts';
import { decodeObject } from '../../src/model/decode/object.ts';
import { snapshotOf } from '../../src/source/store.ts';
import { Lab } from '../lab/lab.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';
import { run } from '../lab/run.ts';
import { advertisement, arrivals, hexOfIp, hexOfMac, send, udp } from './support/frames.ts';

/*
 * Frames that no honest stack sends, on a bridged node: `caller` may talk to `friend` only, nobody may talk to
 * `closed`, and nobody is bound to the port of `stranger`.
 */
const gateway = '198.18.0.1';
const gateway6 = 'fd00:198:18::1';
let lab: Lab;
let node: LabNode;
let pods: Readonly<Record<'caller' | 'friend' | 'closed' | 'stranger', LabPod>>;
let enforcer: Enforcer;

beforeAll(async () => {
  lab = await Lab.create();
  node = await lab.addNode({ name: 'node', mode: 'bridged', podCidrs: ['198.18.0.0/24', 'fd00:198:18::/64'] });
  const add = (name: string, host: number): Promise<LabPod> =>
    node.addPod({ name, attach: 'plain', ips: [`198.18.0.${host}`, `fd00:198:18::${host}`] });
  pods = {
    caller: await add('caller', 10),
    friend: await add('friend', 11),
    closed: await add('closed', 12),
    stranger: await add('stranger', 13),
  };
  const policy = (name: string, app: string, spec: object): object => ({
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name },
    spec: { podSelector: { matchLabels: { app } }, ...spec },
  });
  const to = [{ podSelector: { matchLabels: { app: 'friend' } } }];
  const objects = [
    ...Object.values(pods).map(({ name, ips, uid }) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, uid, labels: { app: name } },
      spec: { nodeName: 'node' },
      status: { phase: 'Running', podIPs: ips.map((ip) => ({ ip })) },
    })),
    policy('friends-only', 'caller', { policyTypes: ['Egress'], egress: [{ to }] }),
    policy('nobody', 'closed', { policyTypes: ['Ingress'] }),
  ];
  const decoded = objects.flatMap((raw) => decodeObject(raw, { kind: 'cluster', resourceVersion: '1' }).object ?? []);
  const bindings = [pods.caller, pods.friend, pods.closed].map((pod) => ({
    pod: podKey(pod.namespace, pod.name),
    uid: pod.uid,
    interface: pod.hostInterface,
    mac: pod.mac,
    addresses: pod.ips as readonly IpAddress[],
    attachment: { kind: 'bridged', bridge: 'cni0' } as const,
  }));
  const bridge = {
    name: 'cni0',
    ports: { kind: 'pattern', pattern: 'veth*' } as const,
    podCidrs: node.podCidrs.map((text) => parseCidr(text)!.cidr),
    addresses: [gateway as IpAddress, gateway6 as IpAddress],
  };
  const executor = new NftProcess({ command: ['nsenter', `--net=/run/netns/${node.netns}`, 'nft'] });
  enforcer = new Enforcer({ executor });
  enforcer.start();
  enforcer.setDesired(
    compileNode({ snapshot: snapshotOf(decoded), bindings, shape: { routed: [], bridges: [bridge] } }),
  );
  await enforcer.idle();
  expect(enforcer.status()).toMatchObject({ lastApply: { ok: true }, problems: [] });
}, 60_000);
afterAll(async () => {
  await enforcer.close();
  await lab.close();
});

test('a frame goes to a pod that its sender may talk to, and to no other, whatever its MAC address says', async () => {
  const { caller, friend, closed } = pods;
  const sent =
    (to: LabPod, mac: LabPod, text: string): (() => Promise<string>) =>
    () =>
      send(caller.netns, 'eth0', udp(caller.mac, mac.mac, caller.ips[0]!, to.ips[0]!, text));
  expect(await arrivals(friend, 'honest', sent(friend, friend, 'honest'))).toBe(1);
  expect(await arrivals(closed, 'refused', sent(closed, closed, 'refused'))).toBe(0);
  expect(await arrivals(closed, 'astray', sent(friend, closed, 'astray'))).toBe(0);
});

test("a packet from outside with the pod's own address is not the pod's own", async () => {
  const { closed } = pods;
  await node.run('sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=0', 'net.ipv4.conf.eth0.rp_filter=0');
  const macOf = async (netns: string, device: string): Promise<string> =>
    (await run(['ip', 'netns', 'exec', netns, 'cat', `/sys/class/net/${device}/address`])).trim();
  const uplink = await macOf(node.netns, 'eth0');
  const outside = await macOf(lab.outside.netns, 'uplinks');
  const ip = closed.ips[0]!;
  const frame = udp(outside, uplink, ip, ip, 'pretended');
  expect(await arrivals(closed, 'pretended', () => send(lab.outside.netns, 'uplinks', frame))).toBe(0);
});

test('a pod that claims the IPv6 address of another gets nothing that is sent to it', async () => {
  const { caller, friend } = pods;
  const [mine, theirs] = [caller.ips[1]!, friend.ips[1]!];
  const greet = `use IO::Socket::IP; IO::Socket::IP->new(Proto => "udp", PeerAddr => "${theirs}", PeerPort => 9)->send("gossip")`;
  const fromNode = (): Promise<string> => node.run('/usr/bin/perl', '-e', greet);
  const known = async (): Promise<string> => (await node.run('ip', '-6', 'neigh', 'show', theirs)).trim();
  expect(await arrivals(friend, 'gossip', fromNode)).toBe(1);
  expect(await known()).toContain(friend.mac);
  // Within a second of the last change the kernel keeps what it knows.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const bridgeMac = (await node.run('cat', '/sys/class/net/cni0/address')).trim();
  await send(caller.netns, 'eth0', advertisement(caller.mac, bridgeMac, mine, gateway6, theirs));
  await expect.poll(known, { timeout: 5_000 }).toContain(caller.mac);
  expect(await arrivals(caller, 'gossip', fromNode)).toBe(0);
});

test("a port nobody is bound to cannot take the gateway's place", async () => {
  const { caller, stranger } = pods;
  const known = async (): Promise<string> =>
    (await run(['ip', 'netns', 'exec', caller.netns, 'ip', 'neigh', 'show', gateway])).trim();
  // Any packet makes the pod ask for the gateway's MAC address.
  const greet = `use IO::Socket::INET; IO::Socket::INET->new(Proto => "udp", PeerAddr => "${gateway}:9")->send("x")`;
  await run(['ip', 'netns', 'exec', caller.netns, '/usr/bin/perl', '-e', greet]);
  await expect.poll(known, { timeout: 5_000 }).toContain('lladdr');
  // Within a second of the last change the kernel keeps what it knows.
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  const [mine, theirs] = [hexOfMac(stranger.mac), hexOfMac(caller.mac)];
  const reply = `${theirs}${mine}08060001080006040002${mine}${hexOfIp(gateway)}${theirs}${hexOfIp(caller.ips[0]!)}`;
  await send(stranger.netns, 'eth0', reply);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(await known()).not.toContain(stranger.mac);
});
