import type { LabelSelector, Requirement } from '../model/label-selector.ts';
import { every } from '../model/flow.ts';
import type { Answer } from '../model/flow.ts';
import type { Labels } from '../model/labels.ts';
import { namespaceNameLabel } from '../model/namespace.ts';
import type { NamespaceName } from '../model/names.ts';

/** Whether labels meet one requirement. NotIn and DoesNotExist hold for an absent key; an empty value is a value (semantics 27, 28). */
export function matchesRequirement(requirement: Requirement, labels: Labels): boolean {
  const value = labels.get(requirement.key);
  switch (requirement.operator) {
    case 'In':
      return value !== undefined && requirement.values.includes(value);
    case 'NotIn':
      return value === undefined || !requirement.values.includes(value);
    case 'Exists':
      return value !== undefined;
    case 'DoesNotExist':
      return value === undefined;
  }
}

/** Whether labels meet all requirements of a selector (semantics 26). */
export function matches(selector: LabelSelector, labels: Labels): boolean {
  return selector.requirements.every((requirement) => matchesRequirement(requirement, labels));
}

/**
 * Whether a namespace is selected. Of a namespace nobody has seen yet (`labels` absent) only its name is known,
 * through the label every namespace carries (semantics 24): other keys are undecidable.
 */
export function matchNamespace(selector: LabelSelector, name: NamespaceName, labels: Labels | undefined): Answer {
  return every(selector.requirements.map((requirement) => matchNamespaceRequirement(requirement, name, labels)));
}

/** One requirement of {@link matchNamespace}. */
export function matchNamespaceRequirement(
  requirement: Requirement,
  name: NamespaceName,
  labels: Labels | undefined,
): Answer {
  if (labels !== undefined) return matchesRequirement(requirement, labels) ? 'yes' : 'no';
  if (requirement.key !== namespaceNameLabel) return 'unknown';
  return matchesRequirement(requirement, new Map([[namespaceNameLabel, name]])) ? 'yes' : 'no';
}
