import { isDeepStrictEqual } from 'node:util';

import type { EffectivePolicy } from '../compiler/effective-policy.ts';
import { lowerEndpoint } from '../compiler/lower.ts';
import type { LoweredEndpoint } from '../compiler/lower.ts';
import { resolve } from '../compiler/resolve.ts';
import type { PodBinding } from '../model/binding.ts';
import { isPoliced } from '../model/endpoint.ts';
import type { Endpoint } from '../model/endpoint.ts';
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

/** A binding, and what its pod was lowered to. */
interface LocalEndpoint {
  readonly binding: PodBinding;
  /** The pod that was lowered: absent if the binding's pod is unknown, finished or another. */
  subject: Endpoint | undefined;
  lowered: LoweredEndpoint | undefined;
  /** Policies that were lowered, in order. */
  policies: readonly NetworkPolicy[];
  /** Whether the namespace was in audit mode then. */
  audited: boolean;
}

/** The pods bound on this node. Each is resolved and lowered again only when something it depends on was marked. */
export class LocalEndpoints {
  readonly #sets: PeerSets;
  readonly #sources: EndpointSources;
  readonly #markedPods = new Set<PodKey>();
  readonly #markedNamespaces = new Set<NamespaceName>();
  #endpoints: readonly LocalEndpoint[] = [];
  #bound: ReadonlySet<PodKey> = new Set();
  #rebound = false;

  constructor(sets: PeerSets, sources: EndpointSources) {
    this.#sets = sets;
    this.#sources = sources;
  }

  /** Replaces all bindings; endpoints whose binding says the same are kept. */
  setBindings(bindings: readonly PodBinding[]): void {
    const known = new Map(this.#endpoints.map((endpoint) => [endpoint.binding.interface, endpoint]));
    const kept = new Set<LocalEndpoint>();
    const endpoints = bindings.map((binding): LocalEndpoint => {
      const endpoint = known.get(binding.interface);
      if (endpoint !== undefined && !kept.has(endpoint) && isDeepStrictEqual(endpoint.binding, binding)) {
        kept.add(endpoint);
        return endpoint;
      }
      this.#markedPods.add(binding.pod);
      return { binding, subject: undefined, lowered: undefined, policies: [], audited: false };
    });
    for (const endpoint of this.#endpoints) if (!kept.has(endpoint)) this.#settle(endpoint, undefined);
    this.#endpoints = endpoints;
    this.#bound = new Set(bindings.map(({ pod }) => pod));
    this.#rebound = true;
  }

  isBound(pod: PodKey): boolean {
    return this.#bound.has(pod);
  }

  /** The pod may be another. */
  markPod(key: PodKey): void {
    if (this.#bound.has(key)) this.#markedPods.add(key);
  }

  /** Policies of the namespace may be others. */
  markNamespace(namespace: NamespaceName): void {
    if (this.#endpoints.length > 0) this.#markedNamespaces.add(namespace);
  }

  get isPending(): boolean {
    return this.#rebound || this.#markedPods.size > 0 || this.#markedNamespaces.size > 0;
  }

  /** Lowers what was marked; answers whether any endpoint may be another now. */
  update(): boolean {
    let changed = this.#rebound;
    for (const endpoint of this.#endpoints) {
      const { pod: key, uid } = endpoint.binding;
      const pod = this.#sources.pod(key);
      const subject = pod !== undefined && pod.uid === uid && isPoliced(pod) ? pod : undefined;
      const marked = subject !== undefined && this.#markedNamespaces.has(subject.namespace);
      if (!marked && (!this.#markedPods.has(key) || sameSubject(endpoint.subject, subject))) continue;
      if (this.#settle(endpoint, subject)) changed = true;
    }
    this.#markedPods.clear();
    this.#markedNamespaces.clear();
    this.#rebound = false;
    return changed;
  }

  /** Every bound pod that is enforced, in the order of the bindings. */
  lowered(): readonly LoweredEndpoint[] {
    return this.#endpoints.flatMap(({ lowered }) => (lowered === undefined ? [] : [lowered]));
  }

  /** Answers whether the endpoint was lowered again. New sets are retained before old ones are released: both keep what they share. */
  #settle(endpoint: LocalEndpoint, subject: Endpoint | undefined): boolean {
    const before = endpoint.lowered;
    const audited = subject !== undefined && this.#sources.audited(subject.namespace);
    const effective =
      subject === undefined
        ? undefined
        : resolve(this.#sources.policies(subject.namespace), subject, { namespace: audited ? { mode: 'audit' } : {} });
    const policies = effective === undefined ? [] : decidingPolicies(effective);
    const keep =
      subject !== undefined &&
      endpoint.audited === audited &&
      sameSubject(endpoint.subject, subject) &&
      sameList(endpoint.policies, policies);
    endpoint.subject = subject;
    endpoint.policies = policies;
    endpoint.audited = audited;
    if (keep) return false;
    const after = effective === undefined ? undefined : lowerEndpoint(effective, endpoint.binding);
    for (const spec of after?.sets ?? []) this.#sets.retain(spec);
    for (const spec of before?.sets ?? []) this.#sets.release(spec);
    endpoint.lowered = after;
    return before !== after;
  }
}

/** Every policy that selects the subject, each once for each direction; with the subject they decide all there is to lower. */
function decidingPolicies({ ingress, egress }: EffectivePolicy): readonly NetworkPolicy[] {
  return [egress, ingress].flatMap(({ policies, audits }) => [...policies, ...audits].map(({ policy }) => policy));
}

function sameList<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((item, position) => item === b[position]);
}

/** Whether policies select both pods alike and name the same ports on them. */
function sameSubject(a: Endpoint | undefined, b: Endpoint | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined) return false;
  return isDeepStrictEqual(a.labels, b.labels) && isDeepStrictEqual(a.namedPorts, b.namedPorts);
}
