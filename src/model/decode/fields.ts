import type { FieldPath } from '../source-ref.ts';
import type { Findings } from './findings.ts';
import { showText, showType } from './raw-value.ts';
import type { RawObject } from './raw-value.ts';
import { suggest } from './suggest.ts';

/** The fields the API knows in one place, and what a mistake there does. */
export interface FieldSet {
  /** `a peer`, for the message. */
  readonly place: string;
  readonly known: readonly string[];
  /** Fields that are known elsewhere, with where they belong: a common mistake of indentation. */
  readonly elsewhere?: ReadonlyMap<string, string>;
  /** What the decoder does about an unknown field: `This peer matches nothing.` */
  readonly effect: string;
}

/**
 * Reports every field the API does not know and answers whether there was none. The API server drops such
 * fields with a warning, which can open a policy to anyone (semantics 83); here they are refused (semantics 88).
 */
export function onlyKnownFields(object: RawObject, set: FieldSet, path: FieldPath, findings: Findings): boolean {
  let clean = true;
  for (const key of Object.keys(object)) {
    if (set.known.includes(key)) continue;
    clean = false;
    findings.error(
      'D101',
      [...path, key],
      `${set.place} has no field ${showText(key)}`,
      `${findings.full ? '' : fieldHint(key, set)} The API server would drop the field and keep the rest. ${set.effect}`,
    );
  }
  return clean;
}

function fieldHint(key: string, set: FieldSet): string {
  const home = set.elsewhere?.get(key);
  if (home !== undefined) return `It belongs ${home}: check the indentation.`;
  const word = suggest(key, set.known);
  return word === undefined ? `Known here: ${set.known.join(', ')}.` : `Did you mean "${word}"?`;
}

/** Reports a value of another JSON type than the API declares (semantics 82). */
export function wrongType(path: FieldPath, needed: string, value: unknown, effect: string, findings: Findings): void {
  const name = path.findLast((step) => typeof step === 'string') ?? 'object';
  const last = path.at(-1);
  const subject = typeof last === 'number' ? `entry ${last} of ${showText(name)}` : showText(name);
  findings.error(
    'D102',
    path,
    `${subject} must be ${needed}, not ${showType(value)}`,
    `The API server refuses the object. ${effect}`,
  );
}
