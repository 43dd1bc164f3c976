import { join } from 'node:path';

import { NftProcess } from 'nftables-json';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TestContext } from 'vitest';

import { compileNode } from '../../src/compiler/compile.ts';
import { Enforcer } from '../../src/enforcer/enforcer.ts';
import { nodeCommands } from '../../src/host/commands.ts';
import { collectHostFacts } from '../../src/host/facts.ts';
import { parseCidr } from '../../src/model/cidr.ts';
import { ipToBigInt } from '../../src/model/ip.ts';
import type { IpAddress } from '../../src/model/ip.ts';
import { decodeObject } from '../../src/model/decode/object.ts';
import { podKey } from '../../src/model/names.ts';
import { snapshotOf } from '../../src/source/store.ts';
import { Lab } from '../lab/lab.ts';
import type { LabNode } from '../lab/node.ts';
import type { LabPod } from '../lab/pod.ts';
import { run } from '../lab/run.ts';

/*
 * Neighbour advertisements on a bridged node: `liar` says that the address of `friend`, or the gateway's, is its own;
 * `victim` and the node know better. Nobody is bound to the port of `stranger`.
 */
const script = join(import.meta.dirname, 'frames.pl');
const prefix = 'fd00:18::';
const gateway = `${prefix}1`;
let lab: Lab;
let node: LabNode;
let pods: Readonly<Record<'liar' | 'friend' | 'victim' | 'stranger', LabPod>>;
let enforcer: Enforcer;
let nftKnowsTargets: boolean | undefined;

beforeAll(async () => {
  lab = await Lab.create();
  node = await lab.addNode({ name: 'node', mode: 'bridged', podCidrs: ['198.18.0.0/24', `${prefix}/64`] });
  const add = (name: string, index: number): Promise<LabPod> =>
    node.addPod({ name, attach: 'plain', ips: [`198.18.0.${index}`, `${prefix}${index}`] });
  pods = {
    liar: await add('liar', 10),
    friend: await add('friend', 11),
    victim: await add('victim', 12),
    stranger: await add('stranger', 13),
  };
  const prefixed = ['nsenter', `--net=/run/netns/${node.netns}`];
  const facts = await collectHostFacts({ commands: nodeCommands(prefixed), enterNamespaces: false });
  nftKnowsTargets = facts.neighbourTargetMatch;
  if (nftKnowsTargets !== true)
    console.warn('NOT TESTED: this nft cannot match icmpv6 taddr, so neighbour advertisements are not held to a port');
  enforcer = new Enforcer({ executor: new NftProcess({ command: [...prefixed, 'nft'] }) });
  enforcer.start();
}, 60_000);
afterAll(async () => {
  await enforcer.close();
  await lab.close();
});

