import * as fc from 'fast-check';
import type { Arbitrary } from 'fast-check';
import type { RawObject } from '../../oracle/question.ts';
import { arbPod, hostPodObject, podObject } from './pods.ts';
import type { Families, PodDraft } from './pods.ts';
import { arbPolicy, policyObject } from './policies.ts';
import {
  anyOf,
  arbLabels,
  hostSlots,
  namespaceNames,
  nodeAddresses,
  nodeNames,
  podSlots,
  present,
  weighted,
} from './roster.ts';
import type { PolicyOptions } from './rules.ts';

/** A cluster as raw objects. */
export interface GeneratedWorld {
  readonly families: Families;
  readonly objects: readonly RawObject[];
}

/** A small dense cluster. Without `invalid: false`, some policies hold pieces that the API server refuses. */
export function arbWorld(options: PolicyOptions = { invalid: true }): Arbitrary<GeneratedWorld> {
  return fc
    .record({
      families: weighted<Families>([5, fc.constant('dual')], [2, fc.constant('IPv4')], [2, fc.constant('IPv6')]),
      namespaces: fc.tuple(...namespaceNames.map(() => maybe(7, arbNamespaceLabels))),
      nodes: fc.tuple(...nodeNames.map(() => fc.boolean())),
      pods: fc.tuple(...podSlots.map(() => maybe(6, arbPod))),
      hostPods: fc.tuple(...hostSlots.map(() => maybe(1, arbPod))),
      policies: fc.array(arbPolicy(options), { minLength: 1, maxLength: 5, size: 'max' }),
    })
    .map(({ families, namespaces, nodes, pods, hostPods, policies }) => ({
      families,
      objects: [
        ...given(namespaces, (labels, index) => namespaceObject(namespaceNames[index]!, labels)),
        ...nodes.map((external, index) => nodeObject(nodeNames[index]!, families, external)),
        ...given(pods, (draft, index) => podObject(podSlots[index]!, index, draft, families)),
        ...given(hostPods, (draft, index) => hostPodObject(hostSlots[index]!, draft, families)),
        ...policies.map((draft, index) => policyObject(index, draft)),
      ],
    }));
}

/** Labels of a namespace; now and then a name label that lies, or none at all. */
export const arbNamespaceLabels: Arbitrary<unknown> = weighted<unknown>(
  [10, arbLabels],
  [1, anyOf<unknown>({ 'kubernetes.io/metadata.name': 'ghost' }, { 'kubernetes.io/metadata.name': 'x' })],
  [1, anyOf<unknown>(null, { app: null })],
);

/** A Namespace object. */
export function namespaceObject(name: string, labels: unknown): RawObject {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
}

/** A Pod object of any slot. */
export function slotObject(key: string, draft: PodDraft, families: Families): RawObject {
  const index = podSlots.findIndex((slot) => slot === key);
  return index < 0 ? hostPodObject(key, draft, families) : podObject(key, index, draft, families);
}

function nodeObject(name: 'n1' | 'n2', families: Families, external: boolean): RawObject {
  const { IPv4, IPv6, external: externalAddress } = nodeAddresses[name];
  const addresses = [
    { type: 'Hostname', address: name },
    ...(families === 'IPv6' ? [] : [{ type: 'InternalIP', address: IPv4 }]),
    ...(families === 'IPv4' ? [] : [{ type: 'InternalIP', address: IPv6 }]),
    ...(external && families !== 'IPv6' ? [{ type: 'ExternalIP', address: externalAddress }] : []),
  ];
  return { apiVersion: 'v1', kind: 'Node', metadata: { name }, status: present({ addresses }) };
}

/** Something that is there `weight` times out of `weight + 1`; shrinks to nothing. */
function maybe<T>(weight: number, arbitrary: Arbitrary<T>): Arbitrary<{ readonly value: T } | undefined> {
  return weighted<{ readonly value: T } | undefined>(
    [1, fc.constant(undefined)],
    [weight, arbitrary.map((value) => ({ value }))],
  );
}

function given<T>(
  slots: readonly ({ readonly value: T } | undefined)[],
  build: (value: T, index: number) => RawObject,
): readonly RawObject[] {
  return slots.flatMap((slot, index) => (slot === undefined ? [] : [build(slot.value, index)]));
}
