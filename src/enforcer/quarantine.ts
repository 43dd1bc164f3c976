/** Objects that the kernel refused: left out until they change, and their pods closed. */
import type { Ruleset } from '../compiler/ruleset.ts';
import type { Culprit } from './culprits.ts';
import { partText, withhold } from './withhold.ts';
import type { ClosedElement, Part } from './withhold.ts';

/**
 * Something that is not enforced as desired.
 * - `refused`: a part of the ruleset is left out; `closed` dispatch elements drop everything.
 * - `not-applied`: nothing of the newest ruleset is in the kernel; the rules before it are.
 * - `unrecognised`: the rules were written, but cannot be recognised in listings.
 * - `defect`: the enforcer failed on the newest ruleset; the rules stay. It tries again, and any newer one at once.
 */
export interface Problem {
  readonly kind: 'refused' | 'not-applied' | 'unrecognised' | 'defect';
  /** The part that was refused, as `FAMILY KIND NAME`. */
  readonly object?: string;
  /** Code of the NftError. */
  readonly code?: string;
  readonly message: string;
  /** What fails closed because of it. */
  readonly closed: readonly ClosedElement[];
}

interface Entry {
  readonly culprit: Culprit;
  /** The value that was refused: another one gets its chance. */
  readonly value: unknown;
}

/** The refused parts of the current ruleset. */
export class Quarantine {
  #entries: readonly Entry[] = [];
  #problems: readonly Problem[] = [];

  /** One problem per refused part, in the order in which they were found. */
  get problems(): readonly Problem[] {
    return this.#problems;
  }

  /** Adds parts of `desired` that were refused. */
  add(desired: Ruleset, culprits: readonly Culprit[]): void {
    this.#entries = [
      ...this.#entries,
      ...culprits.map((culprit) => ({ culprit, value: valueOf(desired, culprit.part) })),
    ];
  }

  /** What of `desired` can be enforced; undefined when that cannot be made closed. Forgets parts that changed. */
  enforceable(desired: Ruleset): Ruleset | undefined {
    if (this.#entries.length === 0) return desired;
    this.#entries = this.#entries.filter(({ culprit, value }) => {
      const present = valueOf(desired, culprit.part);
      return present !== undefined && present === value;
    });
    const parts = this.#entries.map(({ culprit }) => culprit.part);
    const rest = withhold(desired, parts);
    this.#problems = this.#entries.map(({ culprit }) => ({
      kind: 'refused',
      object: partText(culprit.part),
      code: culprit.error.code,
      message: culprit.error.message,
      closed: withhold(desired, [culprit.part])?.closed ?? [],
    }));
    return rest?.ruleset;
  }
}

function valueOf(desired: Ruleset, part: Part): unknown {
  const table = desired.get(part.family);
  if (part.kind !== 'element') return part.kind === 'set' ? table?.sets.get(part.name) : table?.chains.get(part.name);
  const map = table?.maps.get(part.name);
  if (map === undefined) return table?.sets.get(part.name)?.elements.has(part.key) === true ? part.key : undefined;
  const verdict = map.elements.get(part.key);
  return verdict?.kind === 'goto' ? verdict.chain : verdict?.kind;
}
