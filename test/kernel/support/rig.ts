import type { IpAddress } from '../../../src/model/ip.ts';
import { Lab } from '../../lab/lab.ts';
import type { LabNode } from '../../lab/node.ts';
import type { LabPod } from '../../lab/pod.ts';
import { ipBatch } from '../../lab/run.ts';
import type { Place } from '../../lab/traffic.ts';
import type { LocalPod, Placement, Spot } from './placement.ts';

/** How pods hang on the node. */
export type Mode = 'routed' | 'bridged';

/** More than the largest number of pods that a case has on one node. */
const podCount = 12;

/** Ranges of the pods' first addresses, which no case uses. */
const ranges = ['198.18.0.0/24', 'fd00:198:18::/64'];

/**
 * One node with pods and what lies beyond its uplink, made once and given other addresses for every case.
 *
 * Every pod keeps a first address and the routes of an ordinary pod. Addresses of a case come and go beside it, each
 * with a host route, so that any address can lie anywhere. Bridged pods reach each other directly, on the bridge.
 */
export class Rig {
  readonly mode: Mode;
  readonly lab: Lab;
  readonly node: LabNode;
  readonly #slots: readonly LabPod[];
  /** Pods of the case and their slots; a slot is used again as late as possible. */
  readonly #taken = new Map<string, LabPod>();
  #free: LabPod[];
  /** What `ip` was told for the case: network namespace -> `address ...` and `route ...`. */
  #lines: ReadonlyMap<string, readonly string[]> = new Map();

  private constructor(mode: Mode, lab: Lab, node: LabNode, slots: readonly LabPod[]) {
    this.mode = mode;
    this.lab = lab;
    this.node = node;
    this.#slots = slots;
    this.#free = [...slots];
  }

  /** Makes the lab. Throws, rather than skips, where that is impossible. */
  static async create(mode: Mode): Promise<Rig> {
    const lab = await Lab.create();
    try {
      const node = await lab.addNode({ name: 'node', mode, podCidrs: ranges });
      const slots: LabPod[] = [];
      for (let number = 10; number < 10 + podCount; number += 1) {
        const ips = [`198.18.0.${String(number)}`, `fd00:198:18::${String(number)}`];
        slots.push(await node.addPod({ name: `pod-${String(number)}`, attach: 'plain', ips }));
      }
      return new Rig(mode, lab, node, slots);
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  /** Gives pods, node and the world beyond the addresses of a state. */
  async arrange(placement: Placement): Promise<void> {
    this.#assign(placement.pods);
    const wanted = this.#linesFor(placement);
    const places = [...new Set([...this.#lines.keys(), ...wanted.keys()])];
    await Promise.all(
      places.map((netns) => this.#change(netns, this.#lines.get(netns) ?? [], wanted.get(netns) ?? [])),
    );
    this.#lines = wanted;
  }

  /** The lab pod that plays a pod of the case. Throws if it is not on this node now. */
  pod(key: string): LabPod {
    const pod = this.#taken.get(key);
    if (pod === undefined) throw new Error(`${key} is not on this node`);
    return pod;
  }

  /** Where packets of an end start or arrive. */
  place(spot: Spot): Place {
    return spot.kind === 'pod' ? this.pod(spot.key) : spot.kind === 'node' ? this.node : this.lab.outside;
  }

  /** Forgets the case: listeners and pods. Addresses stay until the next {@link arrange}. */
  async clear(): Promise<void> {
    for (const place of [...this.#slots, this.node, this.lab.outside]) await this.lab.traffic.forget(place);
    this.#taken.clear();
    this.#free = [...this.#slots];
  }

  #assign(pods: readonly LocalPod[]): void {
    const keys = new Set(pods.map((pod) => pod.key));
    for (const [key, slot] of this.#taken) {
      if (keys.has(key)) continue;
      this.#taken.delete(key);
      this.#free.push(slot);
    }
    for (const key of keys) {
      if (this.#taken.has(key)) continue;
      const slot = this.#free.shift();
      if (slot === undefined) throw new Error(`more than ${String(podCount)} pods on one node`);
      this.#taken.set(key, slot);
    }
  }

  #linesFor({ pods, nodeAddresses, beyondAddresses }: Placement): ReadonlyMap<string, readonly string[]> {
    const { outside } = this.lab;
    const lines = new Map<string, string[]>();
    const say = (netns: string, line: string): void => void (lines.get(netns) ?? put(lines, netns)).push(line);
    for (const ip of nodeAddresses) {
      say(this.node.netns, `address ${host(ip)} dev lo`);
      say(outside.netns, `route ${host(ip)} via ${this.#uplink(ip)}`);
    }
    for (const ip of beyondAddresses) say(outside.netns, `address ${host(ip)} dev lo`);
    for (const { key, addresses } of pods) {
      const own = this.pod(key);
      for (const ip of addresses) {
        say(own.netns, `address ${host(ip)} dev eth0`);
        say(this.node.netns, `route ${host(ip)} dev ${this.mode === 'routed' ? own.hostInterface : 'cni0'}`);
        say(outside.netns, `route ${host(ip)} via ${this.#uplink(ip)}`);
        if (this.mode === 'routed') continue;
        for (const other of pods) if (other.key !== key) say(this.pod(other.key).netns, `route ${host(ip)} dev eth0`);
      }
    }
    return lines;
  }

  async #change(netns: string, before: readonly string[], after: readonly string[]): Promise<void> {
    const [had, has] = [new Set(before), new Set(after)];
    const gone = before.filter((line) => !has.has(line)).map((line) => line.replace(' ', ' del '));
    const come = after.filter((line) => !had.has(line)).map(addition);
    // An address that moved has another MAC now, and a neighbour entry would outlive it by seconds.
    const isOnBridge = this.mode === 'bridged' && netns !== this.lab.outside.netns;
    const flush = isOnBridge ? [`neigh flush dev ${netns === this.node.netns ? 'cni0' : 'eth0'}`] : [];
    if (gone.length + come.length > 0) await ipBatch(netns, [...gone, ...flush, ...come]);
    else await ipBatch(netns, flush);
  }

  #uplink(ip: IpAddress): string {
    return this.node.addresses.find((address) => address.includes(':') === ip.includes(':'))!;
  }
}

function put(lines: Map<string, string[]>, netns: string): string[] {
  const list: string[] = [];
  lines.set(netns, list);
  return list;
}

function addition(line: string): string {
  const added = line.replace(' ', ' add ');
  return line.startsWith('address') && line.includes(':') ? `${added} nodad` : added;
}

function host(ip: IpAddress): string {
  return `${ip}/${ip.includes(':') ? '128' : '32'}`;
}
