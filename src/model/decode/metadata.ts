import type { Labels } from '../labels.ts';
import type { FieldPath, SourceRef } from '../source-ref.ts';
import type { Findings } from './findings.ts';
import { isDnsLabel, isLabelKey, isLabelValue, isSubdomain } from './label-syntax.ts';
import { field, isRawObject, showText, showType } from './raw-value.ts';
import type { RawObject } from './raw-value.ts';
import { wrongType } from './fields.ts';

/** Kinds the engine reads. */
export type DecodedKind = 'Namespace' | 'Node' | 'Pod' | 'Service' | 'NetworkPolicy';

/** What every object says about itself. Labels and annotations are left raw: not every kind needs them. */
export interface Metadata {
  readonly name: string;
  /** `default` where a file leaves it out (semantics 75); empty for Namespace and Node. */
  readonly namespace: string;
  /** `metadata.uid`; a file without one gets `Kind/namespace/name`. */
  readonly uid: string;
  readonly labels: unknown;
  readonly annotations: unknown;
  readonly ownerReferences: unknown;
  /** Milliseconds since the epoch, 0 if unknown. */
  readonly createdAtMs: number;
  readonly terminating: boolean;
}

const ignored = 'The object is ignored.';

/**
 * Reads `metadata`. `undefined`: the object has no usable identity. Only a NetworkPolicy without a usable name is kept,
 * under a name made from its position: leaving it out would open the pods it means to isolate (semantics 84).
 */
export function decodeMetadata(
  object: RawObject,
  kind: DecodedKind,
  source: SourceRef,
  findings: Findings,
): Metadata | undefined {
  const raw = field(object, 'metadata') ?? {};
  if (!isRawObject(raw)) {
    wrongType(['metadata'], 'a map', raw, ignored, findings);
    return undefined;
  }
  const clusterScoped = kind === 'Namespace' || kind === 'Node';
  const namespace = clusterScoped ? '' : decodeNamespace(field(raw, 'namespace'), findings);
  const name = decodeName(field(raw, 'name'), kind, source, findings);
  if (namespace === undefined || name === undefined) return undefined;
  const uid = field(raw, 'uid');
  const key = clusterScoped ? name : `${namespace}/${name}`;
  return {
    name,
    namespace,
    uid: typeof uid === 'string' && uid !== '' ? uid : `${kind}/${key}`,
    labels: field(raw, 'labels'),
    annotations: field(raw, 'annotations'),
    ownerReferences: field(raw, 'ownerReferences'),
    createdAtMs: decodeTime(field(raw, 'creationTimestamp'), ['metadata', 'creationTimestamp'], findings),
    terminating: field(raw, 'deletionTimestamp') !== undefined,
  };
}

/** `Kind namespace/name` as far as it can be read, for messages about an object whose metadata may be wrong. */
export function describeObject(object: RawObject, kind: string): string {
  const raw = field(object, 'metadata');
  if (!isRawObject(raw)) return kind;
  const name = field(raw, 'name');
  if (typeof name !== 'string' || name === '') return kind;
  const shown = isSubdomain(name) ? name : showText(name);
  if (kind === 'Namespace' || kind === 'Node') return `${kind} ${shown}`;
  const namespace = field(raw, 'namespace') ?? 'default';
  if (typeof namespace !== 'string') return `${kind} ${shown}`;
  return `${kind} ${isDnsLabel(namespace) ? namespace : namespace === '' ? 'default' : showText(namespace)}/${shown}`;
}

function decodeNamespace(raw: unknown, findings: Findings): string | undefined {
  const path: FieldPath = ['metadata', 'namespace'];
  if (raw === undefined || raw === '') return 'default';
  if (typeof raw !== 'string') {
    wrongType(path, 'a text', raw, `${ignored} Nobody can tell which namespace it is meant for.`, findings);
    return undefined;
  }
  if (isDnsLabel(raw)) return raw;
  findings.error(
    'D006',
    path,
    `${showText(raw)} is no namespace name`,
    `A name has at most 63 lower-case letters, digits and inner hyphens. No such namespace can exist. ${ignored}`,
  );
  return undefined;
}

