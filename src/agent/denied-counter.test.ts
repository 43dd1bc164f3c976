import { Registry } from 'prom-client';
import { expect, test } from 'vitest';

import type { DeniedEntry } from '../controller/denied-report.ts';
import { DeniedCounter } from './denied-counter.ts';

function entry(pod: string, mode: DeniedEntry['mode'] = 'denied'): DeniedEntry {
  const ends = { from: { address: '10.0.0.1' }, to: { address: '10.0.0.2', pod } };
  const flow = { protocol: 'tcp', port: 80, ageSeconds: 0, reason: 'no-rule-admits', policies: [] } as const;
  return { ...ends, ...flow, mode, direction: 'ingress' };
}

test('the series of pods that are gone do not pile up', async () => {
  const registry = new Registry();
  let now = 0;
  const counter = new DeniedCounter(registry, () => now);
  const there = new Set<string>();
  const series = async (): Promise<readonly string[]> =>
    [...(await registry.metrics()).matchAll(/pod="([^"]*)",direction="(\w*)",mode="([\w-]+)"\} (\d+)/g)].map((match) =>
      match.slice(1).join(' '),
    );

  there.add('ns/stays');
  counter.add(entry('ns/stays'), 3);
  counter.add({ ...entry(''), reason: 'unknown-pod' }, 1);
  for (let pod = 0; pod < 1_000; pod += 1) {
    counter.add(entry(`ns/job-${pod}`), 1);
    counter.add(entry(`ns/job-${pod}`, 'would-deny'), 1);
  }
  now = 599_000;
  counter.add(entry('ns/job-7'), 4);
  counter.forget((pod) => there.has(pod));
  expect(await series()).toHaveLength(2_002);

  now = 601_000;
  counter.forget((pod) => there.has(pod));
  expect(await series()).toEqual([
    'stays ingress denied 3',
    ' ingress denied 1',
    'job-7 ingress denied 5',
    'job-7 ingress would-deny 1',
  ]);

  now = 9_000_000;
  counter.forget((pod) => there.has(pod));
  expect(await series()).toEqual(['stays ingress denied 3', ' ingress denied 1']);
});
