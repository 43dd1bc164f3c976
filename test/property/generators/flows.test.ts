import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createOracle } from '../../oracle/oracle.ts';
import type { Question } from '../../oracle/question.ts';
import { drawnCount, takeSamples } from '../support/samples.ts';
import type { Corners, Sample } from '../support/samples.ts';
import { arbFlow, arbFlows } from './flows.ts';
import { arbWorld } from './world.ts';

const kinds = ['pod', 'node', 'outside'] as const;

const flowCorners: Corners = {
  ...Object.fromEntries(
    kinds.flatMap((from) =>
      kinds
        .filter((to) => from === 'pod' || to === 'pod')
        .flatMap((to) =>
          (['allow', 'deny'] as const).map((verdict) => [
            `${from} to ${to}: ${verdict}`,
            ({ asked, oracle }: Sample) =>
              asked.some(
                ([question, answer]) =>
                  oracle.kindOf(question.from) === from &&
                  oracle.kindOf(question.to) === to &&
                  answer.verdict === verdict,
              ),
          ]),
        ),
    ),
  ),
  ...Object.fromEntries(
    ['TCP', 'UDP', 'SCTP', 'ICMP'].flatMap((protocol) =>
      ['allow', 'deny'].map((verdict) => [
        `${protocol}: ${verdict}`,
        ({ asked }: Sample) =>
          asked.some(([question, answer]) => question.protocol === protocol && answer.verdict === verdict),
      ]),
    ),
  ),
  'both sides deny': ({ asked }) => asked.some(([, answer]) => answer.egress === 'deny' && answer.ingress === 'deny'),
  'a pair of pods with different answers by family': ({ asked, oracle }) =>
    asked.some(([question, answer]) => {
      const twin: Question = { ...question, family: question.family === 'IPv4' ? 'IPv6' : 'IPv4' };
      return oracle.canAsk(twin) && oracle.ask(twin).verdict !== answer.verdict;
    }),
  'a pod to itself': ({ asked }) => asked.some(([question]) => question.from === question.to),
  'an address of a pod as an end': ({ asked, oracle }) =>
    asked.some(([question]) => !question.to.includes('/') && oracle.kindOf(question.to) === 'pod'),
  'an address of a node as an end': ({ asked }) => asked.some(([question]) => question.from === '203.0.113.1'),
};

// A generator whose corners vanish keeps every property green: each must turn up in 300 samples.

const samples = takeSamples(300);

describe('generated flows hold', () => {
  test.each(Object.entries(flowCorners))('%s', (_name, seen) => {
    expect(samples.some(seen)).toBe(true);
  });
});

test('at least a third of the drawn questions can be asked, and a fifth of those are denied', () => {
  const answers = samples.flatMap((sample) => sample.asked.map(([, answer]) => answer.verdict));
  expect(answers.length).toBeGreaterThan((samples.length * drawnCount) / 3);
  expect(answers.filter((verdict) => verdict === 'deny').length).toBeGreaterThan(answers.length / 5);
});

test('a flow of a world can be asked there', () => {
  const [world] = fc.sample(arbWorld(), { numRuns: 1, seed: 5 });
  const oracle = createOracle(world!.objects);
  expect(fc.sample(arbFlow(world!), { numRuns: 50, seed: 5 }).every((flow) => oracle.canAsk(flow))).toBe(true);
  expect(fc.sample(arbFlows(world!, 7), { numRuns: 1, seed: 5 })[0]).toHaveLength(7);
});
