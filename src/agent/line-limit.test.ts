import { expect, test } from 'vitest';

import { LineLimit } from './line-limit.ts';

test('a burst is said line by line, what goes on now and then, with the number of lines left out', () => {
  let now = 0;
  const limit = new LineLimit({ burst: 3, pauseMs: 1_000, nowMs: () => now });
  const said: string[] = [];
  const takeAll = (until: number): void => {
    for (; now < until; now += 100) limit.take((skipped) => said.push(`${now} ${skipped}`));
  };
  takeAll(3_500);
  expect(said).toEqual(['0 0', '100 0', '200 0', '1000 7', '2000 9', '3000 9']);
  said.length = 0;
  now = 1_000_000;
  takeAll(1_000_500);
  expect(said).toEqual(['1000000 4', '1000100 0', '1000200 0']);
});
