import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { pick } from '../../api-server/random.ts';
import type { Random } from '../../api-server/random.ts';
import { Lab } from '../../lab/lab.ts';
import { namespaceManifest, nodeManifest, pendingPodManifest, podManifest } from '../../lab/manifests.ts';
import type { Manifest } from '../../lab/manifests.ts';
import { probeAll } from '../../lab/matrix.ts';
import type { Cell } from '../../lab/matrix.ts';
import type { LabNode } from '../../lab/node.ts';
import { addressOf } from '../../lab/pod.ts';
import type { LabPod } from '../../lab/pod.ts';
import { oracleJudge } from '../../oracle/oracle.ts';
import type { Question } from '../../oracle/question.ts';
import { evaluateJudge } from '../../property/support/judges.ts';
import { AgentProcess } from '../../support/leak-agent.ts';
import { LeakTraffic, monotonicMs } from '../../support/leak-traffic.ts';
import { leakPort, openPair } from '../../support/leak-world.ts';
import type { Pair } from '../../support/leak-world.ts';
import { LabApiServer } from './api-server.ts';

/** What a cluster should be. */
export interface ClusterOptions {
  readonly network: 'routes' | 'vxlan';
  readonly modes: readonly ['routed' | 'bridged', 'routed' | 'bridged'];
  /** Where the binaries of a real API server are; without it the server made for tests. */
  readonly assets?: string | undefined;
}

const teams = ['x', 'y'] as const;
const apps = ['a', 'b', 'c'] as const;
const namespaces = ['red', 'blue'] as const;

/** Ports that policies of the cluster speak of, and one that they do not. */
const ports = [leakPort, 7001] as const;

/** Where packets flow all the time; the policy of the database speaks of no port. */
const continuousPort = 7100;

/** How often every continuous flow sends, per second. */
const packetsPerSecond = 100;

/** A pod and its labels as the API has them now. */
interface Member {
  readonly pod: LabPod;
  readonly labels: Readonly<Record<string, string>>;
}

/**
 * Two nodes with an agent each, an API server, pods that come and go, and in the namespace `keep` pods between which
 * packets flow all the time: some that must always arrive, some that never may.
 */
export class Cluster implements AsyncDisposable {
  readonly lab: Lab;
  readonly api: LabApiServer;
  /** Whether its API server is a real one. */
  readonly real: boolean;
  readonly nodes: readonly [LabNode, LabNode];
  readonly traffic: LeakTraffic;
  readonly agents: Map<LabNode, AgentProcess> = new Map();
  readonly #members = new Map<string, Member>();
  readonly #keep = new Map<string, LabPod>();
  #denied: readonly Pair[] = [];
  #allowed: readonly Pair[] = [];
  #countingSince = 0;
  #serial = 0;

  private constructor(lab: Lab, api: LabApiServer, real: boolean, nodes: readonly [LabNode, LabNode]) {
    this.lab = lab;
    this.api = api;
    this.real = real;
    this.nodes = nodes;
    this.traffic = new LeakTraffic(nodes[0]);
  }

  /** Builds everything; agents run and are in sync. */
  static async create(options: ClusterOptions): Promise<Cluster> {
    const lab = await Lab.create({ network: options.network });
    try {
      const nodes = [
        await lab.addNode({ name: 'node-1', mode: options.modes[0], cniFiles: 'config-and-results' }),
        await lab.addNode({ name: 'node-2', mode: options.modes[1], cniFiles: 'config-and-results' }),
      ] as const;
      const api = await LabApiServer.start(lab, nodes[0], options.assets);
      const cluster = new Cluster(lab, api, options.assets !== undefined, nodes);
      await cluster.#furnish();
      return cluster;
    } catch (error) {
      await lab.close();
      throw error;
    }
  }

  /** A pod of the namespace `keep`, which nothing changes. */
  kept(name: 'database' | 'client' | 'far-client' | 'intruder' | 'far-intruder'): LabPod {
    const pod = this.#keep.get(name);
    if (pod === undefined) throw new Error(`no pod ${name}`);
    return pod;
  }

