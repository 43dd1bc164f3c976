import { everything } from '../model/label-selector.ts';
import type { LabelSelector } from '../model/label-selector.ts';
import type { NamespaceName } from '../model/names.ts';

/** Which namespaces a peer reaches: one by name, or those a selector matches. */
export type NamespaceScope =
  | { readonly kind: 'name'; readonly name: NamespaceName }
  | { readonly kind: 'selector'; readonly selector: LabelSelector };

/** A selector for pods in a scope of namespaces. Selectors of equal `canonical` have the same members. */
export interface PeerSelector {
  readonly namespaces: NamespaceScope;
  readonly pods: LabelSelector;
  readonly canonical: string;
}

/** Builds a peer selector with its canonical text. */
export function toPeerSelector(namespaces: NamespaceScope, pods: LabelSelector): PeerSelector {
  const scope = namespaces.kind === 'name' ? `name:${namespaces.name}` : `selector:${namespaces.selector.canonical}`;
  return { namespaces, pods, canonical: `${scope}|${pods.canonical}` };
}

/** Every pod of every namespace. */
export const allPods: PeerSelector = toPeerSelector({ kind: 'selector', selector: everything }, everything);
