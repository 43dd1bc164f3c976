import { spawn } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cni } from './cni.ts';
import type { CniFiles } from './cni.ts';
import type { LabPod, PodOptions } from './pod.ts';
import type { Registry } from './registry.ts';
import { ipBatch, run } from './run.ts';
import { renderServices } from './services.ts';
import type { LabService } from './services.ts';
import type { Traffic } from './traffic.ts';

/** What a node of the lab should be. */
export interface NodeOptions {
  readonly name: string;
  /** How pods hang on it: routed veths (CNI plugin `ptp`) or ports of the bridge cni0 (`bridge`). */
  readonly mode: 'routed' | 'bridged';
  /** Pod ranges, IPv4 first; by default 10.244.N.0/24 and fd00:10:244:N::/64. One family makes single-stack pods. */
  readonly podCidrs?: readonly string[];
  /** Which CNI files exist for the agent to find; none by default. */
  readonly cniFiles?: CniFiles;
}

/** What the lab decides about a node. */
export interface NodePlace {
  readonly netns: string;
  readonly addresses: readonly string[];
  readonly podCidrs: readonly string[];
  readonly mtu: number;
  readonly directory: string;
}

/** A Kubernetes node: a network namespace with an uplink `eth0`, forwarding, and pods behind veths. */
export class LabNode {
  readonly name: string;
  readonly mode: 'routed' | 'bridged';
  readonly netns: string;
  /** Uplink addresses, IPv4 first. */
  readonly addresses: readonly string[];
  readonly podCidrs: readonly string[];
  /** Its files: transactions, CNI configuration and results. */
  readonly directory: string;
  readonly cni: Cni;
  readonly #mtu: number;
  readonly #registry: Registry;
  readonly #traffic: Traffic;
  readonly #pods = new Set<LabPod>();
  #files = 0;
  /** Set once plain pods need cni0, so that pods added at the same time make it once. */
  #bridge: Promise<void> | undefined;

  constructor(options: NodeOptions, place: NodePlace, registry: Registry, traffic: Traffic) {
    this.name = options.name;
    this.mode = options.mode;
    this.netns = place.netns;
    this.addresses = place.addresses;
    this.podCidrs = place.podCidrs;
    this.directory = place.directory;
    this.#mtu = place.mtu;
    this.#registry = registry;
    this.#traffic = traffic;
    this.cni = new Cni({
      nodeNetns: place.netns,
      mode: options.mode,
      podCidrs: place.podCidrs,
      mtu: place.mtu,
      directory: join(place.directory, 'cni'),
      files: options.cniFiles ?? 'none',
    });
  }

  /** The pods on this node now. */
  get pods(): ReadonlySet<LabPod> {
    return this.#pods;
  }