/** Enforces with or without the check of targets. */
async function enforce(neighbourTargets: boolean): Promise<void> {
  const bound = [pods.liar, pods.friend, pods.victim];
  const objects = bound.map(({ name, ips, uid }) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, uid },
    spec: { nodeName: 'node' },
    status: { phase: 'Running', podIPs: ips.map((ip) => ({ ip })) },
  }));
  const decoded = objects.flatMap((raw) => decodeObject(raw, { kind: 'cluster', resourceVersion: '1' }).object ?? []);
  const bindings = bound.map((pod) => ({
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
    podCidrs: node.podCidrs.flatMap((text) => parseCidr(text)?.cidr ?? []),
    addresses: ['198.18.0.1', gateway] as IpAddress[],
  };
  const shape = { routed: [], ...(neighbourTargets && { neighbourTargets }), bridges: [bridge] };
  enforcer.setDesired(compileNode({ snapshot: snapshotOf(decoded), bindings, shape }));
  await enforcer.idle();
  expect(enforcer.status()).toMatchObject({ lastApply: { ok: true }, problems: [] });
  expect(await enforcer.verify()).toEqual({ clean: true, repaired: false });
}

const hexOfMac = (mac: string): string => mac.replaceAll(':', '');
const hexOfIp = (ip: string): string =>
  ipToBigInt(ip as IpAddress)
    .toString(16)
    .padStart(32, '0');

/** An advertisement that overrides what its receiver knows, with a mark in an option that nobody reads. */
function advertisement(of: {
  readonly from: { readonly mac: string; readonly ip: string };
  readonly to: { readonly mac: string; readonly ip: string };
  readonly target: string;
  readonly mark?: string;
}): string {
  const { from, to, target, mark = 'unread' } = of;
  const options = `0201${hexOfMac(from.mac)}fd01${Buffer.from(mark).toString('hex')}`;
  const addresses = `${hexOfIp(from.ip)}${hexOfIp(to.ip)}`;
  const body = (checksum: string): string => `8800${checksum}60000000${hexOfIp(target)}${options}`;
  const length = (body('0000').length / 2).toString(16).padStart(4, '0');
  const words = `${addresses}0000${length}0000003a${body('0000')}`.match(/.{4}/g) ?? [];
  let sum = words.reduce((total, word) => total + Number.parseInt(word, 16), 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  const checksum = (~sum & 0xffff).toString(16).padStart(4, '0');
  return `${hexOfMac(to.mac)}${hexOfMac(from.mac)}86dd60000000${length}3aff${addresses}${body(checksum)}`;
}

const inside = (netns: string, ...command: string[]): Promise<string> =>
  run(['ip', 'netns', 'exec', netns, ...command]);
const v6 = (pod: LabPod): string => pod.ips[1]!;

/** An end that keeps a table of neighbours. */
interface Listener {
  readonly netns: string;
  readonly device: string;
  readonly mac: string;
  readonly ip: string;
}

const asListener = (pod: LabPod): Listener => ({ netns: pod.netns, device: 'eth0', mac: pod.mac, ip: v6(pod) });

async function theNode(): Promise<Listener> {
  const mac = (await inside(node.netns, 'cat', '/sys/class/net/cni0/address')).trim();
  return { netns: node.netns, device: 'cni0', mac, ip: gateway };
}

/** Whether `listener`, who knows the neighbour `target`, takes `liar` for it after an advertisement from `source`. */
async function believes(listener: Listener, target: string, liar: LabPod, source: string): Promise<boolean> {
  const { netns, device } = listener;
  const known = (): Promise<string> => inside(netns, 'ip', '-6', 'neigh', 'show', target, 'dev', device);
  await inside(netns, 'ip', '-6', 'neigh', 'flush', 'dev', device);
  await inside(netns, 'perl', script, 'ask', target);
  await expect.poll(known).toContain('lladdr');
  expect(await known()).not.toContain(liar.mac);
  const frame = advertisement({ from: { mac: liar.mac, ip: source }, to: listener, target });
  await inside(liar.netns, 'perl', script, 'send', 'eth0', frame);
  await new Promise((resolve) => setTimeout(resolve, 300));
  return (await known()).includes(liar.mac);
}

/** How many frames with the text arrive at a pod while `action` runs. */
async function arrivals(pod: LabPod, text: string, action: () => Promise<unknown>): Promise<number> {
  const counting = inside(pod.netns, 'perl', script, 'count', 'eth0', text, '3');
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  await action();
  return Number((await counting).split('\n')[1]);
}

/** How many advertisements of `from` about `target` arrive at the victim. */
async function advertised(from: LabPod, target: string, mark: string): Promise<number> {
  const { victim } = pods;
  const frame = advertisement({ from: { mac: from.mac, ip: 'fe80::99' }, to: asListener(victim), target, mark });
  return await arrivals(victim, mark, () => inside(from.netns, 'perl', script, 'send', 'eth0', frame));
}

function needTargets({ skip }: TestContext): void {
  if (nftKnowsTargets !== true) skip('this nft cannot match icmpv6 taddr');
}

test('without the check a pod is taken for another, and what is meant for that one gets lost', async () => {
  const { liar, friend, victim } = pods;
  await enforce(false);
  expect(await believes(asListener(victim), v6(friend), liar, 'fe80::99')).toBe(true);
  expect(await believes(await theNode(), v6(friend), liar, v6(liar))).toBe(true);
  const ask = (): Promise<string> => inside(node.netns, 'perl', script, 'ask', v6(friend));
  expect([await arrivals(liar, 'anybody there', ask), await arrivals(friend, 'anybody there', ask)]).toEqual([0, 0]);
});

test("a pod cannot advertise another's address, nor the gateway's", async (context) => {
  needTargets(context);
  const { liar, friend, victim } = pods;
  await enforce(true);
  for (const source of ['fe80::99', v6(liar)]) {
    expect(await believes(asListener(victim), v6(friend), liar, source)).toBe(false);
    expect(await believes(asListener(victim), gateway, liar, source)).toBe(false);
    expect(await believes(await theNode(), v6(friend), liar, source)).toBe(false);
  }
});

test('a port nobody is bound to cannot either', async (context) => {
  needTargets(context);
  const { friend, stranger, victim } = pods;
  await enforce(true);
  expect(await believes(asListener(victim), v6(friend), stranger, 'fe80::99')).toBe(false);
  expect(await believes(asListener(victim), gateway, stranger, v6(stranger))).toBe(false);
});

test('a pod may advertise its own address and link-local ones, a port nobody is bound to one that is free', async (context) => {
  needTargets(context);
  const { liar, friend, stranger } = pods;
  await enforce(true);
  expect(await advertised(liar, v6(liar), 'honest')).toBe(1);
  expect(await advertised(liar, 'fe80::99', 'alsook')).toBe(1);
  expect(await advertised(stranger, v6(stranger), 'unused')).toBe(1);
  expect(await advertised(liar, v6(friend), 'untrue')).toBe(0);
});
