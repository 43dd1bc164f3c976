import type { PolicyKey } from '../model/names.ts';
import type { Change } from '../source/store.ts';

/** A ruleset handed over that is not in the kernel yet. */
interface Handed {
  /** The enforcer's number of the ruleset. */
  readonly ruleset: number;
  /** Generation of the objects it was made of. */
  readonly objects: number;
  /** When the oldest change in it was heard, in milliseconds; absent if only the node changed. */
  readonly sinceMs: number | undefined;
}

/** Rulesets on their way that are told apart. */
const maxPending = 100;

/** How far the kernel has followed the objects, and how long each batch of changes took to get there. */
export class Progress {
  #pending: Handed[] = [];
  #sinceMs: number | undefined;
  #appliedObjects: number | undefined;
  #appliedRuleset = 0;
  readonly #policies = new Map<PolicyKey, number>();

  /** A change of the store that made `generation`. */
  changed({ kind, before, after }: Change, generation: number, nowMs: number): void {
    if (kind === 'Pod' || kind === 'Namespace' || kind === 'NetworkPolicy') this.#sinceMs ??= nowMs;
    if (before?.kind === 'NetworkPolicy') this.#policies.delete(before.key);
    if (after?.kind === 'NetworkPolicy') this.#policies.set(after.key, generation);
  }

  /**
   * The enforcer was given ruleset number `ruleset`, made of the objects of one generation. The same number as before
   * means that the objects changed and the rules did not.
   */
  handed(ruleset: number, objects: number): void {
    if (ruleset <= this.#appliedRuleset) this.#appliedObjects = objects;
    else {
      // A kernel that takes nothing for hours: what waits longest stands for all that came since.
      const merged = this.#pending.length < maxPending ? undefined : this.#pending.pop();
      this.#pending.push({ ruleset, objects, sinceMs: merged?.sinceMs ?? this.#sinceMs });
    }
    this.#sinceMs = undefined;
  }

  /** Rulesets up to this number are in the kernel. Answers how long their changes took, in milliseconds. */
  applied(ruleset: number, nowMs: number): readonly number[] {
    this.#appliedRuleset = ruleset;
    const done = this.#pending.filter((handed) => handed.ruleset <= ruleset);
    if (done.length === 0) return [];
    this.#pending = this.#pending.filter((handed) => handed.ruleset > ruleset);
    this.#appliedObjects = done.at(-1)?.objects ?? this.#appliedObjects;
    return done.flatMap(({ sinceMs }) => (sinceMs === undefined ? [] : [nowMs - sinceMs]));
  }

  /** Generation of the newest objects that the kernel enforces; absent before the first apply. */
  get appliedObjects(): number | undefined {
    return this.#appliedObjects;
  }

  /** Generation in which a policy changed last; absent if there is no such policy. */
  policyGeneration(policy: PolicyKey): number | undefined {
    return this.#policies.get(policy);
  }
}
