import type { Cidr } from './cidr.ts';
import type { LabelSelector } from './label-selector.ts';
import type { NamespaceName, PolicyKey } from './names.ts';
import type { PortMatch } from './port.ts';
import type { SourceRef } from './source-ref.ts';

/** Seen from the pod a policy selects. */
export type Direction = 'ingress' | 'egress';

/** Egress first: the order in which a packet meets them. */
export const directions: readonly Direction[] = ['egress', 'ingress'];

/** An `ipBlock`: addresses in `cidr` and in no `except` (semantics 29). */
export interface IpBlock {
  readonly cidr: Cidr;
  readonly except: readonly { readonly cidr: Cidr; readonly index: number }[];
}

/** One entry of `from` or `to`. */
export type PolicyPeer =
  /** At least one selector is given. Absent `namespaceSelector`: the policy's own namespace (semantics 18). */
  | {
      readonly kind: 'pods';
      readonly index: number;
      readonly namespaceSelector?: LabelSelector;
      readonly podSelector?: LabelSelector;
    }
  | { readonly kind: 'block'; readonly index: number; readonly block: IpBlock }
  /** Refused by validation: matches nothing (semantics 85). */
  | { readonly kind: 'invalid'; readonly index: number };

/** One item of `spec.ingress` or `spec.egress`, after normalisation (semantics 72). */
export interface PolicyRule {
  /** Zero-based position in the list as written. */
  readonly index: number;
  /** `any`: the list is missing, null or empty (semantics 15). */
  readonly peers: 'any' | readonly PolicyPeer[];
  /** `any`: every port of every protocol (semantics 16). */
  readonly ports: 'any' | readonly PortMatch[];
  /** The rule as a whole is invalid and matches nothing. */
  readonly invalid: boolean;
}

/** What a policy does in one direction. */
export interface PolicySection {
  /** The policy isolates the pods it selects in this direction (semantics 10-12). */
  readonly isolates: boolean;
  /** Rules as written; they admit only if `isolates`. Empty after the fail-closed readings (semantics 86, 89). */
  readonly rules: readonly PolicyRule[];
}

/** A NetworkPolicy as the engine sees it: defaulted, normalised, with invalid pieces marked. */
export interface NetworkPolicy {
  readonly kind: 'NetworkPolicy';
  readonly key: PolicyKey;
  readonly namespace: NamespaceName;
  readonly name: string;
  readonly uid: string;
  /** Pods of the policy's namespace it isolates. {@link everything} if the selector is invalid (semantics 86). */
  readonly subjects: LabelSelector;
  readonly ingress: PolicySection;
  readonly egress: PolicySection;
  /** Some piece was refused; the diagnostics say which. */
  readonly invalid: boolean;
  /** `nftpolicy.dev/mode: audit`: would-deny is recorded, nothing is dropped for this policy alone. */
  readonly mode: 'enforce' | 'audit';
  readonly source: SourceRef;
}
