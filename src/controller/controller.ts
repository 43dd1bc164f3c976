import type { Ruleset } from '../compiler/ruleset.ts';
import type { HostFacts } from '../host/facts.ts';
import { bindInterfaces } from '../host/interfaces.ts';
import type { InterfaceProblem } from '../host/interfaces.ts';
import { checkNode } from '../host/network-plugin.ts';
import type { Refusal } from '../host/network-plugin.ts';
import type { BridgeNetfilterResult } from '../host/kernel-settings.ts';
import { nodeShape } from '../host/node-shape.ts';
import { isPoliced } from '../model/endpoint.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { NodeName } from '../model/names.ts';
import { addressOwners } from '../selector/address-owners.ts';
import type { ResourceKind } from '../source/source.ts';
import type { Change, Store } from '../source/store.ts';
import type { RulesetCompiler } from './full-compiler.ts';

/*
 *   source --> store --change--> compiler (indexes)            host: links, routes, CNI
 *                 |                  |                            |  facts
 *                 +------ wake ------+---------- wake ------------+
 *                                    v
 *                     one run at a time, newest state only:
 *            facts + local pods -> bindings, shape -> compiler -> ruleset -> enforcer
 */

/** The kinds that must be in sync before anything is written. */
export const requiredKinds: readonly ResourceKind[] = ['Namespace', 'Pod', 'NetworkPolicy'];

/** What the controller needs of the node. */
export interface Host {
  /** Observes the node; throws HostError if that is impossible just now. */
  collect(previous?: HostFacts): Promise<HostFacts>;
  ensureBridgeNetfilter(): Promise<BridgeNetfilterResult>;
}

/** Where rulesets go. */
export interface RulesetSink {
  setDesired(ruleset: Ruleset): void;
}

/** Why the node, or some of its pods, are not enforced as they should be. */
export interface ControllerStatus {
  readonly inSync: boolean;
  /** A refusal of severity `refuse` stops all writing; the rules in the kernel stay. */
  readonly refusals: readonly Refusal[];
  readonly interfaceProblems: readonly InterfaceProblem[];
  /** Why the node could not be observed. */
  readonly hostProblem?: string;
  /** Bound local pods. */
  readonly boundPods: number;
  /** Generation of the objects last handed to the enforcer. */
  readonly generation?: number;
}

/** Parts and limits of a {@link Controller}. */
export interface ControllerOptions {
  readonly node: NodeName;
  readonly store: Store;
  readonly compiler: RulesetCompiler;
  readonly enforcer: RulesetSink;
  readonly host: Host;
  /** Waits; rejects when aborted. */
  readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Called after each run with the status and, if it was handed over, the ruleset. */
  readonly onRun?: (status: ControllerStatus) => void;
}

/** How long to wait before looking at the node again while a pod's interface is missing, in milliseconds. */
const firstRetryMs = 100;
const longestRetryMs = 5_000;

/** Wires sources, compiler, host and enforcer. Work is keyed, not queued: a burst makes one run with the newest state. */
export class Controller {
  readonly #options: ControllerOptions;
  #objectsDirty = true;
  #hostDirty = true;
  #wake: () => void = () => undefined;
  #facts: HostFacts | undefined;
  #retryMs = firstRetryMs;
  #status: ControllerStatus = { inSync: false, refusals: [], interfaceProblems: [], boundPods: 0 };

  constructor(options: ControllerOptions) {
    this.#options = options;
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

  /** Runs until aborted. Never touches the rules when it stops. */
  async run(signal: AbortSignal): Promise<void> {
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    while (!signal.aborted) {
      const woken = new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      let retry = false;
      if ((this.#objectsDirty || this.#hostDirty) && this.#options.store.inSync(requiredKinds)) {
        retry = await this.#runOnce();
      }
      if (signal.aborted) return;
      if (retry) {
        await this.#pause(woken, signal);
        this.#hostDirty = true;
      } else {
        await woken;
        // Let the rest of a burst arrive: what comes in this turn of the event loop is one run.
        await new Promise((resolve) => setImmediate(resolve));
      }
    }
  }

  #changed(change: Change): void {
    this.#options.compiler.changed(change);
    this.#objectsDirty = true;
    this.#wake();
  }

  /** Answers whether to look at the node again soon. */
  async #runOnce(): Promise<boolean> {
    const { store, compiler, enforcer, host, node } = this.#options;
    const observe = this.#hostDirty || this.#facts === undefined;
    this.#objectsDirty = false;
    this.#hostDirty = false;
    try {
      if (observe || this.#facts === undefined) this.#facts = await host.collect(this.#facts);
    } catch (error) {
      this.#publish({
        ...this.#status,
        inSync: true,
        hostProblem: error instanceof Error ? error.message : String(error),
      });
      return true;
    }
    const snapshot = store.snapshot();
    const { bindings, problems } = bindInterfaces(this.#localPods(), this.#facts);
    const shape = nodeShape(this.#facts, bindings, snapshot.nodes.get(node));
    const refusals = [...checkNode(this.#facts, bindings)];
    if (shape.bridges.length > 0) {
      const netfilter = await host.ensureBridgeNetfilter();
      if (netfilter.kind === 'on') {
        const fixed = refusals.findIndex(({ code }) => code === 'bridge-netfilter-off');
        if (fixed >= 0) refusals.splice(fixed, 1);
      }
    }
    const refused = refusals.some(({ severity }) => severity === 'refuse');
    if (!refused) {
      compiler.setHost(bindings, shape);
      enforcer.setDesired(compiler.ruleset());
    }
    this.#publish({
      inSync: true,
      refusals,
      interfaceProblems: problems,
      boundPods: bindings.length,
      generation: refused ? (this.#status.generation ?? 0) : snapshot.generation,
    });
    return refused || problems.length > 0;
  }

  /** Local pods with the addresses they own: who lost a claim must not be bound by it (semantics 49). */
  #localPods(): Endpoint[] {
    const { store, node } = this.#options;
    const pods = store.snapshot().pods;
    const local = [...pods.values()].filter((pod) => pod.node === node && isPoliced(pod));
    const owners = addressOwners(pods.values());
    return local.map((pod) => {
      const owned = pod.addresses.filter((address) => owners.get(address) === pod);
      return owned.length === pod.addresses.length ? pod : { ...pod, addresses: owned };
    });
  }

  #publish(status: ControllerStatus): void {
    this.#status = status;
    this.#options.onRun?.(status);
  }

  /** Until woken or the delay is over; the delay doubles while nothing changes. */
  async #pause(woken: Promise<void>, signal: AbortSignal): Promise<void> {
    const delayMs = this.#retryMs;
    this.#retryMs = Math.min(this.#retryMs * 2, longestRetryMs);
    const timer = new AbortController();
    const stop = (): void => timer.abort();
    signal.addEventListener('abort', stop, { once: true });
    await Promise.race([woken, this.#options.sleep(delayMs, timer.signal)]);
    timer.abort();
    signal.removeEventListener('abort', stop);
  }
}
