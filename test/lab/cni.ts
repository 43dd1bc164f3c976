import { existsSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './run.ts';

/** Where distributions keep the plugins: Debian's package, then upstream's place. */
const pluginDirectories = ['/usr/lib/cni', '/opt/cni/bin'];

/** Which files of a CNI set-up exist on a node, for a program that looks for them. */
export type CniFiles = 'none' | 'config' | 'config-and-results';

/** The CNI side of one node. */
export interface CniOptions {
  readonly nodeNetns: string;
  readonly mode: 'routed' | 'bridged';
  readonly podCidrs: readonly string[];
  readonly mtu: number;
  readonly directory: string;
  readonly files: CniFiles;
}

/** Who a pod is to the plugins, as kubelet's runtime passes it. */
export interface CniPod {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly containerId: string;
  readonly netns: string;
}

/** What ADD reported about `eth0`. */
export interface CniResult {
  readonly ips: readonly string[];
  readonly mac: string;
  readonly hostInterface: string;
}

interface RawResult {
  readonly interfaces: readonly { readonly name: string; readonly mac: string; readonly sandbox?: string }[];
  readonly ips: readonly { readonly address: string }[];
}

/** A network configuration with its one plugin; the rest is the plugin's business. */
interface NetworkConfig {
  readonly cniVersion: string;
  readonly name: string;
  readonly type: string;
  readonly [key: string]: unknown;
}

const networkName = 'lab';

/** Calls the real CNI plugins (`ptp` or `bridge`, with `host-local`) inside a node, as its container runtime would. */
export class Cni {
  /** Like /etc/cni/net.d; empty with `files: 'none'`. */
  readonly configDirectory: string;
  /** Like /var/lib/cni/results; written with `files: 'config-and-results'`. */
  readonly resultsDirectory: string;
  readonly #options: CniOptions;
  readonly #plugins: string;

  constructor(options: CniOptions) {
    this.#options = options;
    this.configDirectory = join(options.directory, 'net.d');
    this.resultsDirectory = join(options.directory, 'results');
    const found = pluginDirectories.find((path) => existsSync(join(path, 'host-local')));
    if (found === undefined) throw new Error(`no CNI plugins in ${pluginDirectories.join(' or ')}`);
    this.#plugins = found;
  }

  /** Makes the directories and, if wanted, the network's conflist. */
  async prepare(): Promise<void> {
    await mkdir(this.configDirectory, { recursive: true });
    await mkdir(this.resultsDirectory, { recursive: true });
    if (this.#options.files === 'none') return;
    const { cniVersion, name, ...plugin } = this.#config();
    const conflist = { cniVersion, name, plugins: [plugin] };
    await writeFile(join(this.configDirectory, '10-lab.conflist'), JSON.stringify(conflist, undefined, 2));
  }

  /** Attaches a pod; `ips` asks host-local for these addresses instead of the next free ones. */
  async add(pod: CniPod, ips?: readonly string[]): Promise<CniResult> {
    const config = this.#config(ips);
    const raw = JSON.parse(await this.#call('ADD', pod, config)) as RawResult;
    const host = raw.interfaces.find((entry) => (entry.sandbox ?? '') === '' && entry.name.startsWith('veth'));
    const inside = raw.interfaces.find((entry) => (entry.sandbox ?? '') !== '');
    if (host === undefined || inside === undefined) throw new Error('the CNI result names no interface pair');
    if (this.#options.files === 'config-and-results') {
      const cached = {
        kind: 'cniCacheV1',
        containerId: pod.containerId,
        config: Buffer.from(JSON.stringify(config)).toString('base64'),
        ifName: 'eth0',
        networkName,
        cniArgs: argumentsOf(pod),
        result: raw,
      };
      await writeFile(this.#resultPath(pod), JSON.stringify(cached));
    }
    return { ips: raw.ips.map((ip) => ip.address.replace(/\/.*/, '')), mac: inside.mac, hostInterface: host.name };
  }

  /** Detaches a pod and frees its addresses. */
  async remove(pod: CniPod): Promise<void> {
    await this.#call('DEL', pod, this.#config());
    await rm(this.#resultPath(pod), { force: true });
  }

  #resultPath(pod: CniPod): string {
    return join(this.resultsDirectory, `${networkName}-${pod.containerId}-eth0`);
  }

  #call(command: 'ADD' | 'DEL', pod: CniPod, config: { readonly type: string }): Promise<string> {
    return run(['nsenter', `--net=/run/netns/${this.#options.nodeNetns}`, join(this.#plugins, config.type)], {
      input: JSON.stringify(config),
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: pod.containerId,
        CNI_NETNS: `/run/netns/${pod.netns}`,
        CNI_IFNAME: 'eth0',
        CNI_PATH: this.#plugins,
        CNI_ARGS: argumentsOf(pod)
          .map((pair) => pair.join('='))
          .join(';'),
      },
    });
  }

  #config(ips?: readonly string[]): NetworkConfig {
    const { mode, podCidrs, mtu, directory } = this.#options;
    const routes = podCidrs.map((cidr) => ({ dst: cidr.includes(':') ? '::/0' : '0.0.0.0/0' }));
    const ipam = {
      type: 'host-local',
      dataDir: join(directory, 'networks'),
      ranges: podCidrs.map((subnet) => [{ subnet }]),
      routes,
    };
    // A hairpin port is what lets a pod reach itself through a Service.
    const bridge = { bridge: 'cni0', isGateway: true, hairpinMode: true };
    return {
      cniVersion: '0.4.0',
      name: networkName,
      ...(mode === 'routed' ? { type: 'ptp' } : { type: 'bridge', ...bridge }),
      ipMasq: false,
      mtu,
      ipam,
      ...(ips === undefined ? {} : { args: { cni: { ips } } }),
    };
  }
}

function argumentsOf(pod: CniPod): [string, string][] {
  return [
    ['IgnoreUnknown', '1'],
    ['K8S_POD_NAMESPACE', pod.namespace],
    ['K8S_POD_NAME', pod.name],
    ['K8S_POD_INFRA_CONTAINER_ID', pod.containerId],
    ['K8S_POD_UID', pod.uid],
  ];
}
