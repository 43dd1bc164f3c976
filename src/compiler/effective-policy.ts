import type { Endpoint } from '../model/endpoint.ts';
import type { Answer } from '../model/flow.ts';
import type { NetworkPolicy, Direction, IpBlock } from '../model/policy.ts';
import type { PolicyKey } from '../model/names.ts';
import type { PortMatch } from '../model/port.ts';
import type { PeerSelector } from '../selector/peer-selector.ts';

/** Which rule of which policy: `index` is the position in `spec.ingress` or `spec.egress`, from 0. */
export interface Provenance {
  readonly policy: PolicyKey;
  readonly direction: Direction;
  readonly index: number;
}

/** A peer of an allow rule, with its selectors completed by the policy's namespace. */
export type AllowPeer =
  | { readonly kind: 'pods'; readonly index: number; readonly selector: PeerSelector }
  | { readonly kind: 'block'; readonly index: number; readonly block: IpBlock }
  | { readonly kind: 'invalid'; readonly index: number };

/** One rule that may admit: a peer AND a port of it must match (semantics 14). */
export interface AllowRule {
  readonly provenance: Provenance;
  /** The whole rule was refused: it matches nothing. */
  readonly invalid: boolean;
  readonly peers: 'any' | readonly AllowPeer[];
  readonly ports: 'any' | readonly PortMatch[];
}

/** A policy that isolates the subject in one direction, with its rules for that direction. */
export interface SelectingPolicy {
  readonly policy: NetworkPolicy;
  /** `unknown` only when the subject's labels are (a question asked without a cluster). */
  readonly selects: Exclude<Answer, 'no'>;
  readonly rules: readonly AllowRule[];
}

/** One direction of an effective policy. Isolated exactly if some enforced policy selects the subject in it (semantics 3, 4). */
export interface EffectiveSection {
  readonly direction: Direction;
  readonly isolated: Answer;
  /** Policies that decide, sorted by key. */
  readonly policies: readonly SelectingPolicy[];
  /** Policies in audit mode, sorted by key: they record what they would deny and decide nothing. */
  readonly audits: readonly SelectingPolicy[];
}

/** All that decides one endpoint: the value that is lowered to rules and evaluated for people. */
export interface EffectivePolicy {
  readonly subject: Endpoint;
  readonly ingress: EffectiveSection;
  readonly egress: EffectiveSection;
}
