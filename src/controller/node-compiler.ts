import { isDeepStrictEqual } from 'node:util';

import { assemble, toDesiredSet } from '../compiler/assemble.ts';
import type { EnforcementOptions } from '../compiler/options.ts';
import type { Ruleset } from '../compiler/ruleset.ts';
import type { SetSpec } from '../compiler/set-spec.ts';
import { invariant } from '../model/assert.ts';
import type { NodeShape, PodBinding } from '../model/binding.ts';
import { isPoliced } from '../model/endpoint.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { IpAddress } from '../model/ip.ts';
import type { Namespace } from '../model/namespace.ts';
import type { NamespaceName, NodeName, PodKey, PolicyKey } from '../model/names.ts';
import type { NetworkPolicy } from '../model/policy.ts';
import { ClassIndex } from '../selector/class-index.ts';
import type { ClassIndexStats } from '../selector/class-index.ts';
import type { Change } from '../source/store.ts';
import { LocalEndpoints } from './local-endpoints.ts';
import { PeerSets } from './peer-sets.ts';
import type { RulesetCompiler } from './ruleset-compiler.ts';
import { shareRuleset, shareSet } from './share-ruleset.ts';

/** How much a node compiler holds, as of its last ruleset. */
export interface NodeCompilerStats extends ClassIndexStats {
  readonly policies: number;
  /** Sets of peers that local pods use, and the elements in them. */
  readonly sets: number;
  readonly elements: number;
  /** Local pods with an interface and rules. */
  readonly endpoints: number;
  /** Pods the API places on this node that have no binding (yet): their traffic is dropped by the tail. */
  readonly unboundPods: number;
}

/**
 * One node's ruleset, kept up to date. Equals `compileNode` over the same state after any sequence of changes, at the
 * cost of the changes.
 *
 *   change ──> policies by namespace ──marks──> LocalEndpoints ──retains──> PeerSets ──> assemble ──> share
 *      └─────> pods, namespaces ──────────────────────────────> ClassIndex ──deltas──┘
 */
export class NodeCompiler implements RulesetCompiler {
  readonly #node: NodeName;
  readonly #options: EnforcementOptions;
  readonly #index: ClassIndex = new ClassIndex();
  readonly #sets: PeerSets = new PeerSets(this.#index);
  readonly #policies = new Map<NamespaceName, Map<PolicyKey, NetworkPolicy>>();
  /** Namespaces that put all their policies in audit mode. */
  readonly #audited = new Set<NamespaceName>();
  readonly #endpoints: LocalEndpoints;
  #shape: NodeShape = { routed: [], bridges: [] };
  #reshaped = true;
  /** Sets that changed since the last ruleset. */
  #changed: SetSpec[] = [];
  #ruleset: Ruleset | undefined = undefined;

