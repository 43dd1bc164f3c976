import type { Verdict } from '../model/flow.ts';
import type { IpFamily } from '../model/ip.ts';
import { compareText } from '../model/names.ts';
import type { NodeName, PodKey, PolicyKey } from '../model/names.ts';
import { directions } from '../model/policy.ts';
import type { Direction } from '../model/policy.ts';
import type { ClusterSnapshot } from '../model/snapshot.ts';
import { workloadName } from './class-names.ts';
import { groupFlows } from './end-sets.ts';
import type { FlowBlock, FlowFact } from './end-sets.ts';
import { classifyEnds } from './flow-classes.ts';
import { flowFamilies } from './flow-ends.ts';
import type { EndClass } from './flow-ends.ts';
import { bothSides, endGroups, vacantPairs } from './matrix.ts';
import { portsWhere, zipTables } from './port-table.ts';
import type { PortList, PortTable } from './port-table.ts';
import { viewPolicies } from './policy-view.ts';
import type { PodView } from './policy-view.ts';
import { createSideTable, VerdictNumbers } from './side-answers.ts';
import type { SideAnswer, SideDecision } from './side-answers.ts';

/** One side's decision with the policies that isolate it. */
export interface SideState extends SideDecision {
  readonly policies: readonly PolicyKey[];
}

/** A side that decides otherwise than before. */
export interface SideChange {
  readonly direction: Direction;
  readonly before: SideState;
  readonly after: SideState;
}

/** What became of flows between two classes. */
export interface FlowChange {
  /** `opened`: more passes than before, or may pass (`unknown`); `closed`: less. */
  readonly effect: 'opened' | 'closed';
  readonly before: Verdict;
  readonly after: Verdict;
  /** Only in this family; absent: in every family both ends have. */
  readonly family?: IpFamily;
  readonly ports: PortList;
  /** Egress first; at least one. */
  readonly sides: readonly SideChange[];
}

/** Pods that are isolated in one direction in only one of the states. */
export interface IsolationChange {
  /** Index of the class. */
  readonly pods: number;
  readonly direction: Direction;
  readonly after: 'isolated' | 'unprotected';
  /** The policies that isolate, in the state where they do. */
  readonly policies: readonly PolicyKey[];
}

/** Pods of one workload that are in only one of the states. */
export interface StrayPods {
  readonly name: string;
  readonly pods: readonly PodKey[];
  /** Directions in which no policy isolates them. */
  readonly unprotected: readonly Direction[];
}

/** All that two states of a cluster answer differently. */
export interface FlowDiff {
  /** Classes that no policy of either state tells apart. Only pods, nodes and addresses that are in both. */
  readonly ends: readonly EndClass[];
  /** Every flow whose verdict changes, and no other. Opened first. */
  readonly flows: readonly FlowBlock<FlowChange>[];
  readonly isolation: readonly IsolationChange[];
  readonly added: readonly StrayPods[];
  readonly removed: readonly StrayPods[];
  readonly addedNodes: readonly NodeName[];
  readonly removedNodes: readonly NodeName[];
}

/** Compares two snapshots. Exact: by classes, not by sampling. Self flows are always allowed and never differ. */
export function diffFlows(before: ClusterSnapshot, after: ClusterSnapshot): FlowDiff {
  const views = [viewPolicies(before), viewPolicies(after)] as const;
  const { ends, strays } = classifyEnds(views);
  const numbers = new VerdictNumbers();
  const old = createSideTable(views[0], 0, ends, numbers);
  const now = createSideTable(views[1], 1, ends, numbers);
  const verdictIds = new Map<string, number>();
  const details = new Map<string, readonly Keyed[]>();

  function verdictId(egress: SideAnswer, ingress: SideAnswer): number {
    const key = `${egress.id} ${ingress.id}`;
    let id = verdictIds.get(key);
    if (id === undefined) verdictIds.set(key, (id = numbers.idOf(bothSides(egress.verdicts, ingress.verdicts))));
    return id;
  }

  function changesOf(from: number, to: number, family: IpFamily): readonly Keyed[] {
    const [oldEgress, oldIngress] = [old.side('egress', from, to, family), old.side('ingress', from, to, family)];
    const [egress, ingress] = [now.side('egress', from, to, family), now.side('ingress', from, to, family)];
    if (oldEgress.id === egress.id && oldIngress.id === ingress.id) return unchanged;
    if (verdictId(oldEgress, oldIngress) === verdictId(egress, ingress)) return unchanged;
    const key = `${oldEgress.serial} ${oldIngress.serial} ${egress.serial} ${ingress.serial}`;
    let found = details.get(key);
    if (found === undefined) {
      found = compareSides({ egress: oldEgress, ingress: oldIngress }, { egress, ingress });
      details.set(key, found);
    }
    return found;
  }

  function* facts(): Generator<FlowFact<FlowChange>, void> {
    for (const [i, from] of ends.entries()) {
      for (const [j, to] of ends.entries()) {
        const [family, other] = flowFamilies(from, to);
        if (family === undefined) continue;
        const first = changesOf(i, j, family);
        const second = other === undefined ? first : changesOf(i, j, other);
        for (const { key, change } of first) {
          if (second.some((same) => same.key === key)) yield { from: i, to: j, key, fact: change };
          else yield { from: i, to: j, key: `${family} ${key}`, fact: { ...change, family } };
        }
        if (other === undefined) continue;
        for (const { key, change } of second) {
          if (first.some((same) => same.key === key)) continue;
          yield { from: i, to: j, key: `${other} ${key}`, fact: { ...change, family: other } };
        }
      }
    }
  }

  const flows = groupFlows(facts(), endGroups(ends), vacantPairs(ends));
  const isolation = ends.flatMap((end, pods) =>
    end.kind !== 'pods'
      ? []
      : directions.flatMap((direction): IsolationChange[] => {
          const [was, is] = [old.section(end, direction), now.section(end, direction)];
          if (was === undefined || is === undefined || was.isolated === is.isolated) return [];
          return [
            is.isolated
              ? { pods, direction, after: 'isolated', policies: is.policies }
              : { pods, direction, after: 'unprotected', policies: was.policies },
          ];
        }),
  );
  return {
    ends,
    flows: [
      ...flows.filter(({ fact }) => fact.effect === 'opened'),
      ...flows.filter(({ fact }) => fact.effect === 'closed'),
    ],
    isolation,
    removed: strayPods(strays[0] ?? []),
    added: strayPods(strays[1] ?? []),
    removedNodes: missingFrom(before.nodes, after.nodes),
    addedNodes: missingFrom(after.nodes, before.nodes),
  };
}

