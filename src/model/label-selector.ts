/** Where a requirement is written inside its selector: a key of `matchLabels`, or an index of `matchExpressions`. */
export type RequirementOrigin =
  | { readonly kind: 'matchLabels'; readonly key: string }
  | { readonly kind: 'matchExpressions'; readonly index: number };

/** One condition of a selector. `matchLabels: {k: v}` is `k In [v]`. */
export interface Requirement {
  readonly key: string;
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  /** Sorted, no duplicates; empty for Exists and DoesNotExist. */
  readonly values: readonly string[];
  readonly origin: RequirementOrigin;
}

/**
 * A validated LabelSelector: all requirements hold (semantics 26).
 * None means "everything of its kind". `canonical` is equal for selectors of equal meaning and form.
 */
export interface LabelSelector {
  readonly requirements: readonly Requirement[];
  readonly canonical: string;
}

/** The canonical text of requirements: sorted, without their origin. Every part is JSON, so no text can imitate another. */
export function canonicalSelector(requirements: readonly Requirement[]): string {
  const texts = requirements.map(({ key, operator, values }) => JSON.stringify([key, operator, ...values]));
  return [...new Set(texts)].sort().join(';');
}

/** Builds a selector from its requirements. */
export function toLabelSelector(requirements: readonly Requirement[]): LabelSelector {
  return { requirements, canonical: canonicalSelector(requirements) };
}

/** The empty selector: matches everything of its kind. */
export const everything: LabelSelector = toLabelSelector([]);
