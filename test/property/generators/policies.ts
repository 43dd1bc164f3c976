import * as fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import type { RawObject } from '../../oracle/question.ts';
import { anyOf, policyNamespaces, present, weighted } from './roster.ts';
import { arbSection } from './rules.ts';
import type { PolicyOptions } from './rules.ts';
import { arbInvalidSelector, arbPodSelector } from './selectors.ts';

/** A NetworkPolicy without its name. */
export interface PolicyDraft {
  readonly namespace: string;
  readonly spec: unknown;
}

const types = ['Ingress', 'Egress'] as const;

/** A policy in one of the namespaces, those nobody has seen included. */
export function arbPolicy(options: PolicyOptions): Arbitrary<PolicyDraft> {
  return fc.record({
    namespace: weighted<string>([8, anyOf('x', 'x', 'y')], [4, anyOf(...policyNamespaces)]),
    spec: arbSpec(options),
  });
}

/** The object of a draft. */
export function policyObject(index: number, draft: PolicyDraft): RawObject {
  const metadata = { name: `p${index}`, namespace: draft.namespace };
  return present({ apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata, spec: draft.spec });
}

function arbSpec(options: PolicyOptions): Arbitrary<unknown> {
  const podSelector = weighted<unknown>(
    [2, fc.constant({})],
    [1, anyOf<unknown>(undefined, null)],
    [7, arbPodSelector],
    ...(options.invalid ? [[1, arbInvalidSelector] as const] : []),
  );
  const policyTypes = weighted<unknown>(
    [4, fc.constant(undefined)],
    [2, anyOf<unknown>(null, [])],
    [5, anyOf([types[0]], [types[1]])],
    [3, anyOf([...types], [...types].reverse())],
    [1, anyOf([types[0], types[0]], [types[1], types[1]])],
    ...(options.invalid
      ? [[1, anyOf<unknown>('Ingress', ['ingress'], [null], [types[0], types[0], types[0]])] as const]
      : []),
  );
  const arbRecord = fc
    .record({
      podSelector,
      policyTypes,
      ingress: weighted([3, arbSection('ingress', options)], [1, fc.constant(undefined)]),
      egress: weighted([3, arbSection('egress', options)], [1, fc.constant(undefined)]),
    })
    .map(present);
  return weighted<unknown>(
    [30, arbRecord],
    [1, anyOf<unknown>({}, undefined, null)],
    ...(options.invalid
      ? [[1, arbRecord.map((spec) => ({ ...spec, ingres: [] }))] as const, [1, anyOf<unknown>('deny', [], 7)] as const]
      : []),
  );
}
