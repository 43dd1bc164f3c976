import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createNamespace, LabNode } from './node.ts';
import type { NodeOptions } from './node.ts';
import { Registry, sweep } from './registry.ts';
import { ipBatch, run } from './run.ts';
import { Traffic } from './traffic.ts';
import type { Place } from './traffic.ts';

/** What a lab should be. */
export interface LabOptions {
  /** How nodes reach each other's pods: plain routes (default), or a VXLAN overlay as Flannel builds it. */
  readonly network?: 'routes' | 'vxlan';
}

/** The world outside of the cluster: where the nodes' uplinks end, routed to pods and nodes without translation. */
export interface Outside extends Place {
  readonly addresses: readonly string[];
  /** Gives the outside one more address, for instance of a remote client. */
  addAddress(ip: string): Promise<void>;
}

const outsideAddresses = ['172.31.77.254', 'fd00:77::fe'];

/**
 * A small cluster in network namespaces of this machine: nodes, pods, the world outside, and packets between them.
 *
 * Nothing touches the machine's own network. All of it goes away with {@link Lab.close}, when the process ends or is
 * interrupted, and at the latest when the next lab is created.
 */
export class Lab implements AsyncDisposable {
  /** Files of the lab; removed with it. */
  readonly directory: string;
  readonly traffic: Traffic;
  readonly outside: Outside;
  readonly #registry: Registry;
  readonly #network: 'routes' | 'vxlan';
  readonly #nodes: LabNode[] = [];

  private constructor(options: LabOptions, registry: Registry) {
    this.#registry = registry;
    this.#network = options.network ?? 'routes';
    this.directory = registry.directory();
    this.traffic = new Traffic(registry);
    const netns = registry.namespace('outside');
    this.outside = {
      netns,
      addresses: outsideAddresses,
      addAddress: (ip) =>
        ipBatch(netns, [
          `address add ${ip}/${ip.includes(':') ? '128' : '32'} dev lo${ip.includes(':') ? ' nodad' : ''}`,
        ]),
    };
  }

  /** Sweeps leftovers of dead labs and makes an empty lab. */
  static async create(options: LabOptions = {}): Promise<Lab> {
    if (process.getuid?.() !== 0) throw new Error('the lab makes network namespaces: it must run as root');
    sweep();
    const registry = new Registry();
    try {
      const lab = new Lab(options, registry);
      await lab.#prepareOutside();
      return lab;
    } catch (error) {
      await registry.release();
      throw error;
    }
  }

  /** The nodes, in the order they were added. */
  get nodes(): readonly LabNode[] {
    return this.#nodes;
  }

  /** Adds a node and the routes between it, the other nodes and the outside. */
  async addNode(options: NodeOptions): Promise<LabNode> {
    const number = String(this.#nodes.length + 1);
    const directory = join(this.directory, options.name);
    mkdirSync(directory);
    const node = new LabNode(
      options,
      {
        netns: this.#registry.namespace(options.name),
        addresses: [`172.31.77.${number}`, `fd00:77::${number}`],
        podCidrs: options.podCidrs ?? [`10.244.${number}.0/24`, `fd00:10:244:${number}::/64`],
        mtu: this.#network === 'vxlan' ? 1450 : 1500,
        directory,
      },
      this.#registry,
      this.traffic,
    );
    await createNamespace(node.netns, this.traffic);
    await node.prepare();
    await ipBatch(this.outside.netns, [
      `link add up${number} type veth peer name eth0 netns ${node.netns}`,
      `link set up${number} master uplinks up`,
    ]);
    const [v4, v6] = outsideAddresses;
    await ipBatch(node.netns, [
      `address add ${node.addresses[0] ?? ''}/24 dev eth0`,
      `address add ${node.addresses[1] ?? ''}/64 dev eth0 nodad`,
      'link set eth0 up',
      `route add default via ${v4 ?? ''}`,
      `route add default via ${v6 ?? ''}`,
    ]);
    await ipBatch(this.outside.netns, routesTo(node, node.addresses));
    if (this.#network === 'vxlan') await this.#addOverlay(node, number);
    for (const [at, other] of this.#nodes.entries()) {
      await ipBatch(other.netns, routesTo(node, this.#hopOf(node, number)));
      await ipBatch(node.netns, routesTo(other, this.#hopOf(other, String(at + 1))));
    }
    this.#nodes.push(node);
    return node;
  }

  /** Gives a node one more address, known to the outside. */
  async addNodeAddress(node: LabNode, ip: string): Promise<void> {
    const six = ip.includes(':');
    await ipBatch(node.netns, [`address add ${ip}/${six ? '128' : '32'} dev lo${six ? ' nodad' : ''}`]);
    const hop = node.addresses.find((address) => address.includes(':') === six);
    await ipBatch(this.outside.netns, [`route add ${ip} via ${hop ?? ''}`]);
  }

  /** Removes everything the lab made; may be called again. */
  async close(): Promise<void> {
    await this.#registry.release();
  }

  /** {@link Lab.close}, for `await using`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #prepareOutside(): Promise<void> {
    const { netns } = this.outside;
    await createNamespace(netns, this.traffic);
    for (const name of ['iptables', 'ip6tables', 'arptables']) {
      await this.traffic.sysctl(this.outside, `bridge/bridge-nf-call-${name}`, 0);
    }
    await ipBatch(netns, [
      'link add uplinks type bridge',
      `address add ${outsideAddresses[0] ?? ''}/24 dev uplinks`,
      `address add ${outsideAddresses[1] ?? ''}/64 dev uplinks nodad`,
      'link set uplinks up',
    ]);
  }

  #hopOf(node: LabNode, number: string): readonly string[] {
    return this.#network === 'vxlan' ? overlayAddresses(number) : node.addresses;
  }

  async #addOverlay(node: LabNode, number: string): Promise<void> {
    const [v4, v6] = overlayAddresses(number);
    await ipBatch(node.netns, [
      `link add vxlan1 type vxlan id 1 dstport 4789 local ${node.addresses[0] ?? ''} dev eth0`,
      `address add ${v4 ?? ''}/24 dev vxlan1`,
      `address add ${v6 ?? ''}/64 dev vxlan1 nodad`,
      'link set vxlan1 up',
    ]);
    const flood = (at: LabNode, to: LabNode): Promise<string> => {
      const entry = ['00:00:00:00:00:00', 'dev', 'vxlan1', 'dst', to.addresses[0] ?? ''];
      return run(['bridge', '-n', at.netns, 'fdb', 'append', ...entry]);
    };
    for (const other of this.#nodes) {
      await flood(node, other);
      await flood(other, node);
    }
  }
}

function overlayAddresses(number: string): readonly string[] {
  return [`10.255.0.${number}`, `fd00:10:255::${number}`];
}

function routesTo(node: LabNode, hops: readonly string[]): string[] {
  return node.podCidrs.map((cidr) => {
    const hop = hops.find((address) => address.includes(':') === cidr.includes(':'));
    return `route add ${cidr} via ${hop ?? ''}`;
  });
}
