import { formatIp } from '../../../src/model/ip.ts';
import type { IpAddress } from '../../../src/model/ip.ts';
import type { Family } from '../../oracle/question.ts';
import { addressOf, locate, readWorld } from '../../oracle/world.ts';
import type { End, World } from '../../oracle/world.ts';
import type { CaseState } from '../../support/cases.ts';
import type { ExpectedFlow } from '../../support/flow-line.ts';

/** Where an end of a flow lies, seen from one node: a pod there, the node itself, or beyond its uplink. */
export type Spot =
  { readonly kind: 'pod'; readonly key: string } | { readonly kind: 'node' } | { readonly kind: 'beyond' };

/** One flow of a case as packets that one node judges. */
export interface Shot {
  /** Position in the flows of the state, from 0. */
  readonly index: number;
  readonly flow: ExpectedFlow;
  readonly from: Spot;
  readonly to: Spot;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** What this node does with the first packet, by the sides of the flow that it enforces. */
  readonly expect: 'allow' | 'deny';
}

/**
 * Why a node does not judge a flow.
 * - `elsewhere`: neither end is a pod of this node.
 * - `open-side`: the case leaves out the verdict of the one side that this node enforces.
 */
export type Skip = 'elsewhere' | 'open-side';

/** A pod of the pod network on the node, with the addresses it owns. */
export interface LocalPod {
  readonly key: string;
  readonly addresses: readonly IpAddress[];
}

/** One state of a case as one node sees it. */
export interface Placement {
  readonly pods: readonly LocalPod[];
  readonly shots: readonly Shot[];
  readonly skipped: ReadonlyMap<number, Skip>;
  /** Addresses that must lie on the node itself, and beyond its uplink. */
  readonly nodeAddresses: ReadonlySet<IpAddress>;
  readonly beyondAddresses: ReadonlySet<IpAddress>;
}

/** The nodes that have pods to enforce policy for, in any of the states; sorted. */
export function enforcingNodes(states: readonly CaseState[]): readonly string[] {
  const names = states.flatMap(({ objects }) =>
    readWorld(objects).pods.flatMap((pod) => (pod.node === undefined || pod.hostNetwork ? [] : [pod.node])),
  );
  return [...new Set(names)].sort();
}

/**
 * Sorts the flows of a state by what one node has to do with them. Which pod owns an address is the oracle's answer;
 * verdicts are only those that the case states.
 *
 * @throws Error when a flow names nobody, or one address would have to lie in two places.
 */
export function placeState(state: CaseState, node: string): Placement {
  const world = readWorld(state.objects);
  const pods = localPods(world, node);
  const shots: Shot[] = [];
  const skipped = new Map<number, Skip>();
  for (const [index, flow] of state.flows.entries()) {
    const shot = aim(world, node, flow);
    if (typeof shot === 'string') skipped.set(index, shot);
    else shots.push({ index, flow, ...shot });
  }
  const at = (kind: Spot['kind']): ReadonlySet<IpAddress> =>
    new Set(
      shots.flatMap(({ from, to, source, destination }) => [
        ...(from.kind === kind ? [source] : []),
        ...(to.kind === kind ? [destination] : []),
      ]),
    );
  const placement = { pods, shots, skipped, nodeAddresses: at('node'), beyondAddresses: at('beyond') };
  refuseDoubles(placement);
  return placement;
}

function localPods(world: World, node: string): readonly LocalPod[] {
  return world.pods.flatMap((pod) => {
    if (pod.node !== node || pod.hostNetwork) return [];
    const end = locate(world, pod.key);
    return [
      { key: pod.key, addresses: end?.addresses.map((address) => formatIp(address.family, address.value)) ?? [] },
    ];
  });
}

function aim(world: World, node: string, flow: ExpectedFlow): Omit<Shot, 'index' | 'flow'> | Skip {
  const [fromEnd, toEnd] = [locate(world, flow.from), locate(world, flow.to)];
  if (fromEnd === undefined || toEnd === undefined) throw new Error(`no such flow: ${JSON.stringify(flow)}`);
  const [from, to] = [spotOf(fromEnd, node), spotOf(toEnd, node)];
  if (from.kind !== 'pod' && to.kind !== 'pod') return 'elsewhere';
  const expect = verdictHere(flow, from, to);
  if (expect === undefined) return 'open-side';
  const family = flow.family ?? sharedFamily(fromEnd, toEnd);
  const [source, destination] = [textOf(fromEnd, family), textOf(toEnd, family)];
  if (source === undefined || destination === undefined) throw new Error(`no ${family} flow: ${JSON.stringify(flow)}`);
  return { from, to, source, destination, expect };
}

function spotOf(end: End, node: string): Spot {
  if (end.kind === 'pod' && end.pod.node === node) return { kind: 'pod', key: end.pod.key };
  return end.kind === 'node' && end.name === node ? { kind: 'node' } : { kind: 'beyond' };
}

/** Both sides are this node's if no end is beyond it; otherwise only the side of its own pod is. */
function verdictHere(flow: ExpectedFlow, from: Spot, to: Spot): 'allow' | 'deny' | undefined {
  if (from.kind !== 'beyond' && to.kind !== 'beyond') return flow.expect;
  const [own, other] = from.kind === 'pod' ? [flow.egress, flow.ingress] : [flow.ingress, flow.egress];
  return own ?? (flow.expect === 'allow' || other === 'allow' ? flow.expect : undefined);
}

function sharedFamily(from: End, to: End): Family {
  const families = (['IPv4', 'IPv6'] as const).filter((family) =>
    [from, to].every((end) => addressOf(end, family) !== undefined),
  );
  if (families.length !== 1) throw new Error(`the ends share ${String(families.length)} families`);
  return families[0]!;
}

function textOf(end: End, family: Family): IpAddress | undefined {
  const address = addressOf(end, family);
  return address === undefined ? undefined : formatIp(family, address.value);
}

function refuseDoubles({ pods, nodeAddresses, beyondAddresses }: Placement): void {
  const all = [...pods.flatMap((pod) => pod.addresses), ...nodeAddresses, ...beyondAddresses];
  const doubles = all.filter((address, at) => all.indexOf(address) !== at);
  if (doubles.length > 0) throw new Error(`addresses in two places: ${doubles.join(', ')}`);
}
