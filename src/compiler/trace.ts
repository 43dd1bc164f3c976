import type { Answer } from '../model/flow.ts';
import type { Requirement } from '../model/label-selector.ts';
import type { AllowPeer, AllowRule, SelectingPolicy } from './effective-policy.ts';
import type { PortMatch } from '../model/port.ts';

/** One written condition of a rule, as the evaluation met it. */
export type Condition =
  /** The rule or entry was refused and matches nothing. */
  | { readonly kind: 'invalid'; readonly answer: 'no' }
  /** A pod selector can only match pods of the pod network: the other end is something else (semantics 22). */
  | { readonly kind: 'pod'; readonly answer: Answer }
  /** A bare podSelector reaches the policy's own namespace only (semantics 18). */
  | { readonly kind: 'own-namespace'; readonly answer: Answer }
  | { readonly kind: 'namespace-label'; readonly requirement: Requirement; readonly answer: Answer }
  | { readonly kind: 'pod-label'; readonly requirement: Requirement; readonly answer: Answer }
  | { readonly kind: 'cidr'; readonly answer: Answer }
  /** `yes`: the exception does not take the address out. */
  | { readonly kind: 'except'; readonly index: number; readonly answer: Answer };

/** A peer with the answers of all its conditions. */
export interface PeerTrace {
  readonly peer: AllowPeer;
  readonly answer: Answer;
  readonly conditions: readonly Condition[];
}

/** A port entry with its answer; `numbers` are what a port name stands for on the destination pod. */
export interface PortTrace {
  readonly port: PortMatch;
  readonly answer: Answer;
  readonly numbers?: readonly number[];
}

/** A rule with every peer and port it was asked about. Empty lists: any peer, any port. */
export interface RuleTrace {
  readonly rule: AllowRule;
  readonly answer: Answer;
  readonly peers: readonly PeerTrace[];
  readonly ports: readonly PortTrace[];
}

/** What one policy answered. */
export interface PolicyTrace {
  readonly policy: SelectingPolicy;
  readonly answer: Answer;
  readonly rules: readonly RuleTrace[];
}

/** Receives what the evaluation looked at; with a tracer nothing is skipped, and the verdict is the same. */
export type Tracer = (trace: PolicyTrace) => void;
