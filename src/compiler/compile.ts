import type { NodeShape, PodBinding } from '../model/binding.ts';
import { isPoliced } from '../model/endpoint.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { every } from '../model/flow.ts';
import { familyOf } from '../model/ip.ts';
import type { IpAddress } from '../model/ip.ts';
import type { NodeName } from '../model/names.ts';
import type { ClusterSnapshot } from '../model/snapshot.ts';
import { addressOwners } from '../selector/address-owners.ts';
import { matches, matchNamespace } from '../selector/match.ts';
import type { PeerSelector } from '../selector/peer-selector.ts';
import { assemble } from './assemble.ts';
import type { EffectivePolicy } from './effective-policy.ts';
import { familiesOf, lowerEndpoint, setsAhead } from './lower.ts';
import type { LoweredEndpoint } from './lower.ts';
import { defaultOptions } from './options.ts';
import type { EnforcementOptions } from './options.ts';
import { resolve } from './resolve.ts';
import type { Ruleset } from './ruleset.ts';
import { partElements } from './set-spec.ts';
import type { SetSpec } from './set-spec.ts';

/** What a node's ruleset depends on. */
export interface NodeInput {
  readonly snapshot: ClusterSnapshot;
  readonly bindings: readonly PodBinding[];
  readonly shape: NodeShape;
  readonly options?: EnforcementOptions;
  /** Sets of its pods without a binding are there ahead of their interfaces. */
  readonly node?: NodeName;
}

/**
 * Compiles one node's ruleset from scratch by naive matching: the reference that the incremental controller must
 * equal object for object, and what one-shot commands use.
 */
export function compileNode({ snapshot, bindings, shape, options = defaultOptions, node }: NodeInput): Ruleset {
  const owners = addressOwners(snapshot.pods.values());
  const endpoints = bindings.flatMap((binding) => {
    const lowered = lowerBinding(snapshot, binding);
    return lowered === undefined ? [] : [lowered];
  });
  const bound = new Set(bindings.map(({ pod }) => pod));
  const ahead = [...snapshot.pods.values()]
    .filter((pod) => node !== undefined && pod.node === node && isPoliced(pod) && !bound.has(pod.key))
    .flatMap((pod) => setsAhead(resolvePod(snapshot, pod), familiesOf(bindings)));
  return assemble({ shape, options, endpoints, ahead, elements: (spec) => naiveElements(spec, snapshot, owners) });
}

/** Lowers the pod behind a binding; `undefined` if it is unknown, finished, or another pod of the same name. */
export function lowerBinding(snapshot: ClusterSnapshot, binding: PodBinding): LoweredEndpoint | undefined {
  const pod = snapshot.pods.get(binding.pod);
  if (pod === undefined || pod.uid !== binding.uid || !isPoliced(pod)) return undefined;
  return lowerEndpoint(resolvePod(snapshot, pod), binding);
}

function resolvePod(snapshot: ClusterSnapshot, pod: Endpoint): EffectivePolicy {
  return resolve(snapshot.policies.values(), pod, { namespace: snapshot.namespaces.get(pod.namespace) });
}

/** Whether a pod is a member of a peer selector. An undecidable namespace does not match: closed (semantics 25). */
export function isMember(
  selector: PeerSelector,
  pod: Endpoint,
  snapshot: Pick<ClusterSnapshot, 'namespaces'>,
): boolean {
  const scope = selector.namespaces;
  const namespace =
    scope.kind === 'name'
      ? scope.name === pod.namespace
        ? 'yes'
        : 'no'
      : matchNamespace(scope.selector, pod.namespace, snapshot.namespaces.get(pod.namespace)?.labels);
  return every([namespace]) === 'yes' && matches(selector.pods, pod.labels);
}

/** The elements of a set: for each address its owner, if a member, plus the fixed ones (identity decides, semantics 45). */
function naiveElements(
  spec: SetSpec,
  snapshot: ClusterSnapshot,
  owners: ReadonlyMap<IpAddress, Endpoint>,
): ReadonlySet<string> {
  const elements = new Set(spec.fixed);
  for (const [address, pod] of owners) {
    if (familyOf(address) !== spec.family) continue;
    for (const part of spec.parts) {
      if (!isMember(part.selector, pod, snapshot)) continue;
      for (const element of partElements(part, spec.withPorts, pod, address)) elements.add(element);
    }
  }
  return elements;
}
