import type { HostFacts } from '../host/facts.ts';
import type { BridgeNetfilterResult } from '../host/kernel-settings.ts';
import { podBridges } from '../host/node-shape.ts';
import type { NodeShape, PodBinding } from '../model/binding.ts';
import type { Endpoint } from '../model/endpoint.ts';

/** What the controller needs of the node. */
export interface Host {
  /** Observes the node; with `previous` facts, only what may have changed. Throws HostError if that is impossible just now. */
  collect(previous?: HostFacts): Promise<HostFacts>;
  /** Makes packets that stay inside a bridge pass our hooks. */
  ensureBridgeNetfilter(): Promise<BridgeNetfilterResult>;
  /** Makes the node ask who has the addresses of these pods. Answers how many questions were asked. */
  askNeighbours(pods: readonly Endpoint[], shape: NodeShape): Promise<number>;
}

/** Looks at the node, and keeps the one setting right without which bridged pods bypass every rule. */
export class NodeObserver {
  readonly #host: Host;
  #facts: HostFacts | undefined;
  #bridged = false;
  #settingsRepaired = 0;

  constructor(host: Host) {
    this.#host = host;
  }

  /** What was seen last. */
  get facts(): HostFacts | undefined {
    return this.#facts;
  }

  /** Whether the node has pod bridges, as far as was seen. */
  get bridged(): boolean {
    return this.#bridged;
  }

  /** How often `bridge-nf-call-*` was found off and switched on. */
  get settingsRepaired(): number {
    return this.#settingsRepaired;
  }

  /**
   * Looks again; `fresh` trusts nothing that was seen before. `bindings` are the last decided. Throws what
   * {@link Host.collect} throws.
   */
  async observe(bindings: readonly PodBinding[], options: { readonly fresh: boolean }): Promise<HostFacts> {
    if (this.#bridged) await this.checkBridge();
    let facts = await this.#host.collect(options.fresh ? undefined : this.#facts);
    if (!this.#bridged && podBridges(facts, bindings).length > 0) {
      this.#bridged = true;
      if (await this.checkBridge()) facts = await this.#host.collect(facts);
    }
    this.#bridged = podBridges(facts, bindings).length > 0;
    this.#facts = facts;
    return facts;
  }

  /** Switches on what is off. True: the facts about it are old, look again. */
  async checkBridge(): Promise<boolean> {
    const result = await this.#host.ensureBridgeNetfilter();
    if (result.kind === 'on') this.#settingsRepaired += result.changed.length;
    const settings = this.#facts?.settings;
    const believedOn = settings?.bridgeNetfilter4 === true && settings.bridgeNetfilter6 === true;
    return (result.kind === 'on') !== believedOn;
  }
}
