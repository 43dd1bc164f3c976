import type { DeclaredPort, Endpoint } from '../../model/endpoint.ts';
import type { Labels } from '../../model/labels.ts';
import type { LabelSelector } from '../../model/label-selector.ts';
import type { NetworkPolicy, PolicyPeer, PolicyRule, PolicySection } from '../../model/policy.ts';
import type { NamedPort } from '../../model/port.ts';
import type { ModelObject } from '../../model/snapshot.ts';
import { Recent } from './recent.ts';

/** Distinct values of each kind that are remembered. */
const limit = 20_000;

/**
 * Gives objects that say the same thing the same value: pods of one Deployment share labels, ports and owner, policies
 * share selectors, peers and ports, which is most of what they weigh. Values are immutable, so nobody can tell. Best effort: what was not seen lately is
 * forgotten, so that the tables stay bounded while pods come and go.
 */
export class Sharing {
  readonly #labels = new Recent<Labels>(limit);
  /** Those that were given out: known without looking at what they say. */
  readonly #sharedLabels = new WeakSet<Labels>();
  readonly #ports = new Recent<Ports>(limit);
  readonly #owners = new Recent<NonNullable<Endpoint['owner']>>(limit);
  readonly #texts = new Recent<string>(limit);
  readonly #selectors = new Recent<LabelSelector>(limit);
  readonly #peers = new Recent<PolicyPeer>(limit);
  readonly #policyPorts = new Recent<PolicyRule['ports']>(limit);

  /** The same object, or one of equal content that shares its parts. */
  share(object: ModelObject): ModelObject {
    if (object.kind === 'NetworkPolicy') return this.#sharePolicy(object);
    if (object.kind !== 'Pod') return object;
    const { labels, namedPorts, declaredPorts, owner, node } = object;
    const ports = this.#ports.get(portsKey(declaredPorts), { namedPorts, declaredPorts });
    return {
      ...object,
      ...ports,
      namespace: this.#texts.get(object.namespace, object.namespace) as Endpoint['namespace'],
      labels: this.#shareLabels(labels),
      ...(node !== undefined && { node: this.#texts.get(node, node) as NonNullable<Endpoint['node']> }),
      ...(owner !== undefined && { owner: this.#owners.get(`${owner.kind}/${owner.name}`, owner) }),
    };
  }

  #shareLabels(labels: Labels): Labels {
    if (this.#sharedLabels.has(labels)) return labels;
    const shared = this.#labels.get(labelsKey(labels), labels);
    this.#sharedLabels.add(shared);
    return shared;
  }

  #sharePolicy(policy: NetworkPolicy): NetworkPolicy {
    return {
      ...policy,
      namespace: this.#texts.get(policy.namespace, policy.namespace) as NetworkPolicy['namespace'],
      subjects: this.#selectors.get(JSON.stringify(policy.subjects.requirements), policy.subjects),
      ingress: this.#shareSection(policy.ingress),
      egress: this.#shareSection(policy.egress),
    };
  }

  #shareSection(section: PolicySection): PolicySection {
    if (section.rules.length === 0) return section.isolates ? closedSection : idleSection;
    const rules = section.rules.map((rule) => ({
      ...rule,
      peers: rule.peers === 'any' ? rule.peers : rule.peers.map((peer) => this.#sharePeer(peer)),
      ports: this.#policyPorts.get(JSON.stringify(rule.ports), rule.ports),
    }));
    return { ...section, rules };
  }

  /** Blocks are few and rarely repeat. */
  #sharePeer(peer: PolicyPeer): PolicyPeer {
    if (peer.kind !== 'pods') return peer;
    const { index, namespaceSelector, podSelector } = peer;
    return this.#peers.get(JSON.stringify([index, namespaceSelector?.requirements, podSelector?.requirements]), peer);
  }
}

const idleSection: PolicySection = { isolates: false, rules: [] };
const closedSection: PolicySection = { isolates: true, rules: [] };

interface Ports {
  readonly namedPorts: readonly NamedPort[];
  readonly declaredPorts: readonly DeclaredPort[];
}

/** Keys and values of valid labels hold no control characters; for others it is still injective, by their lengths. */
function labelsKey(labels: Labels): string {
  let key = '';
  for (const [name, value] of labels) key += `${name.length}:${value.length}:${name}${value}`;
  return key;
}

/** The paths decide too: they name the container and the place of each port. */
function portsKey(ports: readonly DeclaredPort[]): string {
  let key = '';
  for (const { name, protocol, port, path } of ports) key += `${path.join('.')} ${port}/${protocol} ${name ?? ''};`;
  return key;
}
