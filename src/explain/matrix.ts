import type { Verdict } from '../model/flow.ts';
import type { IpFamily } from '../model/ip.ts';
import type { PodKey } from '../model/names.ts';
import type { Direction } from '../model/policy.ts';
import type { ClusterSnapshot } from '../model/snapshot.ts';
import { groupFlows } from './end-sets.ts';
import type { EndGroup, FlowBlock, FlowFact } from './end-sets.ts';
import { classifyEnds } from './flow-classes.ts';
import { sampleFlow } from './flow-ends.ts';
import type { EndClass, PodClass } from './flow-ends.ts';
import { viewPolicies } from './policy-view.ts';
import { isEmptyPortList, portsWhere, zipTables } from './port-table.ts';
import type { PortList, PortTable } from './port-table.ts';
import { createSideTable, familiesOf, VerdictNumbers } from './side-answers.ts';

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
  const sides = createSideTable(view, 0, new VerdictNumbers());
  const reaches = new Map<string, Reach & { readonly key: string }>();

  function reachOf(from: EndClass, to: EndClass): [IpFamily, Reach & { readonly key: string }][] {
    return familiesOf((family) => sampleFlow(from, to, family)).map(([family, sample]) => {
      const egress = sides.side('egress', from, to, family, sample);
      const ingress = sides.side('ingress', from, to, family, sample);
      const key = `${egress.id} ${ingress.id}`;
      let reach = reaches.get(key);
      if (reach === undefined) {
        const both = bothSides(egress.verdicts, ingress.verdicts);
        const allowed = portsWhere(both, (verdict) => verdict === 'allow');
        const unknown = portsWhere(both, (verdict) => verdict === 'unknown');
        reach = { key: JSON.stringify([allowed, unknown]), allowed, unknown };
        reaches.set(key, reach);
      }
      return [family, reach];
    });
  }

  function keyedCell(i: number, j: number): readonly (Reach & { readonly key: string })[] | undefined {
    const [from, to] = [ends[i], ends[j]];
    if (from === undefined || to === undefined) return undefined;
    const found = reachOf(from, to);
    const [first] = found;
    if (first === undefined) return undefined;
    const same = found.every(([, reach]) => reach.key === first[1].key);
    const reach = same
      ? [first[1]]
      : found.map(([family, part]) => ({ ...part, family, key: `${family} ${part.key}` }));
    return reach.filter(({ allowed, unknown }) => !isEmptyPortList(allowed) || !isEmptyPortList(unknown));
  }

  function* facts(chosen: (from: number, to: number) => boolean): Generator<FlowFact<Reach>, void> {
    for (let from = 0; from < ends.length; from++) {
      for (let to = 0; to < ends.length; to++) {
        if (!chosen(from, to)) continue;
        for (const { key, ...fact } of keyedCell(from, to) ?? []) yield { from, to, key, fact };
      }
    }
  }

  return {
    ends,
    silent,
    cell: (from, to) => keyedCell(from, to)?.map(({ key: _key, ...reach }) => reach),
    blocks: (chosen = () => true) => groupFlows(facts(chosen), endGroups(ends), vacantPairs(ends)),
    isolated: (pods, direction) => sides.section(pods, direction)?.isolated === true,
  };
}

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
    return familiesOf((family) => sampleFlow(from, to, family)).length === 0;
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
