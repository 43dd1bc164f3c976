import { expect, test } from 'vitest';

import type { ControllerStatus } from '../controller/controller.ts';
import type { EnforcerStatus } from '../enforcer/enforcer.ts';
import { ready } from './health.ts';
import { troublesOf } from './troubles.ts';

const controller: ControllerStatus = {
  inSync: true,
  refusals: [],
  interfaceProblems: [],
  bindings: [],
  nodeDns: [],
  settingsRepaired: 0,
  hostProblem: 'ip -j: not found: install it',
};
const enforcer: EnforcerStatus = {
  desiredGeneration: 0,
  appliedGeneration: 0,
  lastApply: undefined,
  problems: [],
  driftRepaired: 0,
  tables: [],
  verifiedAt: undefined,
};

test('a node that cannot be looked at is told at the node, with what that means', () => {
  const { hostProblem: _, ...fine } = controller;
  expect(troublesOf('n', fine, enforcer)).toEqual([]);
  expect(troublesOf('n', controller, enforcer)).toMatchObject([
    {
      about: { kind: 'Node', name: 'n' },
      reason: 'PolicyNodeUnobservable',
      message: expect.stringMatching(/^the node cannot be observed: ip -j: not found: install it; no rules/) as string,
    },
  ]);
  expect(troublesOf('n', controller, { ...enforcer, appliedGeneration: 1 })).toMatchObject([
    { message: expect.stringContaining('pods that start now stay closed') as string },
  ]);
});

test('and keeps the agent from being ready for the first time, with the reason', () => {
  const insight = {
    store: { inSync: () => true },
    controller: { status: () => controller },
    enforcer: { status: () => enforcer },
    coldStart: () => false,
  } as unknown as Parameters<typeof ready>[0];
  expect(ready(insight)).toEqual({
    ok: false,
    reason: 'not in the kernel yet: the node cannot be observed: ip -j: not found: install it',
  });
});
