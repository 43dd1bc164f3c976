import type { NamedPort } from '../model/port.ts';
import type { IpBlock } from '../model/policy.ts';
import type { PeerSelector } from '../selector/peer-selector.ts';
import type { AllowRule, Provenance } from './effective-policy.ts';
import { isEmptyPortSet, portSetKey, toPortSet, unitePortSets } from './port-set.ts';
import type { PortSet } from './port-set.ts';

/** Peers of a merged rule: anyone, or the union of selectors and blocks. Never empty. */
export type MergedPeers =
  | { readonly kind: 'any' }
  | { readonly kind: 'some'; readonly selectors: readonly PeerSelector[]; readonly blocks: readonly IpBlock[] };

/** Allow rules of one pod and direction that share their ports, united. */
export interface MergedRule {
  readonly ports: PortSet;
  readonly peers: MergedPeers;
  /** Every policy rule in it, in policy and rule order. */
  readonly provenance: readonly Provenance[];
}

/**
 * Unites allow rules so that a packet's cost does not grow with the number of policies: first the peers of rules with
 * equal ports, then the ports of rules with equal peers. The union is exact: rules only ever add (semantics 5), and
 * a rule is peers x ports, so uniting one factor while the other is equal adds nothing (semantics 14).
 *
 * `namedPorts`: those of the destination if it is the subject (ingress); absent for egress.
 */
export function mergeRules(rules: readonly AllowRule[], namedPorts?: readonly NamedPort[]): readonly MergedRule[] {
  const byPorts = new Map<string, Union>();
  for (const rule of rules) {
    if (rule.invalid) continue;
    const ports = toPortSet(rule.ports, namedPorts);
    if (isEmptyPortSet(ports)) continue;
    const union = unionFor(byPorts, portSetKey(ports), ports);
    union.provenance.push(rule.provenance);
    if (rule.peers === 'any') union.any = true;
    else {
      for (const peer of rule.peers) {
        if (peer.kind === 'pods') union.selectors.set(peer.selector.canonical, peer.selector);
        else if (peer.kind === 'block') union.blocks.set(blockKey(peer.block), peer.block);
      }
    }
  }
  const byPeers = new Map<string, Union>();
  for (const union of byPorts.values()) {
    const key = peersKey(union);
    if (key === '') continue;
    const known = byPeers.get(key);
    if (known === undefined) byPeers.set(key, union);
    else {
      known.ports = unitePortSets(known.ports, union.ports);
      known.provenance.push(...union.provenance);
    }
  }
  return [...byPeers.values()].map(toMergedRule).sort(compareRules);
}

/** Equal texts for equal blocks: nested and repeated exceptions included once, in order. */
export function blockKey(block: IpBlock): string {
  const except = [...new Set(block.except.map(({ cidr }) => cidr.text))].sort();
  return [block.cidr.text, ...except].join(' ! ');
}

interface Union {
  ports: PortSet;
  any: boolean;
  readonly selectors: Map<string, PeerSelector>;
  readonly blocks: Map<string, IpBlock>;
  readonly provenance: Provenance[];
}

function unionFor(unions: Map<string, Union>, key: string, ports: PortSet): Union {
  const known = unions.get(key);
  if (known !== undefined) return known;
  const created: Union = { ports, any: false, selectors: new Map(), blocks: new Map(), provenance: [] };
  unions.set(key, created);
  return created;
}

/** Empty: nobody can match. */
function peersKey(union: Union): string {
  if (union.any) return 'any';
  const selectors = [...union.selectors.keys()].sort().map((key) => `s ${key}`);
  const blocks = [...union.blocks.keys()].sort().map((key) => `b ${key}`);
  return [...selectors, ...blocks].join('\n');
}

function toMergedRule(union: Union): MergedRule {
  const peers: MergedPeers = union.any
    ? { kind: 'any' }
    : { kind: 'some', selectors: sortedValues(union.selectors), blocks: sortedValues(union.blocks) };
  const provenance = [...union.provenance].sort((a, b) =>
    a.policy < b.policy ? -1 : a.policy > b.policy ? 1 : a.index - b.index,
  );
  return { ports: union.ports, peers, provenance };
}

function sortedValues<T>(map: ReadonlyMap<string, T>): T[] {
  return [...map].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, value]) => value);
}

/** All-port rules first, then by ports: the order of the pod chain. */
function compareRules(a: MergedRule, b: MergedRule): number {
  if (a.ports.kind !== b.ports.kind) return a.ports.kind === 'any' ? -1 : 1;
  const [x, y] = [portSetKey(a.ports), portSetKey(b.ports)];
  if (x !== y) return x < y ? -1 : 1;
  const [p, q] = [a.provenance[0], b.provenance[0]];
  if (p === undefined || q === undefined || p.policy === q.policy) return (p?.index ?? 0) - (q?.index ?? 0);
  return p.policy < q.policy ? -1 : 1;
}
