import { toLabelSelector } from '../label-selector.ts';
import type { LabelSelector, Requirement } from '../label-selector.ts';
import { compareText } from '../names.ts';
import type { FieldPath } from '../source-ref.ts';
import { onlyKnownFields, wrongType } from './fields.ts';
import type { Findings } from './findings.ts';
import { isLabelKey, isLabelValue } from './label-syntax.ts';
import { field, isRawList, isRawObject, showText, showType, showValue } from './raw-value.ts';
import type { RawObject } from './raw-value.ts';
import { suggest } from './suggest.ts';

const operators = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const;

/**
 * Reads a LabelSelector that is given (the caller handles missing and null). `undefined`: some part is refused,
 * and every refused part is reported. `effect` says what an invalid selector does in its place.
 */
export function decodeLabelSelector(
  raw: unknown,
  path: FieldPath,
  effect: string,
  findings: Findings,
): LabelSelector | undefined {
  if (!isRawObject(raw)) {
    wrongType(path, 'a map with matchLabels or matchExpressions', raw, effect, findings);
    return undefined;
  }
  const known = ['matchLabels', 'matchExpressions'];
  const clean = onlyKnownFields(raw, { place: 'a label selector', known, effect }, path, findings);
  const labels = decodeMatchLabels(field(raw, 'matchLabels'), [...path, 'matchLabels'], effect, findings);
  const expressions = decodeExpressions(
    field(raw, 'matchExpressions'),
    [...path, 'matchExpressions'],
    effect,
    findings,
  );
  return clean && labels !== undefined && expressions !== undefined
    ? toLabelSelector([...labels, ...expressions])
    : undefined;
}

function decodeMatchLabels(
  raw: unknown,
  path: FieldPath,
  effect: string,
  findings: Findings,
): Requirement[] | undefined {
  if (raw === undefined) return [];
  if (!isRawObject(raw)) {
    wrongType(path, 'a map of label keys to texts', raw, effect, findings);
    return undefined;
  }
  const requirements: Requirement[] = [];
  let valid = true;
  for (const [key, rawValue] of Object.entries(raw)) {
    const at = [...path, key];
    const keyValid = checkKey(key, at, effect, findings);
    const value = decodeValue(rawValue, at, effect, findings);
    if (!keyValid || value === undefined) valid = false;
    else requirements.push({ key, operator: 'In', values: [value], origin: { kind: 'matchLabels', key } });
  }
  return valid ? requirements : undefined;
}

function decodeExpressions(
  raw: unknown,
  path: FieldPath,
  effect: string,
  findings: Findings,
): Requirement[] | undefined {
  if (raw === undefined) return [];
  if (!isRawList(raw)) {
    wrongType(path, 'a list of expressions', raw, effect, findings);
    return undefined;
  }
  const requirements: Requirement[] = [];
  for (const [index, entry] of raw.entries()) {
    const requirement = decodeExpression(entry, index, [...path, index], effect, findings);
    if (requirement !== undefined) requirements.push(requirement);
  }
  return requirements.length === raw.length ? requirements : undefined;
}

function decodeExpression(
  raw: unknown,
  index: number,
  path: FieldPath,
  effect: string,
  findings: Findings,
): Requirement | undefined {
  if (!isRawObject(raw)) {
    wrongType(path, 'a map with key, operator and values', raw, effect, findings);
    return undefined;
  }
  const known = ['key', 'operator', 'values'];
  const clean = onlyKnownFields(raw, { place: 'a match expression', known, effect }, path, findings);
  const key = field(raw, 'key');
  let keyValid = false;
  if (key !== undefined && typeof key !== 'string') wrongType([...path, 'key'], 'a text', key, effect, findings);
  else keyValid = checkKey(key ?? '', [...path, 'key'], effect, findings);
  const operator = decodeOperator(raw, path, effect, findings);
  const values = decodeValues(raw, path, effect, findings);
  if (operator === undefined || values === undefined) return undefined;
  const listed = checkValueCount(operator, values.length, [...path, 'values'], effect, findings);
  if (!clean || !keyValid || !listed || typeof key !== 'string') return undefined;
  return {
    key,
    operator,
    values: [...new Set(values)].sort(compareText),
    origin: { kind: 'matchExpressions', index },
  };
}

function decodeOperator(
  raw: RawObject,
  path: FieldPath,
  effect: string,
  findings: Findings,
): Requirement['operator'] | undefined {
  const value = field(raw, 'operator');
  const operator = operators.find((known) => known === value);
  if (operator !== undefined) return operator;
  const meant = typeof value === 'string' ? suggest(value, operators) : undefined;
  findings.error(
    'D112',
    [...path, 'operator'],
    value === undefined ? 'the expression has no operator' : `unknown operator ${showValue(value)}`,
    `${meant === undefined ? `Operators are ${operators.join(', ')}.` : `Did you mean "${meant}"?`} The API server refuses the object. ${effect}`,
  );
  return undefined;
}

function decodeValues(raw: RawObject, path: FieldPath, effect: string, findings: Findings): string[] | undefined {
  const list = field(raw, 'values');
  if (list === undefined) return [];
  if (!isRawList(list)) {
    wrongType([...path, 'values'], 'a list of texts', list, effect, findings);
    return undefined;
  }
  const values: string[] = [];
  for (const [index, entry] of list.entries()) {
    const value = decodeValue(entry, [...path, 'values', index], effect, findings);
    if (value !== undefined) values.push(value);
  }
  return values.length === list.length ? values : undefined;
}

function checkValueCount(
  operator: Requirement['operator'],
  count: number,
  path: FieldPath,
  effect: string,
  findings: Findings,
): boolean {
  const needed = operator === 'In' || operator === 'NotIn';
  if (needed === count > 0) return true;
  findings.error(
    'D112',
    path,
    needed ? `${operator} needs at least one value` : `${operator} takes no values, but ${count} are given`,
    `The API server refuses the object. ${effect}`,
  );
  return false;
}

function checkKey(key: string, path: FieldPath, effect: string, findings: Findings): boolean {
  if (isLabelKey(key)) return true;
  findings.error(
    'D113',
    path,
    key === '' ? 'the label key is missing' : `${showText(key)} is no label key`,
    `A key is a name of at most 63 letters, digits, "-", "_" and ".", perhaps after a DNS name and "/". The API server refuses the object. ${effect}`,
  );
  return false;
}

/** A null value is the empty text, as the API server stores it (semantics 72). */
function decodeValue(raw: unknown, path: FieldPath, effect: string, findings: Findings): string | undefined {
  const value = raw ?? '';
  if (typeof value === 'string' && isLabelValue(value)) return value;
  findings.error(
    'D114',
    path,
    typeof value === 'string'
      ? `${showText(value)} is no label value`
      : `a label value must be a text, not ${showType(value)}`,
    `${typeof value === 'string' ? 'A value is empty or at most 63 letters, digits, "-", "_" and ".", letter or digit at both ends.' : 'Put it in quotes.'} The API server refuses the object. ${effect}`,
  );
  return undefined;
}
