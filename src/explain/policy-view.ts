import { namedPortNumbers } from '../compiler/evaluate.ts';
import type { AllowRule } from '../compiler/effective-policy.ts';
import { createJudge } from '../compiler/judge.ts';
import type { Judge } from '../compiler/judge.ts';
import { blockKey } from '../compiler/merge.ts';
import { isPoliced } from '../model/endpoint.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { every } from '../model/flow.ts';
import type { Answer } from '../model/flow.ts';
import type { IpAddress } from '../model/ip.ts';
import type { NamespaceName, PodKey, PolicyKey } from '../model/names.ts';
import type { Direction, IpBlock } from '../model/policy.ts';
import type { Protocol } from '../model/port.ts';
import type { ClusterSnapshot } from '../model/snapshot.ts';
import { addressOwners } from '../selector/address-owners.ts';
import { matches, matchNamespace } from '../selector/match.ts';
import type { PeerSelector } from '../selector/peer-selector.ts';

/** One question a rule asks about its peer. */
export type PeerTest =
  { readonly kind: 'selector'; readonly index: number } | { readonly kind: 'block'; readonly key: string };

/** A port name that some rule uses. */
export interface UsedPortName {
  readonly protocol: Protocol;
  readonly name: string;
}

/** One direction of pods that the same policies isolate: all they can ever ask about the other end. */
export interface PolicySection {
  readonly direction: Direction;
  readonly isolated: boolean;
  /** Policies that decide, sorted; equal lists are the same section. */
  readonly policies: readonly PolicyKey[];
  readonly rules: readonly AllowRule[];
  readonly tests: readonly PeerTest[];
  readonly names: readonly UsedPortName[];
}

/** One pod with what distinguishes it. */
export interface PodView {
  readonly pod: Endpoint;
  /** Addresses it owns (semantics 49). */
  readonly addresses: readonly IpAddress[];
  readonly egress: PolicySection;
  readonly ingress: PolicySection;
  /** Answers to every selector of the view, by its index; one array for all pods with these answers. */
  readonly answers: readonly Answer[];
}

/** A snapshot as policies see it. */
export interface PolicyView {
  readonly snapshot: ClusterSnapshot;
  readonly judge: Judge;
  /** Policed pods only. */
  readonly pods: ReadonlyMap<PodKey, PodView>;
  readonly blocks: readonly IpBlock[];
  /** Port names of egress rules: they are looked up in the peer. */
  readonly egressNames: readonly UsedPortName[];
}

/** Looks at a snapshot through its policies. The snapshot must not change while the view is used. */
export function viewPolicies(snapshot: ClusterSnapshot): PolicyView {
  const judge = createJudge(snapshot);
  const owners = addressOwners(snapshot.pods.values());
  const policed = [...snapshot.pods.values()].filter(isPoliced);
  const catalog = new Catalog();
  const sections = new Map<string, { readonly egress: PolicySection; readonly ingress: PolicySection }>();
  const subjects = policed.map((pod) => {
    const labels = JSON.stringify([pod.namespace, ...[...pod.labels].flat()]);
    let pair = sections.get(labels);
    if (pair === undefined) {
      pair = { egress: catalog.section(judge, pod, 'egress'), ingress: catalog.section(judge, pod, 'ingress') };
      sections.set(labels, pair);
    }
    return { pod, ...pair };
  });
  const answersOf = selectorAnswers(catalog.selectors, snapshot);
  const pods = new Map<PodKey, PodView>();
  for (const { pod, egress, ingress } of subjects) {
    const addresses = pod.addresses.filter((address) => owners.get(address) === pod);
    pods.set(pod.key, { pod, addresses, egress, ingress, answers: answersOf(pod) });
  }
  return {
    snapshot,
    judge,
    pods,
    blocks: [...catalog.blocks.values()],
    egressNames: [...catalog.egressNames.values()],
  };
}

/** The numbers behind used names, as a text to compare: `TCP/http=80,8080`. */
export function declaredNumbers(pod: Endpoint, names: readonly UsedPortName[]): string {
  return names
    .map(({ protocol, name }) => `${protocol}/${name}=${namedPortNumbers(pod, name, protocol).join(',')}`)
    .join(' ');
}