  /** The pods that come and go. */
  get members(): readonly Member[] {
    return [...this.#members.values()];
  }

  /** Starts the agent of a node, after the one before has ended. */
  startAgent(node: LabNode): AgentProcess {
    const args = [`--kubeconfig=${this.api.kubeconfig}`, `--state-dir=${join(node.directory, 'state')}`];
    const agent = new AgentProcess(node, args);
    this.agents.set(node, agent);
    return agent;
  }

  agentOf(node: LabNode): AgentProcess {
    const agent = this.agents.get(node);
    if (agent === undefined) throw new Error(`${node.name} has no agent`);
    return agent;
  }

  /** Starts a pod as a scheduler and a kubelet do: the API knows it first, and its addresses last. */
  async addPod(node: LabNode, namespace: string, labels: Readonly<Record<string, string>>): Promise<LabPod> {
    this.#serial += 1;
    const pod = await this.#startPod(node, { name: `pod-${this.#serial}`, namespace, labels });
    this.#members.set(pod.uid, { pod, labels });
    return pod;
  }

  /** Ends a pod as a kubelet does: the API hears that it ends, the sandbox goes, the object goes. */
  async removePod(pod: LabPod): Promise<void> {
    const ref = { plural: 'pods', namespace: pod.namespace, name: pod.name } as const;
    await this.api.terminate(ref);
    this.#members.delete(pod.uid);
    await pod.node.removePod(pod);
    await this.api.remove(ref);
  }

  /** Replaces a pod by one with other addresses and the same labels. */
  async roll(pod: LabPod): Promise<void> {
    const labels = this.#members.get(pod.uid)?.labels ?? pod.labels;
    await this.addPod(pod.node, pod.namespace, labels);
    await this.removePod(pod);
  }

  async relabel(pod: LabPod, labels: Readonly<Record<string, string>>): Promise<void> {
    this.#members.set(pod.uid, { pod, labels });
    await this.api.apply(podManifest(pod, { labels }));
  }

  async setTeam(namespace: string, team: string): Promise<void> {
    await this.api.apply(namespaceManifest(namespace, { team }));
  }

  /** One change drawn at random: pods, labels, namespaces, policies. */
  async churn(random: Random): Promise<void> {
    const dice = random();
    const namespace = pick(random, namespaces);
    if (dice < 0.2) await this.roll(pick(random, this.members).pod);
    else if (dice < 0.45) await this.relabel(pick(random, this.members).pod, { app: pick(random, apps) });
    else if (dice < 0.6) await this.setTeam(namespace, pick(random, teams));
    else await this.#changePolicy(namespace, `policy-${Math.floor(random() * 3)}`, random);
  }

  /** Takes the coming and going part back to where it began, so that a seed means the same each time. */
  async reset(): Promise<void> {
    for (const object of await this.api.objects()) {
      const { name, namespace } = (object as unknown as Manifest).metadata;
      if (object['kind'] !== 'NetworkPolicy' || namespace === undefined || namespace === 'keep') continue;
      await this.api.remove({ plural: 'networkpolicies', namespace, name });
    }
    for (const { pod } of this.members) await this.removePod(pod);
    for (const [index, namespace] of namespaces.entries()) await this.setTeam(namespace, teams[index] ?? 'x');
    for (const namespace of namespaces) {
      for (const node of this.nodes) await this.addPod(node, namespace, { app: pick(() => 0, apps) });
    }
    const [first, second] = this.members;
    if (first !== undefined) await this.relabel(first.pod, { app: 'b' });
    if (second !== undefined) await this.relabel(second.pod, { app: 'c' });
  }

  /**
   * Sends packets between all pods, from both nodes and from outside, in both families, and answers each flow whose
   * fate is not what the server's objects say. The evaluator and the oracle must agree with each other too.
   */
  async disagreements(): Promise<readonly string[]> {
    const objects = await this.api.objects();
    const pods = [...this.#keep.values(), ...this.members.map(({ pod }) => pod)];
    const cells: (Cell & { readonly question: Question; readonly text: string })[] = [];
    for (const to of pods) {
      for (const family of ['IPv4', 'IPv6'] as const) {
        const outside = { ...this.lab.outside, name: 'outside', ips: this.lab.outside.addresses };
        for (const from of [...pods, outside]) {
          if (from === to) continue;
          const port = ports[cells.length % ports.length] ?? leakPort;
          const protocol = cells.length % 3 === 0 ? 'udp' : 'tcp';
          const source = 'namespace' in from ? `${from.namespace}/${from.name}` : addressOf(outside, family);
          const destination = `${to.namespace}/${to.name}`;
          cells.push({
            from,
            to: addressOf(to, family),
            port,
            protocol,
            at: to,
            question: {
              from: source,
              to: destination,
              family,
              protocol: protocol === 'udp' ? 'UDP' : 'TCP',
              port,
            },
            text: `${source} -> ${destination} ${family} ${protocol} ${port}`,
          });
        }
      }
    }
    const questions = cells.map(({ question }) => question);
    const evaluated = evaluateJudge(objects, questions);
    const asked = oracleJudge(objects, questions);
    const answers = await probeAll(this.lab.traffic, cells);
    return answers.flatMap(({ cell, verdict }, i) =>
      verdict === evaluated[i]?.verdict && verdict === asked[i]?.verdict
        ? []
        : [`${cell.text}: packets ${verdict}, evaluator ${evaluated[i]?.verdict}, oracle ${asked[i]?.verdict}`],
    );
  }

  /** Waits until packets agree with the server's objects; answers what still does not at the deadline. */
  async settle(timeoutMs = 60_000): Promise<readonly string[]> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const wrong = await this.disagreements();
      if (wrong.length === 0 || performance.now() > deadline) return wrong;
      await sleep(100);
    }
  }