function decodeName(raw: unknown, kind: DecodedKind, source: SourceRef, findings: Findings): string | undefined {
  const path: FieldPath = ['metadata', 'name'];
  const policy = kind === 'NetworkPolicy';
  if (typeof raw !== 'string' || raw === '') {
    const effect = policy ? 'The policy is applied under a name made from its position.' : ignored;
    if (raw === undefined || raw === '') {
      findings.error('D003', path, `the ${kind} has no name`, `Set metadata.name. ${effect}`);
    } else {
      wrongType(path, 'a text', raw, effect, findings);
    }
    return policy ? positionName(source) : undefined;
  }
  if (kind === 'Namespace' ? isDnsLabel(raw) : isSubdomain(raw)) return raw;
  findings.error(
    'D005',
    path,
    `${showText(raw)} is no name of a ${kind}`,
    `A name has lower-case letters, digits, inner hyphens${kind === 'Namespace' ? '' : ' and dots'}. The API server refuses the object. ${policy ? 'The policy is applied.' : ignored}`,
  );
  if (!policy) return undefined;
  // Names become comments of rules and parts of keys: no slash, space, quote or control character.
  return encodeURIComponent(raw.toWellFormed());
}

/** Unique per place, without a slash, so that two nameless policies cannot replace each other. */
function positionName(source: SourceRef): string {
  if (source.kind === 'cluster') return `unnamed-${encodeURIComponent(source.resourceVersion.toWellFormed())}`;
  const item = source.item === undefined ? '' : `-${source.item}`;
  return `unnamed-${encodeURIComponent(source.file.toWellFormed())}-${source.document}${item}`;
}

function decodeTime(raw: unknown, path: FieldPath, findings: Findings): number {
  if (raw === undefined) return 0;
  const form = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;
  const time = typeof raw === 'string' && form.test(raw) ? Date.parse(raw) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  findings.warning(
    'D204',
    path,
    `${showType(raw)} is no time`,
    'Write it as "2006-01-02T15:04:05Z". The object counts as older than every other.',
  );
  return 0;
}

/** Labels without a finding of maps that cannot change: sources give the same map to all pods that have it. */
const knownLabels = new WeakMap<RawObject, Labels>();

/**
 * Reads labels. `undefined`: some value is no text. Guessing one could turn a NotIn, so the caller must not use
 * the object. Texts the API server would refuse are kept: they compare like any other.
 */
export function decodeLabels(raw: unknown, findings: Findings): Labels | undefined {
  const path: FieldPath = ['metadata', 'labels'];
  if (raw === undefined) return new Map();
  if (!isRawObject(raw)) {
    wrongType(path, 'a map of label keys to texts', raw, ignored, findings);
    return undefined;
  }
  const known = knownLabels.get(raw);
  if (known !== undefined) return known;
  const labels = new Map<string, string>();
  let valid = true;
  let flawless = true;
  for (const [key, rawValue] of Object.entries(raw)) {
    const value = rawValue ?? '';
    if (typeof value !== 'string') {
      valid = false;
      flawless = false;
      findings.error(
        'D114',
        [...path, key],
        `a label value must be a text, not ${showType(value)}`,
        `Put it in quotes. The API server refuses the object. ${ignored}`,
      );
      continue;
    }
    if (!isLabelKey(key) || !isLabelValue(value)) {
      flawless = false;
      findings.warning(
        isLabelKey(key) ? 'D114' : 'D113',
        [...path, key],
        `${showText(isLabelKey(key) ? value : key)} is no label ${isLabelKey(key) ? 'value' : 'key'}`,
        'The API server refuses the object. Here the label is compared as it is written.',
      );
    }
    labels.set(key, value);
  }
  if (flawless && Object.isFrozen(raw)) knownLabels.set(raw, labels);
  return valid ? labels : undefined;
}
