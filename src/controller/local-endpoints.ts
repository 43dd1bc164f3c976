import { isDeepStrictEqual } from 'node:util';

import type { EffectivePolicy } from '../compiler/effective-policy.ts';
import { familiesOf, lowerEndpoint, setsAhead } from '../compiler/lower.ts';
import type { LoweredEndpoint } from '../compiler/lower.ts';
import { resolve } from '../compiler/resolve.ts';
import type { SetSpec } from '../compiler/set-spec.ts';
import type { PodBinding } from '../model/binding.ts';
import { isPoliced } from '../model/endpoint.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { ipFamilies } from '../model/ip.ts';
import type { IpFamily } from '../model/ip.ts';
import type { NamespaceName, PodKey } from '../model/names.ts';
import type { NetworkPolicy } from '../model/policy.ts';
import type { PeerSets } from './peer-sets.ts';

/** Where local endpoints look their pods and policies up. */
export interface EndpointSources {
  readonly pod: (key: PodKey) => Endpoint | undefined;
  /** Policies of one namespace. */
  readonly policies: (namespace: NamespaceName) => Iterable<NetworkPolicy>;
  /** Whether the namespace puts all its policies in audit mode. */
  readonly audited: (namespace: NamespaceName) => boolean;
}

/** A local pod, and what it was lowered to. */
interface LocalEndpoint {
  readonly pod: PodKey;
  /** Absent: the pod has no interface yet. */
  readonly binding: PodBinding | undefined;
  /** The pod that was lowered: absent if the binding's pod is unknown, finished or another. */
  subject: Endpoint | undefined;
  lowered: LoweredEndpoint | undefined;
  /** Sets it refers to, or will. */
  sets: readonly SetSpec[];
  /** Policies that were lowered, in order. */
  policies: readonly NetworkPolicy[];
  /** Whether the namespace was in audit mode then. */
  audited: boolean;
}

/** The pods of this node, bound or waiting for an interface. Each is resolved and lowered again only when something it depends on was marked. */
export class LocalEndpoints {
  readonly #sets: PeerSets;
  readonly #sources: EndpointSources;
  readonly #markedPods = new Set<PodKey>();
  readonly #markedNamespaces = new Set<NamespaceName>();
  #endpoints: readonly LocalEndpoint[] = [];
  #bound: ReadonlySet<PodKey> = new Set();
  /** Pods that the API places on this node. */
  readonly #local = new Set<PodKey>();
  readonly #waiting = new Map<PodKey, LocalEndpoint>();
  /** What a waiting pod without an address is expected to get. */
  #families: readonly IpFamily[] = ipFamilies;
  /** Whether pods came, went, or got another interface. */
  #moved = false;

  constructor(sets: PeerSets, sources: EndpointSources) {
    this.#sets = sets;
    this.#sources = sources;
  }

