import { expect, test } from 'vitest';

import { Backoff, maxRetryAfterMs } from './backoff.ts';

const middle = (): number => 0.5;

test('pauses double up to the greatest', () => {
  const backoff = new Backoff({ firstMs: 800, maxMs: 5000, random: middle });
  expect(Array.from({ length: 5 }, () => backoff.next())).toEqual([800, 1600, 3200, 5000, 5000]);
});

test('each lies between a half and one and a half of itself', () => {
  const pause = (random: number): number => new Backoff({ firstMs: 800, maxMs: 5000, random: () => random }).next();
  expect(pause(0)).toBe(400);
  expect(pause(0.999_999)).toBeCloseTo(1200, 1);
});

test('progress starts them again', () => {
  const backoff = new Backoff({ firstMs: 800, maxMs: 30_000, random: middle });
  backoff.next();
  backoff.next();
  backoff.reset();
  expect(backoff.next()).toBe(800);
});

test('what the server asks for is a floor, spread so that not everybody returns at once', () => {
  const backoff = (random: number): Backoff => new Backoff({ firstMs: 800, maxMs: 30_000, random: () => random });
  expect(backoff(0).next(10_000)).toBe(10_000);
  expect(backoff(0.5).next(10_000)).toBe(12_500);
  expect(backoff(0.5).next(10)).toBe(800);
});

test('a server that asks for a day is not believed', () => {
  expect(new Backoff({ firstMs: 800, maxMs: 30_000, random: () => 0 }).next(86_400_000)).toBe(maxRetryAfterMs);
});