class Catalog {
  readonly selectors: PeerSelector[] = [];
  readonly blocks = new Map<string, IpBlock>();
  readonly egressNames = new Map<string, UsedPortName>();
  readonly #indexes = new Map<string, number>();
  readonly #sections = new Map<string, PolicySection>();

  section(judge: Judge, pod: Endpoint, direction: Direction): PolicySection {
    const effective = judge.effectivePolicy({ kind: 'pod', pod })?.[direction];
    const policies = effective?.policies.map(({ policy }) => policy.key) ?? [];
    const key = `${direction} ${policies.join(' ')}`;
    const known = this.#sections.get(key);
    if (known !== undefined) return known;
    const rules = effective?.policies.flatMap((selecting) => selecting.rules).filter((rule) => !rule.invalid) ?? [];
    const section: PolicySection = {
      direction,
      isolated: effective !== undefined && effective.isolated !== 'no',
      policies,
      rules,
      tests: this.#tests(rules),
      names: usedNames(rules),
    };
    if (direction === 'egress') for (const name of section.names) this.egressNames.set(nameKey(name), name);
    this.#sections.set(key, section);
    return section;
  }

  #tests(rules: readonly AllowRule[]): PeerTest[] {
    const tests = new Map<string, PeerTest>();
    for (const rule of rules) {
      if (rule.peers === 'any') continue;
      for (const peer of rule.peers) {
        if (peer.kind === 'pods') {
          const index = this.#indexOf(peer.selector);
          tests.set(`s${index}`, { kind: 'selector', index });
        } else if (peer.kind === 'block') {
          const key = blockKey(peer.block);
          this.blocks.set(key, peer.block);
          tests.set(`b${key}`, { kind: 'block', key });
        }
      }
    }
    return [...tests.values()];
  }

  #indexOf(selector: PeerSelector): number {
    const known = this.#indexes.get(selector.canonical);
    if (known !== undefined) return known;
    this.#indexes.set(selector.canonical, this.selectors.length);
    return this.selectors.push(selector) - 1;
  }
}

function usedNames(rules: readonly AllowRule[]): UsedPortName[] {
  const names = new Map<string, UsedPortName>();
  for (const rule of rules) {
    if (rule.ports === 'any') continue;
    for (const port of rule.ports) {
      if (port.kind !== 'named') continue;
      const used = { protocol: port.protocol, name: port.name };
      names.set(nameKey(used), used);
    }
  }
  return [...names.values()];
}

function nameKey({ protocol, name }: UsedPortName): string {
  return `${protocol}/${name}`;
}

/** Answers of all selectors about a pod; pods that agree on every key a selector mentions are asked once. */
function selectorAnswers(
  selectors: readonly PeerSelector[],
  snapshot: ClusterSnapshot,
): (pod: Endpoint) => readonly Answer[] {
  const keys = [...new Set(selectors.flatMap(({ pods }) => pods.requirements.map(({ key }) => key)))];
  const reach = new Map<NamespaceName, readonly Answer[]>();
  const byLabels = new Map<string, readonly Answer[]>();
  const byAnswers = new Map<string, readonly Answer[]>();

  function reachInto(namespace: NamespaceName): readonly Answer[] {
    const known = reach.get(namespace);
    if (known !== undefined) return known;
    const labels = snapshot.namespaces.get(namespace)?.labels;
    const answers = selectors.map(({ namespaces }): Answer => {
      if (namespaces.kind === 'name') return namespaces.name === namespace ? 'yes' : 'no';
      return matchNamespace(namespaces.selector, namespace, labels);
    });
    reach.set(namespace, answers);
    return answers;
  }

  return (pod) => {
    const projection = JSON.stringify([pod.namespace, ...keys.map((key) => pod.labels.get(key) ?? null)]);
    const known = byLabels.get(projection);
    if (known !== undefined) return known;
    const namespace = reachInto(pod.namespace);
    const answers = selectors.map(({ pods }, index): Answer => {
      const scope = namespace[index] ?? 'no';
      return scope === 'no' ? 'no' : every([scope, matches(pods, pod.labels) ? 'yes' : 'no']);
    });
    const text = answers.join();
    const shared = byAnswers.get(text) ?? answers;
    byAnswers.set(text, shared);
    byLabels.set(projection, shared);
    return shared;
  };
}
