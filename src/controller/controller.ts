import type { Ruleset } from '../compiler/ruleset.ts';
import type { Clock } from '../enforcer/clock.ts';
import { bindInterfaces } from '../host/interfaces.ts';
import type { InterfaceProblem } from '../host/interfaces.ts';
import { checkNode } from '../host/network-plugin.ts';
import type { Refusal } from '../host/network-plugin.ts';
import { nodeDnsAddresses } from '../host/node-dns.ts';
import { isKnownPlugin, nodeShape } from '../host/node-shape.ts';
import type { HostFacts } from '../host/facts.ts';
import type { PodBinding } from '../model/binding.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { IpAddress } from '../model/ip.ts';
import type { NodeName } from '../model/names.ts';
import type { ResourceKind } from '../source/source.ts';
import type { Change, Store } from '../source/store.ts';
import { LocalChanges } from './local-changes.ts';
import { checkNodeName } from './node-name.ts';
import { NodeObserver } from './node-observer.ts';
import type { Host } from './node-observer.ts';
import { Progress } from './progress.ts';
import type { RulesetCompiler } from './ruleset-compiler.ts';

/*
 *   source --> store --change--> compiler (indexes), local changes       host: links, routes, CNI
 *                 |                       |                                 |  facts
 *                 +-------- wake ---------+-------------- wake -------------+
 *                                         v
 *                          one run at a time, newest state only:
 *            facts + local pods -> bindings, shape -> compiler -> ruleset -> enforcer
 */

/** The kinds that must be in sync before anything is written. */
export const requiredKinds: readonly ResourceKind[] = ['Namespace', 'Pod', 'NetworkPolicy'];

/** Where rulesets go. */
export interface RulesetSink {
  setDesired(ruleset: Ruleset): void;
  status(): { readonly desiredGeneration: number };
}

/** Why the node, or some of its pods, are not enforced as they should be. */
export interface ControllerStatus {
  readonly inSync: boolean;
  /** A refusal of severity `refuse` stops all writing; the rules in the kernel stay. */
  readonly refusals: readonly Refusal[];
  readonly interfaceProblems: readonly InterfaceProblem[];
  /** Why the node could not be observed. */
  readonly hostProblem?: string;
  /** Local pods whose interface is certain. */
  readonly bindings: readonly PodBinding[];
  /** Addresses of the DNS cache on the node itself. */
  readonly nodeDns: readonly IpAddress[];
  /** How often `bridge-nf-call-*` was found off and switched on. */
  readonly settingsRepaired: number;
  /** Generation of the objects last handed to the enforcer. */
  readonly generation?: number;
}

/** Parts of a {@link Controller}. */
export interface ControllerOptions {
  readonly node: NodeName;
  readonly store: Store;
  readonly compiler: RulesetCompiler;
  readonly enforcer: RulesetSink;
  readonly host: Host;
  readonly clock: Clock;
  /** Called after each run that found or did something. */
  readonly onRun?: (status: ControllerStatus) => void;
}

/** How long to wait before looking at the node again while a pod's interface is missing, in milliseconds. */
const firstRetryMs = 100;
const longestRetryMs = 30_000;
/** Between looks that trust nothing seen before, in milliseconds. */
const resyncMs = 60_000;
/** Between looks at `bridge-nf-call-*`, which other software resets without an event, in milliseconds. */
const bridgeCheckMs = 5_000;