  /** From now on, packets of the kept pods count. */
  count(): void {
    this.#countingSince = monotonicMs();
  }

  /** Packets between kept pods that met another fate than they always must, since {@link count}. */
  async packets(): Promise<{
    readonly denied: number;
    readonly leaked: number;
    readonly allowed: number;
    readonly lost: number;
  }> {
    const span = { from: this.#countingSince, to: monotonicMs() };
    await sleep(200);
    const result = { denied: 0, leaked: 0, allowed: 0, lost: 0 };
    for (const flow of this.#denied.flatMap(({ flows }) => flows)) {
      const { sent, arrived } = await this.traffic.count(flow, span);
      result.denied += sent;
      result.leaked += arrived;
    }
    for (const flow of this.#allowed.flatMap(({ flows }) => flows)) {
      const { sent, arrived } = await this.traffic.count(flow, span);
      result.allowed += sent;
      result.lost += sent - arrived;
    }
    return result;
  }

  /** Ends everything. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab.close();
  }

  async #furnish(): Promise<void> {
    const [near, far] = this.nodes;
    await this.api.apply(nodeManifest(near), nodeManifest(far));
    for (const name of ['keep', ...namespaces]) await this.api.apply(namespaceManifest(name));
    const kept: readonly (readonly [LabNode, string, Readonly<Record<string, string>>])[] = [
      [near, 'database', { app: 'database' }],
      [near, 'client', { role: 'client' }],
      [far, 'far-client', { role: 'client' }],
      [near, 'intruder', {}],
      [far, 'far-intruder', {}],
    ];
    for (const [node, name, labels] of kept) {
      this.#keep.set(name, await this.#startPod(node, { name, namespace: 'keep', labels }));
    }
    await this.api.apply(
      policy('keep', 'database', {
        podSelector: { matchLabels: { app: 'database' } },
        ingress: [{ from: [{ podSelector: { matchLabels: { role: 'client' } } }] }],
      }),
    );
    await this.reset();
    const pair = (from: LabPod): Promise<Pair> => openPair(this.traffic, from, this.kept('database'), continuousPort);
    const outside = { ...this.lab.outside, name: 'outside', ips: this.lab.outside.addresses };
    this.#denied = [
      await pair(this.kept('intruder')),
      await pair(this.kept('far-intruder')),
      await openPair(this.traffic, outside, this.kept('database'), continuousPort),
    ];
    this.#allowed = [await pair(this.kept('client')), await pair(this.kept('far-client'))];
    await this.traffic.setRate(packetsPerSecond);
    await sleep(300);
    // Silence later proves the rules only if these packets arrive without them.
    for (const { name, flows } of [...this.#denied, ...this.#allowed]) {
      for (const flow of flows) {
        if ((await this.traffic.count(flow)).arrived === 0) throw new Error(`nothing arrives without rules: ${name}`);
      }
    }
    for (const node of this.nodes) this.startAgent(node);
    for (const node of this.nodes) await this.agentOf(node).ready();
    await sleep(100);
    this.count();
  }

  async #startPod(
    node: LabNode,
    options: { readonly name: string; readonly namespace: string; readonly labels: Readonly<Record<string, string>> },
  ): Promise<LabPod> {
    const [stored] = await this.api.apply(pendingPodManifest(node, options));
    if (stored === undefined) throw new Error(`the server did not take pod ${options.name}`);
    const pod = await node.addPod({ ...options, uid: stored.metadata.uid });
    await this.api.apply(podManifest(pod));
    return pod;
  }

  async #changePolicy(namespace: string, name: string, random: Random): Promise<void> {
    const present = (await this.api.objects()).some(
      (object) =>
        object['kind'] === 'NetworkPolicy' &&
        (object as unknown as Manifest).metadata.name === name &&
        (object as unknown as Manifest).metadata.namespace === namespace,
    );
    if (present && random() < 0.35) await this.api.remove({ plural: 'networkpolicies', namespace, name });
    else await this.api.apply(policy(namespace, name, randomSpec(random)));
  }
}

/** A NetworkPolicy object. */
export function policy(namespace: string, name: string, spec: Readonly<Record<string, unknown>>): Manifest {
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name, namespace }, spec };
}

