import type { Verdict } from '../model/flow.ts';
import type { IpFamily } from '../model/ip.ts';
import type { PodKey } from '../model/names.ts';
import type { Direction } from '../model/policy.ts';
import type { ClusterSnapshot } from '../model/snapshot.ts';
import { groupFlows } from './end-sets.ts';
import type { EndGroup, FlowBlock, FlowFact } from './end-sets.ts';
import { classifyEnds } from './flow-classes.ts';
import { flowFamilies } from './flow-ends.ts';
import type { EndClass, PodClass } from './flow-ends.ts';
import { viewPolicies } from './policy-view.ts';
import { isEmptyPortList, portsWhere, zipTables } from './port-table.ts';
import type { PortList, PortTable } from './port-table.ts';
import { createSideTable, VerdictNumbers } from './side-answers.ts';

/** What passes between two classes. */
export interface Reach {
  /** Only in this family; absent: in every family both ends have. */
  readonly family?: IpFamily;
  readonly allowed: PortList;
  /** Ports for which a missing fact decides. */
  readonly unknown: PortList;
}

/** Who can talk to whom, exactly: every flow of the snapshot belongs to one pair of classes, a family and a port. */
export interface FlowMap {
  readonly ends: readonly EndClass[];
  /** What passes from one class to another, by index; empty if nothing does, `undefined` if there are no such flows. */
  cell(from: number, to: number): readonly Reach[] | undefined;
  /** Everything that passes or may pass, in blocks of sources and destinations. */
  blocks(chosen?: (from: number, to: number) => boolean): readonly FlowBlock<Reach>[];
  /** Whether some policy isolates the pods of a class. */
  isolated(pods: PodClass, direction: Direction): boolean;
  /** Pods without an address of their own: they have no flows. */
  readonly silent: readonly PodKey[];
}

/** Builds the map of one snapshot. Cells are computed when asked for. */
export function mapFlows(snapshot: ClusterSnapshot): FlowMap {
  const view = viewPolicies(snapshot);
  const { ends, silent } = classifyEnds([view]);
  const sides = createSideTable(view, 0, ends, new VerdictNumbers());
  const reaches = new Map<number, Map<number, KeyedReach>>();

  function reachOf(from: number, to: number, family: IpFamily): KeyedReach {
    const egress = sides.side('egress', from, to, family);
    const ingress = sides.side('ingress', from, to, family);
    let byIngress = reaches.get(egress.id);
    if (byIngress === undefined) reaches.set(egress.id, (byIngress = new Map<number, KeyedReach>()));
    let keyed = byIngress.get(ingress.id);
    if (keyed === undefined) {
      const both = bothSides(egress.verdicts, ingress.verdicts);
      const allowed = portsWhere(both, (verdict) => verdict === 'allow');
      const unknown = portsWhere(both, (verdict) => verdict === 'unknown');
      keyed = {
        key: JSON.stringify([allowed, unknown]),
        reach: { allowed, unknown },
        empty: isEmptyPortList(allowed) && isEmptyPortList(unknown),
      };
      byIngress.set(ingress.id, keyed);
    }
    return keyed;
  }

  function keyedCell(i: number, j: number): readonly KeyedReach[] | undefined {
    const [from, to] = [ends[i], ends[j]];
    if (from === undefined || to === undefined) return undefined;
    const [family, other] = flowFamilies(from, to);
    if (family === undefined) return undefined;
    const first = reachOf(i, j, family);
    const second = other === undefined ? first : reachOf(i, j, other);
    if (other === undefined || first.key === second.key) return first.empty ? nothing : [first];
    return [
      { ...first, family },
      { ...second, family: other },
    ]
      .filter(({ empty }) => !empty)
      .map((part) => ({ ...part, key: `${part.family} ${part.key}`, reach: { ...part.reach, family: part.family } }));
  }

  function* facts(chosen: (from: number, to: number) => boolean): Generator<FlowFact<Reach>, void> {
    for (let from = 0; from < ends.length; from++) {
      for (let to = 0; to < ends.length; to++) {
        if (!chosen(from, to)) continue;
        for (const { key, reach } of keyedCell(from, to) ?? nothing) yield { from, to, key, fact: reach };
      }
    }
  }

  return {
    ends,
    silent,
    cell: (from, to) => keyedCell(from, to)?.map(({ reach }) => reach),
    blocks: (chosen = () => true) => groupFlows(facts(chosen), endGroups(ends), vacantPairs(ends)),
    isolated: (pods, direction) => sides.section(pods, direction)?.isolated === true,
  };
}

/** What passes, with a text that is the same for equal ports. */
interface KeyedReach {
  readonly key: string;
  readonly reach: Reach;
  readonly empty: boolean;
}

const nothing: readonly KeyedReach[] = [];

/** A flow passes if both sides admit it (semantics 7). */
export function bothSides(egress: PortTable<Verdict>, ingress: PortTable<Verdict>): PortTable<Verdict> {
  return zipTables(
    egress,
    ingress,
    (a, b) => (a === 'deny' || b === 'deny' ? 'deny' : a === 'unknown' || b === 'unknown' ? 'unknown' : 'allow'),
    (a, b) => a === b,
  );
}

/** Pairs of classes that policy could judge but that have no flows. */
export function vacantPairs(ends: readonly EndClass[]): (from: number, to: number) => boolean {
  return (i, j) => {
    const [from, to] = [ends[i], ends[j]];
    if (from === undefined || to === undefined || (from.kind !== 'pods' && to.kind !== 'pods')) return false;
    return flowFamilies(from, to).length === 0;
  };
}

/** Classes with a name of their own together: a namespace, all pods, all nodes, everything outside, everything. */
export function endGroups(ends: readonly EndClass[]): readonly EndGroup[] {
  const namespaces = new Map<string, number[]>();
  for (const [index, end] of ends.entries()) {
    if (end.kind === 'pods') namespaces.set(end.namespace, [...(namespaces.get(end.namespace) ?? []), index]);
  }
  const ofKind = (kind: EndClass['kind']): EndGroup => ends.flatMap((end, index) => (end.kind === kind ? [index] : []));
  return [...namespaces.values(), ofKind('pods'), ofKind('nodes'), ofKind('outside'), [...ends.keys()]];
}
