import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createOracle } from '../../oracle/oracle.ts';
import type { RawObject } from '../../oracle/question.ts';
import { field } from '../../oracle/raw.ts';
import { applyChange } from '../../support/cluster-state.ts';
import { equals, isFinished, labelsOf, nameOf, namespaceOf, podIps } from '../support/samples.ts';
import { arbChanges, arbHistory } from './changes.ts';
import { arbWorld } from './world.ts';

describe('generated histories', () => {
  const histories = fc.sample(arbHistory(60), { numRuns: 200, seed: 7 });
  const steps = histories.flatMap((history) => {
    let objects = history.objects;
    return history.steps.map((step) => {
      const before = objects;
      objects = applyChange(objects, step);
      return { before, after: objects, step };
    });
  });
  const deletes = (kind: string) => steps.some(({ step }) => step.delete.some((ref) => ref.kind === kind));
  const find = (objects: readonly RawObject[], like: RawObject) =>
    objects.find(
      (object) =>
        object['kind'] === like['kind'] && nameOf(object) === nameOf(like) && namespaceOf(object) === namespaceOf(like),
    );
  const changes = (kind: string, changed: (old: RawObject | undefined, now: RawObject) => boolean) =>
    steps.some(({ before, step }) => step.apply.some((now) => now['kind'] === kind && changed(find(before, now), now)));

  test.each<[string, boolean]>([
    ['delete policies', deletes('NetworkPolicy')],
    ['delete pods', deletes('Pod')],
    ['delete namespaces', deletes('Namespace')],
    ['add policies', changes('NetworkPolicy', (old) => old === undefined)],
    ['edit policies', changes('NetworkPolicy', (old) => old !== undefined)],
    ['add pods', changes('Pod', (old) => old === undefined)],
    ['relabel pods', changes('Pod', (old, now) => old !== undefined && !equals(labelsOf(old), labelsOf(now)))],
    [
      'relabel namespaces',
      changes('Namespace', (old, now) => old !== undefined && !equals(labelsOf(old), labelsOf(now))),
    ],
    ['show namespaces late', changes('Namespace', (old, now) => old === undefined && nameOf(now) !== '')],
    ['finish pods', changes('Pod', (old, now) => old !== undefined && !isFinished(old) && isFinished(now))],
    ['pass addresses on', changes('Pod', (old, now) => old !== undefined && !equals(podIps(old), podIps(now)))],
    [
      'mark pods as terminating',
      changes(
        'Pod',
        (old, now) => field(field(now, 'metadata'), 'deletionTimestamp') !== undefined && old !== undefined,
      ),
    ],
    ['delete and apply at once', steps.some(({ step }) => step.delete.length > 0 && step.apply.length > 0)],
  ])('%s', (_name, seen) => {
    expect(seen).toBe(true);
  });

  test('hold no step without effect', () => {
    expect(steps.length).toBeGreaterThan(0);
    expect(steps.filter(({ before, after }) => equals(before, after))).toEqual([]);
  });

  test('ask only what can be asked in that state', () => {
    expect(
      steps.every(({ after, step }) => step.questions.every((question) => createOracle(after).canAsk(question))),
    ).toBe(true);
  });

  test('can start from a given world', () => {
    const [world] = fc.sample(arbWorld(), { numRuns: 1, seed: 5 });
    expect(fc.sample(arbChanges(world!), { numRuns: 20, seed: 5 }).flat().length).toBeGreaterThan(0);
  });
});