  /** Replaces all bindings; endpoints whose binding says the same are kept. */
  setBindings(bindings: readonly PodBinding[]): void {
    const known = new Map(this.#endpoints.map((endpoint) => [endpoint.binding?.interface, endpoint]));
    const kept = new Set<LocalEndpoint>();
    const endpoints = bindings.map((binding): LocalEndpoint => {
      const endpoint = known.get(binding.interface);
      if (endpoint !== undefined && !kept.has(endpoint) && isDeepStrictEqual(endpoint.binding, binding)) {
        kept.add(endpoint);
        return endpoint;
      }
      this.#markedPods.add(binding.pod);
      return newEndpoint(binding.pod, binding);
    });
    for (const endpoint of this.#endpoints) if (!kept.has(endpoint)) this.#settle(endpoint, undefined);
    this.#endpoints = endpoints;
    this.#bound = new Set(bindings.map(({ pod }) => pod));
    this.#moved = true;
  }

  isBound(pod: PodKey): boolean {
    return this.#bound.has(pod);
  }

  /** Pods that the API places on this node and that policy can select. */
  get local(): ReadonlySet<PodKey> {
    return this.#local;
  }

  /** The pod may be another, and on this node or not. */
  markPod(key: PodKey, isLocal: boolean): void {
    if (isLocal !== this.#local.has(key)) {
      this.#moved = true;
      if (isLocal) this.#local.add(key);
      else this.#local.delete(key);
    }
    if (isLocal || this.#bound.has(key)) this.#markedPods.add(key);
  }

  /** Policies of the namespace may be others. */
  markNamespace(namespace: NamespaceName): void {
    if (this.#endpoints.length > 0 || this.#local.size > 0) this.#markedNamespaces.add(namespace);
  }

  get isPending(): boolean {
    return this.#moved || this.#markedPods.size > 0 || this.#markedNamespaces.size > 0;
  }

  /** Lowers what was marked; answers whether any endpoint may be another now. */
  update(): boolean {
    let changed = this.#moved;
    if (this.#moved) this.#await();
    for (const endpoint of [...this.#endpoints, ...this.#waiting.values()]) {
      const pod = this.#sources.pod(endpoint.pod);
      const isSame = endpoint.binding === undefined || pod?.uid === endpoint.binding.uid;
      const subject = pod !== undefined && isSame && isPoliced(pod) ? pod : undefined;
      const marked = subject !== undefined && this.#markedNamespaces.has(subject.namespace);
      if (!marked && (!this.#markedPods.has(endpoint.pod) || isLoweredFor(endpoint, subject))) continue;
      if (this.#settle(endpoint, subject)) changed = true;
    }
    this.#markedPods.clear();
    this.#markedNamespaces.clear();
    this.#moved = false;
    return changed;
  }

  /** Local pods without a binding wait for one; others do no more. */
  #await(): void {
    const families = familiesOf(this.#endpoints.flatMap(({ binding }) => binding ?? []));
    const sameFamilies = families.length === this.#families.length && families[0] === this.#families[0];
    this.#families = families;
    for (const [key, endpoint] of this.#waiting) {
      if (sameFamilies && this.#local.has(key) && !this.#bound.has(key)) continue;
      this.#settle(endpoint, undefined);
      this.#waiting.delete(key);
    }
    for (const key of this.#local) {
      if (this.#bound.has(key) || this.#waiting.has(key)) continue;
      this.#waiting.set(key, newEndpoint(key, undefined));
      this.#markedPods.add(key);
    }
  }

  /** Every bound pod that is enforced, in the order of the bindings. */
  lowered(): readonly LoweredEndpoint[] {
    return this.#endpoints.flatMap(({ lowered }) => (lowered === undefined ? [] : [lowered]));
  }

  /** Sets of the pods without an interface. */
  setsAhead(): readonly SetSpec[] {
    return [...this.#waiting.values()].flatMap(({ sets }) => sets);
  }

  /** Answers whether the endpoint was lowered again. New sets are retained before old ones are released: both keep what they share. */
  #settle(endpoint: LocalEndpoint, subject: Endpoint | undefined): boolean {
    const before = endpoint.sets;
    const audited = subject !== undefined && this.#sources.audited(subject.namespace);
    const effective =
      subject === undefined
        ? undefined
        : resolve(this.#sources.policies(subject.namespace), subject, { namespace: audited ? { mode: 'audit' } : {} });
    const policies = effective === undefined ? [] : decidingPolicies(effective);
    const keep =
      subject !== undefined &&
      endpoint.audited === audited &&
      isLoweredFor(endpoint, subject) &&
      sameList(endpoint.policies, policies);
    endpoint.subject = subject;
    endpoint.policies = policies;
    endpoint.audited = audited;
    if (keep) return false;
    const { binding } = endpoint;
    const wasLowered = endpoint.lowered !== undefined;
    endpoint.lowered = effective === undefined || binding === undefined ? undefined : lowerEndpoint(effective, binding);
    endpoint.sets = endpoint.lowered?.sets ?? (effective === undefined ? [] : setsAhead(effective, this.#families));
    for (const spec of endpoint.sets) this.#sets.retain(spec);
    for (const spec of before) this.#sets.release(spec);
    return wasLowered || endpoint.lowered !== undefined || before.length > 0 || endpoint.sets.length > 0;
  }
}

/** Every policy that selects the subject, each once for each direction; with the subject they decide all there is to lower. */
function decidingPolicies({ ingress, egress }: EffectivePolicy): readonly NetworkPolicy[] {
  return [egress, ingress].flatMap(({ policies, audits }) => [...policies, ...audits].map(({ policy }) => policy));
}

function sameList<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((item, position) => item === b[position]);
}

function newEndpoint(pod: PodKey, binding: PodBinding | undefined): LocalEndpoint {
  return { pod, binding, subject: undefined, lowered: undefined, sets: [], policies: [], audited: false };
}

/**
 * Whether policies select both pods alike and name the same ports on them. The addresses of a bound pod are its binding's;
 * those of another tell which families its sets need.
 */
function isLoweredFor({ binding, subject: a }: LocalEndpoint, b: Endpoint | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  if (binding === undefined && !isDeepStrictEqual(a.addresses, b.addresses)) return false;
  return isDeepStrictEqual(a.labels, b.labels) && isDeepStrictEqual(a.namedPorts, b.namedPorts);
}
