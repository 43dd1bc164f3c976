import type { FlowMap } from '../explain/matrix.ts';
import type { EndClass } from '../explain/flow-ends.ts';
import { isEmptyPortList } from '../explain/port-table.ts';
import type { PortList } from '../explain/port-table.ts';
import { minimalCidrs } from '../explain/class-names.ts';

/** A class as `policy map -o json` and `policy diff -o json` print it. */
export function endJson(end: EndClass, index: number): object {
  const id = index + 1;
  switch (end.kind) {
    case 'pods': {
      const pods = [...new Set(end.members.map(({ key }) => key))];
      return { id, kind: 'pods', name: end.name, namespace: end.namespace, pods };
    }
    case 'nodes': {
      const nodes = [...new Set([...end.nodes.values()].flatMap((names) => [...names.keys()]))].sort();
      return { id, kind: 'nodes', name: end.name, relation: end.relation, nodes };
    }
    case 'outside': {
      const families = [...end.addressClass.intervals].filter(([family]) => end.samples.has(family));
      const cidrs = families.flatMap(([family, intervals]) => minimalCidrs(family, intervals));
      return { id, kind: 'outside', name: end.name, cidrs };
    }
  }
}

/** A set of ports; empty parts are left out. */
export function portsJson({ ports, other }: PortList): object {
  return { ...(ports.length === 0 ? {} : { ports }), ...(other ? { other } : {}) };
}

/** What `policy map -o json` prints; schema in `schemas/map.json`. Flows that are not listed do not pass. */
export function mapJson(
  map: FlowMap,
  view: {
    readonly rows: readonly number[];
    readonly columns: readonly number[];
    readonly chosen: (from: number, to: number) => boolean;
  },
): object {
  const asked = new Set([...view.rows, ...view.columns]);
  const shown = map.ends.map((end, index) => ({ end, index })).filter(({ index }) => asked.has(index));
  return {
    apiVersion: 'nftpolicy.dev/map/v1',
    kind: 'FlowMap',
    classes: shown.map(({ end, index }) =>
      end.kind !== 'pods'
        ? endJson(end, index)
        : {
            ...endJson(end, index),
            isolated: { egress: map.isolated(end, 'egress'), ingress: map.isolated(end, 'ingress') },
          },
    ),
    flows: map.blocks(view.chosen).map((block) => ({
      from: block.from.map((index) => index + 1),
      to: block.to.map((index) => index + 1),
      ...(block.fact.family === undefined ? {} : { family: block.fact.family }),
      ...(isEmptyPortList(block.fact.allowed) ? {} : { allowed: portsJson(block.fact.allowed) }),
      ...(isEmptyPortList(block.fact.unknown) ? {} : { unknown: portsJson(block.fact.unknown) }),
    })),
    withoutAddress: map.silent,
  };
}
