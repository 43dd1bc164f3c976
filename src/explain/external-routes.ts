import type { NodeName } from '../model/names.ts';
import type { Node } from '../model/node.ts';
import type { Service } from '../model/service.ts';
import { shortName } from './flow-context.ts';
import { nodeMember } from './locate.ts';
import type { Member, World } from './locate.ts';
import type { Route } from './service-walk.ts';

/** A Service entered by a port of a node, by the address of a load balancer, or by an external address. */
export interface Entrance {
  readonly service: Service;
  /** The node whose port was asked and the port; any node otherwise. */
  readonly door?: { readonly node: NodeName; readonly port: number };
}

type Way = Pick<Route, 'to' | 'protocol' | 'port' | 'servicePort'>;

/**
 * The ways to one endpoint by an {@link Entrance}, as kube-proxy makes them. Policy is judged after the destination is
 * translated and before the source is: an endpoint on the node that translates sees the client, one on another node sees
 * the address of that node, unless `externalTrafficPolicy` is Local (semantics 58, 59).
 */
export function externalRoutes(
  world: World,
  entrance: Entrance,
  from: Member,
  way: Way,
  warnings: string[],
): readonly Route[] {
  return from.party.kind === 'external'
    ? fromOutside(world, entrance, from, way, warnings)
    : fromInside(world, entrance, from, way, warnings);
}

function fromOutside(
  { cluster }: World,
  { service, door }: Entrance,
  from: Member,
  way: Way,
  warnings: string[],
): readonly Route[] {
  const own = nodeOf(way.to);
  const name = shortName(from.ref);
  if (service.externalTrafficPolicy === 'Local')
    return door === undefined || own === undefined || own === door.node ? [{ ...way, from }] : [];
  const entries = [...cluster.snapshot.nodes.values()].filter(
    (node) => node.addresses.length > 0 && (door === undefined || door.node === node.name),
  );
  if (entries.length === 0) {
    warnings.push(
      `the node that ${name} enters by may put its own address in place of ${name} (externalTrafficPolicy: Cluster); no nodes are known here`,
    );
    return [{ ...way, from }];
  }
  const other = entries.find((node) => node.name !== own);
  if (other !== undefined) {
    warnings.push(
      `externalTrafficPolicy is Cluster: on other nodes than the one that ${name} enters by, policy sees the address of that node, so no ipBlock can match ${name} there; Local would keep it`,
    );
  }
  const isOwn = own === undefined || entries.some((node) => node.name === own);
  return [
    ...(isOwn ? [{ ...way, from, remark: `entering by ${own ?? "the endpoint's node"}` }] : []),
    ...(other === undefined ? [] : [{ ...way, from: nodeMember(other), remark: `entering by ${other.name}` }]),
  ];
}

/** Of pods, and of nodes; their own node translates what they send to a load balancer. */
function fromInside(
  { cluster }: World,
  { service, door }: Entrance,
  from: Member,
  way: Way,
  warnings: string[],
): readonly Route[] {
  const home = nodeOf(from);
  const own = nodeOf(way.to);
  const keepsSource = service.externalTrafficPolicy === 'Local' || from.party.kind === 'node';
  const nodeNamed = (name: NodeName | undefined): Node | undefined =>
    name === undefined ? undefined : cluster.snapshot.nodes.get(name);
  if (door === undefined || door.node === home) {
    if (keepsSource || (home !== undefined && own === home)) return [{ ...way, from }];
    const node = nodeNamed(home);
    if (node === undefined || node.addresses.length === 0) {
      warnings.push(
        `the node of ${shortName(from.ref)} puts its own address in place of the pod's (externalTrafficPolicy: Cluster); it is not known here`,
      );
      return [{ ...way, from }];
    }
    return [{ ...way, from, seenFrom: nodeMember(node), remark: `seen as node/${node.name}` }];
  }
  const node = nodeNamed(door.node);
  if (node === undefined) return [{ ...way, from }];
  const through = { leaves: { to: nodeMember(node), port: door.port }, remark: `entering by ${node.name}` };
  const stays = own === undefined || own === node.name;
  if (!stays && service.externalTrafficPolicy === 'Local') return [];
  if (!stays) return [{ ...way, from, ...through, seenFrom: nodeMember(node) }];
  if (from.party.kind === 'pod') {
    warnings.push(
      `policy on ${node.name} sees ${shortName(from.ref)} only if its CNI plugin keeps the addresses of pods on their way to other nodes`,
    );
  }
  return [{ ...way, from, ...through }];
}

/** The node of a pod, or the node itself. */
export function nodeOf({ party }: Member): NodeName | undefined {
  return party.kind === 'pod' ? party.pod.node : party.kind === 'node' ? party.name : undefined;
}