function randomSpec(random: Random): Readonly<Record<string, unknown>> {
  const selector = (): object => (random() < 0.25 ? {} : { matchLabels: { app: pick(random, apps) } });
  const peer = (): object => {
    const dice = random();
    if (dice < 0.35) return { podSelector: selector() };
    if (dice < 0.55) return { namespaceSelector: { matchLabels: { team: pick(random, teams) } } };
    if (dice < 0.8) return { namespaceSelector: {}, podSelector: selector() };
    const six = random() < 0.5;
    return {
      ipBlock: six
        ? { cidr: 'fd00:10:244::/48', except: ['fd00:10:244:2::/64'] }
        : { cidr: '10.244.0.0/16', except: ['10.244.1.0/24'] },
    };
  };
  const rule = (direction: 'from' | 'to'): object => ({
    ...(random() < 0.15 ? {} : { [direction]: Array.from({ length: 1 + Math.floor(random() * 2) }, peer) }),
    ...(random() < 0.5
      ? {}
      : {
          ports: [
            { protocol: pick(random, ['TCP', 'UDP']), port: leakPort },
            { protocol: 'TCP', port: 7001 },
          ],
        }),
  });
  const rules = (direction: 'from' | 'to'): object[] =>
    Array.from({ length: Math.floor(random() * 3) }, () => rule(direction));
  const types = pick(random, [['Ingress'], ['Egress'], ['Ingress', 'Egress']]);
  return {
    podSelector: selector(),
    policyTypes: types,
    ...(types.includes('Ingress') ? { ingress: rules('from') } : {}),
    ...(types.includes('Egress') ? { egress: rules('to') } : {}),
  };
}