/** Whether two states differ in nothing that is compared. */
export function isEmptyDiff(diff: FlowDiff): boolean {
  const { flows, isolation, added, removed, addedNodes, removedNodes } = diff;
  return [flows, isolation, added, removed, addedNodes, removedNodes].every((list) => list.length === 0);
}

const unchanged: readonly Keyed[] = [];

interface Sides {
  readonly egress: SideAnswer;
  readonly ingress: SideAnswer;
}

interface Keyed {
  readonly key: string;
  readonly change: FlowChange;
}

/** The decisions of both sides in both states for one port. */
interface Decisions {
  readonly before: Readonly<Record<Direction, SideDecision>>;
  readonly after: Readonly<Record<Direction, SideDecision>>;
}

function compareSides(old: Sides, now: Sides): readonly Keyed[] {
  const both = (sides: Sides): PortTable<Decisions['before']> =>
    zipTables(
      sides.egress.decisions,
      sides.ingress.decisions,
      (egress, ingress) => ({ egress, ingress }),
      () => false,
    );
  const table = zipTables(
    both(old),
    both(now),
    (before, after) => toKeyed({ before, after }, old, now),
    (a, b) => a?.key === b?.key,
  );
  const kinds = new Map<string, Omit<FlowChange, 'ports'>>();
  for (const value of [...table.ports.flat().map((slice) => slice.value), table.other]) {
    if (value !== undefined) kinds.set(value.key, value.change);
  }
  return [...kinds].map(([kind, change]) => {
    const ports = portsWhere(table, (value) => value?.key === kind);
    return { key: `${kind} ${JSON.stringify(ports)}`, change: { ...change, ports } };
  });
}

function toKeyed(
  { before, after }: Decisions,
  old: Sides,
  now: Sides,
): { readonly key: string; readonly change: Omit<FlowChange, 'ports'> } | undefined {
  const [was, is] = [worse(before), worse(after)];
  if (was === is) return undefined;
  const sides = directions.flatMap((direction): SideChange[] =>
    before[direction].verdict === after[direction].verdict
      ? []
      : [
          {
            direction,
            before: { ...before[direction], policies: old[direction].policies },
            after: { ...after[direction], policies: now[direction].policies },
          },
        ],
  );
  const effect = openness[is] > openness[was] ? 'opened' : 'closed';
  const change = { effect, before: was, after: is, sides } as const;
  return { key: JSON.stringify(change), change };
}

const openness: Readonly<Record<Verdict, number>> = { deny: 0, unknown: 1, allow: 2 };

/** A flow passes if both sides admit it (semantics 7). */
function worse({ egress, ingress }: Decisions['before']): Verdict {
  return openness[egress.verdict] < openness[ingress.verdict] ? egress.verdict : ingress.verdict;
}

function strayPods(views: readonly PodView[]): StrayPods[] {
  const groups = new Map<string, { name: string; pods: PodKey[]; unprotected: Direction[] }>();
  for (const view of views) {
    const unprotected = directions.filter((direction) => !view[direction].isolated);
    const name = `${view.pod.namespace}/${workloadName(view.pod)}`;
    const key = `${name} ${unprotected.join(' ')}`;
    const known = groups.get(key);
    if (known === undefined) groups.set(key, { name, pods: [view.pod.key], unprotected });
    else known.pods.push(view.pod.key);
  }
  return [...groups]
    .sort(([a], [b]) => compareText(a, b))
    .map(([, { name, pods, unprotected }]) => ({ name, pods: pods.sort(compareText), unprotected }));
}

function missingFrom<K extends string>(these: ReadonlyMap<K, unknown>, those: ReadonlyMap<K, unknown>): K[] {
  return [...these.keys()].filter((key) => !those.has(key)).sort(compareText);
}
