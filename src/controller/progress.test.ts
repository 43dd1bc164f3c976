import { describe, expect, test } from 'vitest';

import { namespaceName } from '../model/names.ts';
import type { Namespace } from '../model/namespace.ts';
import { Progress } from './progress.ts';

const after: Namespace = {
  kind: 'Namespace',
  name: namespaceName('a'),
  uid: 'u',
  labels: new Map(),
  source: { kind: 'cluster', resourceVersion: '1' },
};

/** Object generation `n` is heard at `n` milliseconds and becomes ruleset `n`. */
function handOver(progress: Progress, generation: number): void {
  progress.changed({ kind: 'Namespace', after }, generation, generation);
  progress.handed(generation, generation);
}

describe('progress', () => {
  test('tells of each batch how long it took to the kernel', () => {
    const progress = new Progress();
    for (const generation of [1, 2, 3]) handOver(progress, generation);
    expect(progress.applied(2, 10)).toEqual([9, 8]);
    expect(progress.appliedObjects).toBe(2);
    expect(progress.applied(3, 20)).toEqual([17]);
    expect(progress.appliedObjects).toBe(3);
  });

  test('does not grow while the kernel takes nothing, and knows all the same when it took the newest', () => {
    const progress = new Progress();
    for (let generation = 1; generation <= 100_000; generation += 1) handOver(progress, generation);
    expect(progress.applied(99_999, 100_000)).toHaveLength(99);
    expect(progress.appliedObjects).toBe(99);
    // The last batch is as old as the first change in it.
    expect(progress.applied(100_000, 100_000)).toEqual([99_900]);
    expect(progress.appliedObjects).toBe(100_000);
  });
});
