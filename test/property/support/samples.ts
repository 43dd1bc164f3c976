import * as fc from 'fast-check';
import { createOracle } from '../../oracle/oracle.ts';
import type { Oracle } from '../../oracle/oracle.ts';
import type { Answer, Question, RawObject } from '../../oracle/question.ts';
import { field, isRecord, items } from '../../oracle/raw.ts';
import { arbScenario } from '../generators/flows.ts';
import type { Scenario } from '../generators/flows.ts';

/** A generated scenario with what the corners look at. */
export interface Sample {
  readonly scenario: Scenario;
  readonly pods: readonly RawObject[];
  readonly specs: readonly unknown[];
  readonly rules: readonly unknown[];
  readonly peers: readonly unknown[];
  readonly entries: readonly unknown[];
  readonly selectors: readonly unknown[];
  readonly asked: readonly (readonly [Question, Answer])[];
  readonly oracle: Oracle;
}

/** Whether a sample holds the corner. */
export type Corners = Readonly<Record<string, (sample: Sample) => boolean>>;

/** How many questions are drawn for each sample. */
export const drawnCount = 120;

/** Always the same samples. */
export function takeSamples(count: number): readonly Sample[] {
  return fc.sample(arbScenario(drawnCount), { numRuns: count, seed: 20_260_101 }).map(inspect);
}

function inspect(scenario: Scenario): Sample {
  const oracle = createOracle(scenario.objects);
  const specs = policiesOf(scenario).map((policy) => policy['spec']);
  const rules = specs.flatMap((spec) => [...items(field(spec, 'ingress')), ...items(field(spec, 'egress'))]);
  const peers = rules.flatMap((rule) => [...items(field(rule, 'from')), ...items(field(rule, 'to'))]);
  return {
    scenario,
    pods: ofKind(scenario, 'Pod'),
    specs,
    rules,
    peers,
    entries: rules.flatMap((rule) => items(field(rule, 'ports'))),
    selectors: [
      ...specs.map((spec) => field(spec, 'podSelector')),
      ...peers.flatMap((peer) => [field(peer, 'podSelector'), field(peer, 'namespaceSelector')]),
    ],
    asked: scenario.questions.map((question) => [question, oracle.ask(question)] as const),
    oracle,
  };
}

/** Objects of a kind. */
export function ofKind(scenario: Scenario, kind: string): readonly RawObject[] {
  return scenario.objects.filter((object) => object['kind'] === kind);
}

/** The policies of a scenario. */
export function policiesOf(scenario: Scenario): readonly RawObject[] {
  return ofKind(scenario, 'NetworkPolicy');
}

/** `metadata.name`. */
export function nameOf(object: RawObject): unknown {
  return field(field(object, 'metadata'), 'name');
}

/** `metadata.namespace`. */
export function namespaceOf(object: RawObject): unknown {
  return field(field(object, 'metadata'), 'namespace');
}

/** `metadata.labels`. */
export function labelsOf(object: RawObject): unknown {
  return field(field(object, 'metadata'), 'labels');
}

/** `status.phase`. */
export function phaseOf(pod: RawObject): unknown {
  return field(field(pod, 'status'), 'phase');
}

/** Succeeded or failed. */
export function isFinished(pod: RawObject): boolean {
  return phaseOf(pod) === 'Succeeded' || phaseOf(pod) === 'Failed';
}

/** The texts in `status.podIPs`. */
export function podIps(pod: RawObject): readonly unknown[] {
  return items(field(field(pod, 'status'), 'podIPs')).map((entry) => field(entry, 'ip'));
}

/** The names of an object's fields, sorted. */
export function keysOf(value: unknown): string | undefined {
  return isRecord(value) ? Object.keys(value).sort().join(',') : undefined;
}

/** Whether two values are the same JSON. */
export function equals(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
