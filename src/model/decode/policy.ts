import { everything } from '../label-selector.ts';
import type { LabelSelector } from '../label-selector.ts';
import { namespaceName, policyKey } from '../names.ts';
import type { Direction, NetworkPolicy, PolicyRule, PolicySection } from '../policy.ts';
import type { FieldPath, SourceRef } from '../source-ref.ts';
import { onlyKnownFields, wrongType } from './fields.ts';
import type { FieldSet } from './fields.ts';
import type { Findings } from './findings.ts';
import { decodeLabelSelector } from './label-selector.ts';
import type { Metadata } from './metadata.ts';
import { decodeMode } from './mode.ts';
import { field, isRawList, isRawObject, showValue } from './raw-value.ts';
import type { RawObject } from './raw-value.ts';
import { decodeRule } from './rules.ts';
import { suggest } from './suggest.ts';

const bothIsolated = 'The policy isolates its pods in both directions; its rules still count.';
const nothingAdmitted = 'The policy isolates every pod of its namespace and admits nothing.';

const objectFields: FieldSet = {
  place: 'a NetworkPolicy',
  known: ['apiVersion', 'kind', 'metadata', 'spec', 'status'],
  elsewhere: new Map([
    ['podSelector', 'in "spec"'],
    ['policyTypes', 'in "spec"'],
    ['ingress', 'in "spec"'],
    ['egress', 'in "spec"'],
  ]),
  effect: bothIsolated,
};

const specFields: FieldSet = {
  place: 'spec',
  known: ['podSelector', 'policyTypes', 'ingress', 'egress'],
  elsewhere: new Map([
    ['from', 'in an entry of "ingress"'],
    ['to', 'in an entry of "egress"'],
    ['ports', 'in an entry of "ingress" or "egress"'],
    ['matchLabels', 'in "podSelector"'],
    ['matchExpressions', 'in "podSelector"'],
  ]),
  effect: bothIsolated,
};

/** What a spec says, before it is one policy. */
interface Spec {
  readonly subjects: LabelSelector;
  readonly ingress: PolicySection;
  readonly egress: PolicySection;
}

/** Reads a NetworkPolicy. It always gives a policy: what is refused admits less, never more (semantics 84). */
export function decodePolicy(raw: RawObject, metadata: Metadata, source: SourceRef, findings: Findings): NetworkPolicy {
  const clean = onlyKnownFields(raw, objectFields, [], findings);
  const spec = decodeSpec(field(raw, 'spec'), !clean, findings);
  const mode = decodeMode(metadata.annotations, 'The policy is enforced.', findings);
  return {
    kind: 'NetworkPolicy',
    key: policyKey(metadata.namespace, metadata.name),
    namespace: namespaceName(metadata.namespace),
    name: metadata.name,
    uid: metadata.uid,
    ...spec,
    invalid: findings.errors > 0,
    mode,
    source,
  };
}

function decodeSpec(raw: unknown, isolateBoth: boolean, findings: Findings): Spec {
  const spec = raw ?? {};
  if (!isRawObject(spec)) {
    wrongType(['spec'], 'a map', raw, `${nothingAdmitted} This holds for both directions.`, findings);
    const closed: PolicySection = { isolates: true, rules: [] };
    return { subjects: everything, ingress: closed, egress: closed };
  }
  const clean = onlyKnownFields(spec, specFields, ['spec'], findings);
  const rawSelector = field(spec, 'podSelector');
  const subjects =
    rawSelector === undefined
      ? everything
      : decodeLabelSelector(rawSelector, ['spec', 'podSelector'], nothingAdmitted, findings);
  const types = decodePolicyTypes(field(spec, 'policyTypes'), findings);
  const both = isolateBoth || !clean || types === 'invalid';
  const section = (direction: Direction): PolicySection => {
    const rules = decodeSection(field(spec, direction), direction, findings);
    const named =
      types === 'default'
        ? direction === 'ingress' || (rules !== undefined && rules.length > 0)
        : types !== 'invalid' && types.has(direction);
    return {
      isolates: both || rules === undefined || named,
      rules: subjects === undefined ? [] : (rules ?? []),
    };
  };
  return { subjects: subjects ?? everything, ingress: section('ingress'), egress: section('egress') };
}

/** `undefined` if the section is no list: it then isolates and admits nothing, whatever policyTypes say (semantics 89). */
function decodeSection(raw: unknown, direction: Direction, findings: Findings): readonly PolicyRule[] | undefined {
  if (raw === undefined) return [];
  const path: FieldPath = ['spec', direction];
  if (!isRawList(raw)) {
    wrongType(path, 'a list of rules', raw, `The policy isolates ${direction} and admits nothing there.`, findings);
    return undefined;
  }
  return Array.from(raw, (rule, index) => decodeRule(rule, direction, index, [...path, index], findings));
}

/** Missing, null and empty mean the default (semantics 11); anything refused isolates both directions (semantics 87). */
function decodePolicyTypes(raw: unknown, findings: Findings): 'default' | 'invalid' | ReadonlySet<Direction> {
  if (raw === undefined) return 'default';
  const path: FieldPath = ['spec', 'policyTypes'];
  if (!isRawList(raw)) {
    wrongType(path, 'a list of "Ingress" and "Egress"', raw, bothIsolated, findings);
    return 'invalid';
  }
  if (raw.length === 0) return 'default';
  const types = new Set<Direction>();
  let valid = true;
  for (const [index, entry] of raw.entries()) {
    if (entry === 'Ingress') types.add('ingress');
    else if (entry === 'Egress') types.add('egress');
    else {
      valid = false;
      reportPolicyType(entry, [...path, index], findings);
    }
  }
  if (raw.length > 2) {
    valid = false;
    findings.error(
      'D103',
      path,
      `policyTypes has ${raw.length} entries, at most two are allowed`,
      `The API server refuses the object. ${bothIsolated}`,
    );
  }
  return valid ? types : 'invalid';
}

function reportPolicyType(entry: unknown, path: FieldPath, findings: Findings): void {
  const meant = typeof entry === 'string' ? suggest(entry, ['Ingress', 'Egress']) : undefined;
  findings.error(
    'D103',
    path,
    `unknown policy type ${showValue(entry)}`,
    `${meant === undefined ? 'Types are "Ingress" and "Egress".' : `Did you mean "${meant}"?`} The API server refuses the object. ${bothIsolated}`,
  );
}
