import { isPoliced } from '../../model/endpoint.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import type { Labels } from '../../model/labels.ts';
import type { NamespaceName } from '../../model/names.ts';
import { addressOwners } from '../address-owners.ts';
import type { ClassIndex } from '../class-index.ts';
import { matches, matchNamespace } from '../match.ts';
import type { ActiveSelector, NamespaceEntry, PodEntry } from '../pod-class.ts';

/** What the index should describe. */
export interface IndexedState {
  readonly pods: readonly Endpoint[];
  readonly namespaces: ReadonlyMap<NamespaceName, Labels>;
}

/** Everything that is wrong with an up-to-date index, compared with naive matching over the state it was told of. */
export function indexViolations(index: ClassIndex, state: IndexedState): readonly string[] {
  const { pods, namespaces, selectors, scopes, hasLabelScopes } = index.inspect();
  const wrong: string[] = [];
  const check = (condition: boolean, text: string): void => {
    if (!condition) wrong.push(text);
  };
  const owners = addressOwners(state.pods);
  const policed = state.pods.filter(isPoliced);
  check(pods.size === policed.length, `${pods.size} pods are indexed, ${policed.length} can be selected`);
  for (const pod of policed) {
    const entry = pods.get(pod.key);
    check(entry?.pod === pod, `${pod.key} is indexed as it is`);
    if (entry === undefined) continue;
    const owned = pod.addresses.filter((address) => owners.get(address) === pod);
    check(String(entry.owned) === String(owned), `${pod.key} owns ${String(owned)}, not ${String(entry.owned)}`);
    check((entry.class !== undefined) === owned.length > 0, `${pod.key} is in a class exactly if it owns an address`);
    const expected = [...selectors.values()].filter((active) => isMember(active, pod, state));
    const found = entry.class?.selectors ?? [];
    if (owned.length > 0) check(sameIds(expected, found), `${pod.key}: ${show(expected)} match, found ${show(found)}`);
  }
  const seen = new Set<PodEntry>();
  for (const [name, namespace] of namespaces) {
    check(namespace.name === name && namespace.labels === state.namespaces.get(name), `labels of ${name}`);
    check(namespace.labels !== undefined || namespace.classes.size > 0, `${name} is unknown and empty`);
    for (const scope of namespace.scopes) check(scope.namespaces.has(namespace), `${scope.key} knows ${name}`);
    for (const violation of classViolations(namespace, seen)) wrong.push(violation);
  }
  for (const name of state.namespaces.keys()) check(namespaces.has(name), `${name} is indexed`);
  for (const entry of pods.values()) {
    check((entry.class !== undefined) === seen.has(entry), `${entry.pod.key} is in its class`);
  }
  let withLabels = 0;
  for (const [key, scope] of scopes) {
    check(scope.key === key && scope.uses > 0, `${key} is in use`);
    if (scope.reach.kind === 'selector') withLabels += 1;
    for (const namespace of scope.namespaces) {
      check(namespaces.get(namespace.name) === namespace && namespace.scopes.includes(scope), `${key} is linked back`);
    }
  }
  check(hasLabelScopes === withLabels > 0, 'scopes by label are indexed exactly while there are any');
  for (const active of selectors.values()) {
    check(active.uses > 0, `${active.selector.canonical} is in use`);
    for (const podClass of active.classes) {
      check(podClass.selectors.includes(active), `${active.selector.canonical} is linked back`);
      check(podClass.namespace.classes.get(podClass.key) === podClass, `${podClass.key} is a class of its namespace`);
    }
  }
  return wrong;
}

function classViolations(namespace: NamespaceEntry, seen: Set<PodEntry>): readonly string[] {
  const wrong: string[] = [];
  for (const [key, podClass] of namespace.classes) {
    const name = `class ${namespace.name} ${key}`;
    if (podClass.key !== key || podClass.namespace !== namespace) wrong.push(`${name} is where it belongs`);
    if (podClass.pods.length === 0) wrong.push(`${name} is empty`);
    for (const [slot, entry] of podClass.pods.entries()) {
      if (entry.class !== podClass || entry.slot !== slot) wrong.push(`${entry.pod.key} knows its place in ${name}`);
      if (entry.pod.namespace !== namespace.name) wrong.push(`${entry.pod.key} is in a foreign class`);
      if (seen.has(entry)) wrong.push(`${entry.pod.key} is in two classes`);
      seen.add(entry);
    }
    for (const [place, active] of podClass.selectors.entries()) {
      if (!active.classes.has(podClass)) wrong.push(`${active.selector.canonical} knows ${name}`);
      const next = podClass.selectors[place + 1];
      if (next !== undefined && next.id <= active.id) wrong.push(`selectors of ${name} are sorted`);
    }
  }
  return wrong;
}

function isMember({ selector }: ActiveSelector, pod: Endpoint, state: IndexedState): boolean {
  const scope = selector.namespaces;
  const inScope =
    scope.kind === 'name'
      ? scope.name === pod.namespace
      : matchNamespace(scope.selector, pod.namespace, state.namespaces.get(pod.namespace)) === 'yes';
  return inScope && matches(selector.pods, pod.labels);
}

function sameIds(a: readonly ActiveSelector[], b: readonly ActiveSelector[]): boolean {
  return a.length === b.length && new Set([...a, ...b]).size === a.length;
}

function show(selectors: readonly ActiveSelector[]): string {
  return `[${selectors.map(({ selector }) => selector.canonical).join(', ')}]`;
}
