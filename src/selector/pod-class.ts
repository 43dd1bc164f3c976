import type { Endpoint } from '../model/endpoint.ts';
import type { IpAddress } from '../model/ip.ts';
import type { LabelSelector } from '../model/label-selector.ts';
import type { Labels } from '../model/labels.ts';
import type { NamespaceName } from '../model/names.ts';
import { AnchorIndex } from './anchor-index.ts';
import type { NamespaceScope, PeerSelector } from './peer-selector.ts';

/** No addresses. */
export const noAddresses: readonly IpAddress[] = [];
const noSelectors: readonly ActiveSelector[] = [];
const noScopes: readonly Scope[] = [];

/** A pod that policy can select. It is in a class exactly while it owns an address. */
export class PodEntry {
  pod: Endpoint;
  /** Addresses of the pod that are no other pod's. */
  owned: readonly IpAddress[] = noAddresses;
  class: PodClass | undefined = undefined;
  /** Position in the class. */
  slot = -1;
  /** Policy can select it no more. */
  gone = false;

  constructor(pod: Endpoint) {
    this.pod = pod;
  }
}

/** Pods of one namespace that no active selector can tell apart. Never empty once it is filled. */
export class PodClass {
  readonly namespace: NamespaceEntry;
  /** The projected labels as text, unique in the namespace. */
  readonly key: string;
  readonly pods: PodEntry[] = [];
  /** Active selectors that match, sorted by id. The list is replaced, never changed in place. */
  selectors: readonly ActiveSelector[] = noSelectors;

  constructor(namespace: NamespaceEntry, key: string) {
    this.namespace = namespace;
    this.key = key;
  }

  /** Labels of any of its pods: all agree on the relevant keys. */
  get labels(): Labels | undefined {
    return this.pods[0]?.pod.labels;
  }
}

/** A namespace that is known or has pods that own addresses. */
export class NamespaceEntry {
  readonly name: NamespaceName;
  /** Absent: nobody has seen the namespace, only pods in it. */
  labels: Labels | undefined;
  readonly classes: Map<string, PodClass> = new Map();
  /** Scopes that reach the namespace. The list is replaced, never changed in place. */
  scopes: readonly Scope[] = noScopes;

  constructor(name: NamespaceName, labels: Labels | undefined) {
    this.name = name;
    this.labels = labels;
  }
}

/** A scope of namespaces that active selectors share. */
export class Scope {
  readonly key: string;
  readonly reach: NamespaceScope;
  readonly namespaces: Set<NamespaceEntry> = new Set();
  /** Linked selectors of this scope. */
  readonly selectors: AnchorIndex<ActiveSelector> = new AnchorIndex();
  uses = 0;

  constructor(key: string, reach: NamespaceScope) {
    this.key = key;
    this.reach = reach;
  }
}

/** A peer selector that some set uses, with the classes it matches. */
export class ActiveSelector {
  readonly id: number;
  readonly selector: PeerSelector;
  readonly scope: Scope;
  readonly classes: Set<PodClass> = new Set();
  uses = 0;

  constructor(id: number, selector: PeerSelector, scope: Scope) {
    this.id = id;
    this.selector = selector;
    this.scope = scope;
  }

  get pods(): LabelSelector {
    return this.selector.pods;
  }
}