/** Wires sources, compiler, host and enforcer. Work is keyed, not queued: a burst makes one run with the newest state. */
export class Controller {
  readonly progress: Progress = new Progress();
  readonly #options: ControllerOptions;
  readonly #localChanges: LocalChanges;
  readonly #observer: NodeObserver;
  #rulesDirty = true;
  #podsDirty = true;
  #hostDirty = true;
  #wake: () => void = () => undefined;
  #ruleset: Ruleset | undefined;
  /** The links by which the present bindings were decided. */
  #boundLinks: HostFacts['links'] = [];
  /** Bridges that ever carried pods: one that is empty now will carry the next. */
  readonly #knownBridges = new Set<string>();
  /** Whether a routed pod ever had an interface of a name that the network plugin does not give. */
  #foreignNames = false;
  #retryMs = firstRetryMs;
  #retryAt = Number.POSITIVE_INFINITY;
  #resyncAt = 0;
  #bridgeAt = 0;
  #status: ControllerStatus = {
    inSync: false,
    refusals: [],
    interfaceProblems: [],
    bindings: [],
    nodeDns: [],
    settingsRepaired: 0,
  };

  constructor(options: ControllerOptions) {
    this.#options = options;
    this.#localChanges = new LocalChanges(options.node);
    this.#observer = new NodeObserver(options.host);
    options.store.listen({
      changed: (change) => this.#changed(change),
      synced: () => this.#wake(),
    });
  }

  /** Something of the node changed: observe it again. */
  hostChanged(): void {
    this.#hostDirty = true;
    this.#retryMs = firstRetryMs;
    this.#wake();
  }

  /** What the last run found. */
  status(): ControllerStatus {
    return this.#status;
  }

  /** The pod of the cluster that owns an address, for questions about packets. */
  owner(address: IpAddress): Endpoint | undefined {
    return this.#options.compiler.owner(address);
  }

  /** The ruleset that was handed over last. */
  ruleset(): Ruleset | undefined {
    return this.#ruleset;
  }

  /** Runs until aborted. Never touches the rules when it stops. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      const inSync = this.#options.store.inSync(requiredKinds);
      if (inSync) await this.#runOnce();
      if (signal.aborted) return;
      await this.#pause(woken, inSync);
    }
  }

  #changed(change: Change): void {
    const { store, compiler, clock, node } = this.#options;
    compiler.changed(change);
    this.progress.changed(change, store.snapshot().generation, clock.now());
    const effect = this.#localChanges.effectOf(change);
    if (effect !== 'none') this.#podsDirty = true;
    if (effect === 'host') this.#retryMs = firstRetryMs;
    if (change.kind === 'Node' && [change.before, change.after].some((it) => it?.kind === 'Node' && it.name === node)) {
      this.#podsDirty = true;
    }
    this.#rulesDirty = true;
    this.#wake();
  }

  async #runOnce(): Promise<void> {
    const { clock } = this.#options;
    const now = clock.now();
    const fresh = now >= this.#resyncAt;
    if (this.#observer.bridged && now >= this.#bridgeAt) {
      this.#bridgeAt = now + bridgeCheckMs;
      if (await this.#bridgeNeedsLook()) this.#hostDirty = true;
    }
    if (fresh) this.#resyncAt = now + resyncMs;
    if (!fresh && !this.#hostDirty && now < this.#retryAt && !this.#podsDirty && !this.#rulesDirty) return;
    const look = fresh || this.#hostDirty || now >= this.#retryAt;
    const facts = look ? await this.#observe(fresh) : this.#observer.facts;
    if (facts === undefined) return;
    if (look || this.#podsDirty) await this.#bind(facts, look);
    this.#handOver();
  }

  /** Whether the bridge settings are not as they were seen. Failing to read them is: the look that follows says so. */
  async #bridgeNeedsLook(): Promise<boolean> {
    try {
      return await this.#observer.checkBridge();
    } catch {
      return true;
    }
  }

  /** The facts as they are now, or the last known ones if the node cannot be observed. */
  async #observe(fresh: boolean): Promise<HostFacts | undefined> {
    this.#hostDirty = false;
    this.#retryAt = Number.POSITIVE_INFINITY;
    try {
      const facts = await this.#observer.observe(this.#status.bindings, { fresh });
      const { hostProblem: _, ...status } = this.#status;
      this.#status = status;
      return facts;
    } catch (error) {
      this.#retryLater();
      const hostProblem = error instanceof Error ? error.message : String(error);
      this.#publish({ ...this.#status, inSync: true, hostProblem });
      return this.#observer.facts;
    }
  }

  /** Decides whose interface is whose. Pods that came since the last look are a reason to look again. */
  async #bind(known: HostFacts, looked: boolean): Promise<void> {
    const { node, store, host, compiler } = this.#options;
    this.#podsDirty = false;
    this.#rulesDirty = true;
    const pods = compiler.localPods();
    let facts = known;
    const last = { bindings: this.#status.bindings, links: this.#boundLinks };
    let result = bindInterfaces(pods, facts, last);
    if (!looked && result.problems.length > 0) {
      facts = (await this.#observe(false)) ?? known;
      result = bindInterfaces(pods, facts, last);
    }
    this.#boundLinks = facts.links;
    const { bindings, problems } = result;
    const claimed = new Set(problems.flatMap(({ evidence }) => evidence.flatMap(({ interfaces }) => interfaces)));
    const options = { knownBridges: this.#knownBridges, foreignNames: this.#foreignNames, claimed };
    const nodeDns = nodeDnsAddresses(facts);
    const shape = {
      ...nodeShape(facts, bindings, store.snapshot().nodes.get(node), options),
      ...(nodeDns.length > 0 && { nodeDns }),
    };
    for (const { name } of shape.bridges) this.#knownBridges.add(name);
    this.#foreignNames ||= shape.anyVeth === true && isKnownPlugin(facts);
    const { nodes, pods: all } = store.snapshot();
    const isListed = store.inSync(['Node']) ? nodes.has(node) : undefined;
    const mentions = { isListed, ownPods: pods.length, allPods: all.size };
    const refusals = [...checkNode(facts, bindings, options), ...checkNodeName(node, mentions)];
    const unbound = problems.filter(({ code }) => code !== 'pod-without-address');
    if (shape.bridges.length > 0 && unbound.length > 0) {
      const keys = new Set(unbound.map(({ pod }) => pod));
      await host.askNeighbours(
        pods.filter(({ key }) => keys.has(key)),
        shape,
      );
    }
    this.#status = { ...this.#status, refusals, interfaceProblems: problems, bindings, nodeDns };
    if (!isRefused(refusals)) compiler.setHost(bindings, shape);
    if (unbound.length > 0 || isRefused(refusals)) this.#retryLater();
    else this.#retryMs = firstRetryMs;
  }

  /** A refused node gets nothing: what is in the kernel stays. */
  #handOver(): void {
    const { store, compiler, enforcer } = this.#options;
    this.#rulesDirty = false;
    const { generation: last, ...rest } = this.#status;
    const handed = isRefused(rest.refusals) ? last : store.snapshot().generation;
    if (!isRefused(rest.refusals)) {
      this.#ruleset = compiler.ruleset();
      enforcer.setDesired(this.#ruleset);
      this.progress.handed(enforcer.status().desiredGeneration, store.snapshot().generation);
    }
    this.#publish({
      ...rest,
      inSync: true,
      settingsRepaired: this.#observer.settingsRepaired,
      ...(handed === undefined ? {} : { generation: handed }),
    });
  }

  #retryLater(): void {
    this.#retryAt = this.#options.clock.now() + this.#retryMs;
    this.#retryMs = Math.min(this.#retryMs * 2, longestRetryMs);
  }

  #publish(status: ControllerStatus): void {
    this.#status = status;
    this.#options.onRun?.(status);
  }

  /** Until woken, or until the next look is due. */
  async #pause(woken: Promise<void>, inSync: boolean): Promise<void> {
    const { clock } = this.#options;
    const bridgeAt = this.#observer.bridged ? this.#bridgeAt : Number.POSITIVE_INFINITY;
    const dueAt = inSync ? Math.min(this.#retryAt, this.#resyncAt, bridgeAt) : Number.POSITIVE_INFINITY;
    const timer = new AbortController();
    await Promise.race([woken, clock.sleep(Math.max(0, dueAt - clock.now()), timer.signal)]);
    timer.abort();
    // Let the rest of a burst arrive: what comes in this turn of the event loop is one run.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function isRefused(refusals: readonly Refusal[]): boolean {
  return refusals.some(({ severity }) => severity === 'refuse');
}