  /** Starts a pod's network namespace and attaches it. */
  async addPod(options: PodOptions): Promise<LabPod> {
    const { name, namespace = 'default', labels = {}, ports = [], ips, attach = 'cni', uid = randomUUID() } = options;
    const netns = this.#registry.namespace(`${namespace}-${name}`);
    const containerId = randomBytes(32).toString('hex');
    await createNamespace(netns, this.#traffic);
    const identity = { namespace, name, uid, containerId, netns };
    const attached =
      attach === 'cni' ? await this.cni.add(identity, ips) : await this.#attachPlainly(identity, ips ?? [], options);
    const pod: LabPod = { ...identity, node: this, labels, ports, attach, ...attached };
    this.#pods.add(pod);
    return pod;
  }

  /** Detaches a pod and deletes its namespace. */
  async removePod(pod: LabPod): Promise<void> {
    this.#pods.delete(pod);
    await this.#traffic.forget(pod);
    if (pod.attach === 'cni') await this.cni.remove(pod);
    // The kernel takes the interfaces of a deleted namespace away later: routes would outlive the pod for a moment.
    else await run(['ip', '-n', this.netns, 'link', 'del', pod.hostInterface]);
    await run(['ip', 'netns', 'del', pod.netns]);
    this.#registry.dropNamespace(pod.netns);
  }

  /** Replaces the nat rules of Services on this node. */
  async setServices(services: readonly LabService[]): Promise<void> {
    await this.nft(renderServices(services));
  }

  /** Loads nft text in this node, by file: nft 1.0.6 cannot read a pipe of Node. */
  async nft(text: string): Promise<void> {
    this.#files += 1;
    const file = join(this.directory, `rules-${String(this.#files)}.nft`);
    writeFileSync(file, text);
    await this.run('nft', '-f', file);
  }

  /** Runs a command in this node's network namespace and returns its output. */
  run(...command: readonly string[]): Promise<string> {
    return run(['ip', 'netns', 'exec', this.netns, ...command]);
  }

  /**
   * Starts a long-running program in this node's network namespace, with /sys of that namespace.
   * It leads its own process group, ends with the lab, and does not get the terminal's Ctrl-C.
   */
  spawn(
    command: readonly string[],
    options: { readonly stdio?: StdioOptions; readonly env?: Readonly<Record<string, string>> } = {},
  ): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', this.netns, ...command], {
      stdio: options.stdio ?? ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...options.env },
      detached: true,
    });
    const { pid } = child;
    if (pid !== undefined) {
      this.#registry.addProcess(pid);
      child.once('exit', () => this.#registry.dropProcess(pid));
    }
    return child;
  }

  /** Prepares forwarding and, on a bridged node, cni0 as the plugin would make it. */
  async prepare(): Promise<void> {
    const settings: [string, number][] = [
      ['ipv4/ip_forward', 1],
      ['ipv6/conf/all/forwarding', 1],
      ['ipv4/conf/all/rp_filter', 0],
      ['ipv4/conf/default/rp_filter', 0],
      ['bridge/bridge-nf-call-iptables', 1],
      ['bridge/bridge-nf-call-ip6tables', 1],
    ];
    for (const [path, value] of settings) await this.#traffic.sysctl(this, path, value);
    await this.cni.prepare();
  }

  /** The same interfaces that the plugins make, by `ip` alone. */
  async #attachPlainly(
    { netns, containerId }: Pick<LabPod, 'netns' | 'containerId'>,
    ips: readonly string[],
    options: Pick<PodOptions, 'hostInterface'>,
  ): Promise<{ ips: readonly string[]; mac: string; hostInterface: string }> {
    if (ips.length === 0) throw new Error('a plainly attached pod needs addresses');
    const hash = createHash('sha256').update(containerId).digest('hex');
    const hostInterface = options.hostInterface ?? `veth${hash.slice(0, 8)}`;
    const mac = `0a:58:${hash.slice(8, 16).match(/../g)?.join(':') ?? ''}`;
    const mtu = String(this.#mtu);
    const pair = `link add ${hostInterface} mtu ${mtu} type veth peer name eth0 address ${mac} mtu ${mtu} netns ${netns}`;
    if (this.mode === 'bridged') await (this.#bridge ??= this.#makeBridge());
    await ipBatch(this.netns, [
      pair,
      ...(this.mode === 'routed' ? this.#routedLines(hostInterface, ips) : bridgeLines(hostInterface)),
    ]);
    await ipBatch(netns, ['link set eth0 up', ...ips.flatMap((ip) => this.#insideLines(ip))]);
    return { ips, mac, hostInterface };
  }

  #routedLines(veth: string, ips: readonly string[]): string[] {
    return [
      `link set ${veth} up`,
      `address replace 169.254.1.1/32 dev lo`,
      `address add fe80::1/64 dev ${veth} nodad`,
      ...ips.map((ip) => `route add ${ip} dev ${veth}`),
    ];
  }

  #insideLines(ip: string): string[] {
    const six = ip.includes(':');
    if (this.mode === 'routed') {
      return six
        ? [`address add ${ip}/128 dev eth0 nodad`, 'route add default via fe80::1 dev eth0']
        : [`address add ${ip}/32 dev eth0`, 'route add 169.254.1.1 dev eth0', 'route add default via 169.254.1.1'];
    }
    const cidr = this.podCidrs.find((range) => range.includes(':') === six);
    if (cidr === undefined) throw new Error(`${this.name} has no pod range for ${ip}`);
    const length = cidr.replace(/.*\//, '');
    return [`address add ${ip}/${length} dev eth0${six ? ' nodad' : ''}`, `route add default via ${gatewayOf(cidr)}`];
  }

  async #makeBridge(): Promise<void> {
    const links = await run(['ip', '-n', this.netns, '-o', 'link', 'show', 'type', 'bridge']);
    if (links.includes('cni0')) return;
    await ipBatch(this.netns, [
      'link add cni0 type bridge',
      'link set cni0 up',
      ...this.podCidrs.map((cidr) => {
        const length = cidr.replace(/.*\//, '');
        return `address add ${gatewayOf(cidr)}/${length} dev cni0${cidr.includes(':') ? ' nodad' : ''}`;
      }),
    ]);
  }
}

function bridgeLines(veth: string): string[] {
  return [`link set ${veth} master cni0 up`, `link set ${veth} type bridge_slave hairpin on`];
}

/** The first address of a range, which host-local gives to the node. */
function gatewayOf(cidr: string): string {
  const network = cidr.replace(/\/.*/, '');
  return network.includes(':') ? `${network}1` : network.replace(/\d+$/, (last) => String(Number(last) + 1));
}

/** Makes a network namespace with loopback up and IPv6 addresses usable at once (no duplicate address detection). */
export async function createNamespace(netns: string, traffic: Traffic): Promise<void> {
  await run(['ip', 'netns', 'add', netns]);
  for (const scope of ['all', 'default']) {
    await traffic.sysctl({ netns }, `ipv6/conf/${scope}/accept_dad`, 0);
    await traffic.sysctl({ netns }, `ipv6/conf/${scope}/accept_ra`, 0);
  }
  await ipBatch(netns, ['link set lo up']);
}
