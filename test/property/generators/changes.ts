import { isDeepStrictEqual } from 'node:util';
import * as fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import { field, isRecord } from '../../oracle/raw.ts';
import type { Question, RawObject } from '../../oracle/question.ts';
import { applyChange, refOf } from '../../support/cluster-state.ts';
import type { Change, ObjectRef } from '../../support/cluster-state.ts';
import { arbDrawnQuestions, askableOf } from './flows.ts';
import { arbPod } from './pods.ts';
import type { Families } from './pods.ts';
import { arbPolicy, policyObject } from './policies.ts';
import { anyOf, arbLabels, hostSlots, namespaceNames, podSlots, present, weighted } from './roster.ts';
import type { PolicyOptions } from './rules.ts';
import { arbNamespaceLabels, arbWorld, namespaceObject, slotObject } from './world.ts';
import type { GeneratedWorld } from './world.ts';

/** A change and the questions to ask after it. */
export interface HistoryStep extends Change {
  readonly questions: readonly Question[];
}

/** A world, and what happens to it. */
export interface History extends GeneratedWorld {
  readonly questions: readonly Question[];
  readonly steps: readonly HistoryStep[];
}

/** One thing that happens to a cluster. Whatever the cluster lacks for it does not happen. */
type Edit = (objects: readonly RawObject[], families: Families) => readonly RawObject[];

/** Steps of change from a world on: `delete` and `apply` as the API would show them, none of them without effect. */
export function arbChanges(
  world: GeneratedWorld,
  options: PolicyOptions = { invalid: true },
): Arbitrary<readonly Change[]> {
  return arbEdits(options).map((edits) => unfold(world, edits));
}

/** A world with steps of change; about `count` questions are asked of each state. World and steps shrink, questions do not. */
export function arbHistory(count: number, options: PolicyOptions = { invalid: true }): Arbitrary<History> {
  return fc
    .record({ world: arbWorld(options), edits: arbEdits(options), drawn: arbDrawnQuestions(count) })
    .map(({ world, edits, drawn }) => {
      let objects = world.objects;
      const steps = unfold(world, edits).map((change) => {
        objects = applyChange(objects, change);
        return { ...change, questions: askableOf(objects, drawn) };
      });
      return { ...world, questions: askableOf(world.objects, drawn), steps };
    });
}

const arbSlot = weighted<string>([12, anyOf(...podSlots)], [1, anyOf(...hostSlots)]);

function arbEdits(options: PolicyOptions): Arbitrary<readonly (readonly Edit[])[]> {
  const arbPolicyIndex = fc.nat({ max: 6 });
  const arbEdit = weighted<Edit>(
    [4, fc.tuple(arbPolicyIndex, arbPolicy(options)).map(([index, draft]) => put(policyObject(index, draft)))],
    [3, arbPolicyIndex.map(dropPolicies)],
    [3, fc.tuple(arbSlot, arbLabels).map(([key, labels]) => edit(key, 'metadata', { labels }))],
    [
      2,
      fc.tuple(arbSlot, arbPod).map(
        ([key, draft]) =>
          (objects, families) =>
            put(slotObject(key, draft, families))(objects, families),
      ),
    ],
    [2, arbSlot.map((key) => edit(key, 'status', { phase: 'Succeeded' }))],
    [
      2,
      fc
        .tuple(anyOf(...podSlots), anyOf(...podSlots), fc.boolean())
        .map(([from, to, finished]) => passOn(from, to, finished)),
    ],
    [1, arbSlot.map((key) => edit(key, 'metadata', { deletionTimestamp: '2026-06-01T00:00:00Z' }))],
    [1, arbSlot.map((key) => drop(podRef(key)))],
    [
      3,
      fc
        .tuple(anyOf(...namespaceNames), arbNamespaceLabels)
        .map(([name, labels]) => put(namespaceObject(name, labels))),
    ],
    [1, anyOf(...namespaceNames).map((name) => drop({ kind: 'Namespace', name }))],
  );
  const arbStep = fc.array(arbEdit, { minLength: 1, maxLength: 2, size: 'max' });
  return fc.array(arbStep, { minLength: 1, maxLength: 5, size: 'max' });
}

function unfold(world: GeneratedWorld, edits: readonly (readonly Edit[])[]): readonly Change[] {
  let objects = world.objects;
  return edits.flatMap((step) => {
    const before = objects;
    const after = step.reduce((state, change) => change(state, world.families), before);
    const change = difference(before, after);
    objects = applyChange(before, change);
    return change.delete.length + change.apply.length === 0 ? [] : [change];
  });
}

/** What the API would show of the way from one state to the other. */
function difference(before: readonly RawObject[], after: readonly RawObject[]): Change {
  const find = (objects: readonly RawObject[], ref: ObjectRef): RawObject | undefined =>
    objects.find((object) => isDeepStrictEqual(refOf(object), ref));
  return {
    delete: before.map(refOf).filter((ref) => find(after, ref) === undefined),
    apply: after.filter((object) => !isDeepStrictEqual(find(before, refOf(object)), object)),
  };
}

function put(object: RawObject): Edit {
  return (objects) => applyChange(objects, { delete: [], apply: [object] });
}

function drop(ref: ObjectRef): Edit {
  return (objects) => applyChange(objects, { delete: [ref], apply: [] });
}

/** Policies of one number, in whatever namespace they are. */
function dropPolicies(index: number): Edit {
  return (objects) =>
    objects.filter((object) => object['kind'] !== 'NetworkPolicy' || refOf(object).name !== `p${index}`);
}

/** Sets fields of one part of a pod. */
function edit(key: string, part: 'metadata' | 'status', fields: object): Edit {
  return (objects) =>
    objects.map((object) =>
      isPod(object, key) ? { ...object, [part]: { ...partOf(object, part), ...fields } } : object,
    );
}

/** The addresses of one pod become another's at once; the first is deleted or has finished. */
function passOn(from: string, to: string, finished: boolean): Edit {
  return (objects, families) => {
    const giver = objects.find((object) => isPod(object, from));
    if (giver === undefined || from === to) return objects;
    const { podIP, podIPs } = partOf(giver, 'status');
    const leaving = finished ? edit(from, 'status', { phase: 'Failed' }) : drop(podRef(from));
    return edit(to, 'status', present({ phase: 'Running', podIP, podIPs }))(leaving(objects, families), families);
  };
}

function partOf(object: RawObject, part: string): RawObject {
  const value = field(object, part);
  return isRecord(value) ? value : {};
}

function isPod(object: RawObject, key: string): boolean {
  return isDeepStrictEqual(refOf(object), podRef(key));
}

function podRef(key: string): ObjectRef {
  const [namespace, name] = key.split('/');
  return { kind: 'Pod', namespace: namespace!, name: name! };
}