  constructor({ node, enforcement }: { readonly node: NodeName; readonly enforcement: EnforcementOptions }) {
    this.#node = node;
    this.#options = enforcement;
    this.#endpoints = new LocalEndpoints(this.#sets, {
      pod: (key) => this.#index.pod(key),
      policies: (namespace) => this.#policies.get(namespace)?.values() ?? [],
      audited: (namespace) => this.#audited.has(namespace),
    });
  }

  /** Notes one change of the store, in O(1). Changes of Nodes and Services mean nothing to a ruleset. */
  changed({ kind, before, after }: Change): void {
    switch (kind) {
      case 'Pod':
        if (before?.kind === 'Pod' && (after?.kind !== 'Pod' || after.key !== before.key)) {
          this.#setPod(before.key, undefined);
        }
        if (after?.kind === 'Pod') this.#setPod(after.key, after);
        return;
      case 'Namespace':
        if (before?.kind === 'Namespace' && (after?.kind !== 'Namespace' || after.name !== before.name)) {
          this.#setNamespace(before.name, undefined);
        }
        if (after?.kind === 'Namespace') this.#setNamespace(after.name, after);
        return;
      case 'NetworkPolicy':
        if (before?.kind === 'NetworkPolicy') this.#removePolicy(before);
        if (after?.kind === 'NetworkPolicy') this.#addPolicy(after);
        return;
      case 'Node':
      case 'Service':
        return;
    }
  }

  /** Takes the host's present bindings and shape. */
  setHost(bindings: readonly PodBinding[], shape: NodeShape): void {
    this.#endpoints.setBindings(bindings);
    if (isDeepStrictEqual(shape, this.#shape)) return;
    this.#shape = shape;
    this.#reshaped = true;
  }

  /**
   * The desired ruleset now. What did not change since the last call is the same object, up to the ruleset itself.
   * The elements of a set of peers are an `ElementSet`: a later version knows its difference to an earlier one.
   */
  ruleset(): Ruleset {
    const rebuilt = (this.#endpoints.isPending && this.#endpoints.update()) || this.#reshaped;
    this.#sets.sweep();
    this.#updateSets();
    if (rebuilt || this.#ruleset === undefined) {
      const next = assemble({
        shape: this.#shape,
        options: this.#options,
        endpoints: this.#endpoints.lowered(),
        ahead: this.#endpoints.setsAhead(),
        elements: (spec) => this.#sets.elements(spec),
      });
      this.#ruleset = shareRuleset(this.#ruleset, next);
      this.#reshaped = false;
    } else if (this.#changed.length > 0) {
      this.#ruleset = this.#withChangedSets(this.#ruleset, this.#changed);
    }
    this.#changed = [];
    return this.#ruleset;
  }

  /**
   * Pods the API places on this node that policy can select, each with the addresses it owns: a pod that lost a claim
   * must not be bound by it (semantics 49).
   */
  localPods(): readonly Endpoint[] {
    this.#updateSets();
    const pods: Endpoint[] = [];
    for (const key of this.#endpoints.local) {
      const pod = this.#index.pod(key);
      if (pod === undefined) continue;
      const owned = this.#index.owned(key);
      pods.push(owned.length === pod.addresses.length ? pod : { ...pod, addresses: owned });
    }
    return pods;
  }

  /** The pod of the cluster that owns an address (semantics 49). */
  owner(address: IpAddress): Endpoint | undefined {
    this.#updateSets();
    return this.#index.owner(address);
  }

  stats(): NodeCompilerStats {
    let policies = 0;
    for (const namespace of this.#policies.values()) policies += namespace.size;
    let unboundPods = 0;
    for (const key of this.#endpoints.local) if (!this.#endpoints.isBound(key)) unboundPods += 1;
    const endpoints = this.#endpoints.lowered().length;
    return { ...this.#index.stats(), ...this.#sets.stats(), policies, endpoints, unboundPods };
  }

  #updateSets(): void {
    this.#changed.push(...this.#sets.update());
  }

  #setPod(key: PodKey, pod: Endpoint | undefined): void {
    this.#index.setPod(key, pod);
    this.#endpoints.markPod(key, pod?.node === this.#node && isPoliced(pod));
  }

  #setNamespace(name: NamespaceName, namespace: Namespace | undefined): void {
    this.#index.setNamespace(name, namespace?.labels);
    const audited = namespace?.mode === 'audit';
    if (audited === this.#audited.has(name)) return;
    if (audited) this.#audited.add(name);
    else this.#audited.delete(name);
    this.#endpoints.markNamespace(name);
  }

  #addPolicy(policy: NetworkPolicy): void {
    const known = this.#policies.get(policy.namespace);
    if (known === undefined) this.#policies.set(policy.namespace, new Map([[policy.key, policy]]));
    else known.set(policy.key, policy);
    this.#endpoints.markNamespace(policy.namespace);
  }

  #removePolicy(policy: NetworkPolicy): void {
    const known = this.#policies.get(policy.namespace);
    if (known?.delete(policy.key) === true && known.size === 0) this.#policies.delete(policy.namespace);
    this.#endpoints.markNamespace(policy.namespace);
  }

  #withChangedSets(ruleset: Ruleset, changed: readonly SetSpec[]): Ruleset {
    const inet = ruleset.get('inet');
    invariant(inet !== undefined, 'every ruleset has an inet table');
    const sets = new Map(inet.sets);
    let same = true;
    for (const spec of changed) {
      const before = sets.get(spec.name);
      const next = toDesiredSet(spec, this.#sets.elements(spec));
      const set = before === undefined ? next : shareSet(before, next);
      if (set === before) continue;
      sets.set(spec.name, set);
      same = false;
    }
    return same ? ruleset : new Map(ruleset).set('inet', { ...inet, sets });
  }
}
