import type { EnforcementOptions } from '../compiler/options.ts';
import type { InterfaceProblem } from '../host/interfaces.ts';
import type { Refusal } from '../host/network-plugin.ts';

/** How the node stands, in one word. */
export type NodeState =
  /** Objects are still being read; what was in the kernel before stays. */
  | 'syncing'
  /** Enforced from the objects kept on disk, because the API server has not sent all objects and the kernel was empty. */
  | 'cold-start'
  | 'enforcing'
  /** The node cannot be policed; nothing is written. */
  | 'refused'
  /** The newest rules could not be written; the older ones hold. */
  | 'failing';

/** One side of a pod: whether policy isolates it there, and which. */
export interface PodSection {
  readonly isolated: boolean;
  /** Policies that decide, `namespace/name`. */
  readonly policies: readonly string[];
  /** Policies in audit mode: recorded only. */
  readonly audits: readonly string[];
}

/** A pod of this node whose traffic is judged. */
export interface EnforcedPod {
  readonly pod: string;
  readonly uid: string;
  readonly interface: string;
  readonly addresses: readonly string[];
  readonly attachment: 'routed' | 'bridged';
  readonly ingress: PodSection;
  readonly egress: PodSection;
}

/** What one node enforces, since when, and what is wrong. Times are ISO 8601. */
export interface StatusReport {
  readonly schema: 'nftpolicy.dev/status/v1';
  readonly node: string;
  readonly version: string;
  /** Version of the nft that the agent runs; absent if it did not answer at the start. */
  readonly nft?: string;
  readonly startedAt: string;
  readonly state: NodeState;
  readonly ready: boolean;
  readonly options: EnforcementOptions;
  /** Where DNS on the node stays reachable; only while egress to the node is policed. */
  readonly nodeDns?: readonly string[];
  /** Generations count changes of objects since this agent started. */
  readonly generation: { readonly objects: number; readonly applied?: number };
  /** When this agent first had everything in the kernel. */
  readonly enforcingSince?: string;
  readonly lastApply?: { readonly ok: boolean; readonly at: string; readonly error?: string };
  /** When the kernel's tables were last listed and compared. */
  readonly verifiedAt?: string;
  readonly driftRepaired: number;
  /** How often `bridge-nf-call-*` was found off and switched on. */
  readonly settingsRepaired: number;
  readonly source: {
    readonly from: string;
    readonly kinds: readonly {
      readonly kind: string;
      readonly state: string;
      readonly synced: boolean;
      readonly objects: number;
      readonly lastHeardAt?: string;
      /** Resource version up to which everything of this kind is known. */
      readonly version?: string;
      readonly problem?: string;
    }[];
  };
  readonly refusals: readonly Refusal[];
  readonly hostProblem?: string;
  readonly pods: readonly EnforcedPod[];
  /** Pods that stay closed because their interface is not certain. */
  readonly closedPods: readonly Pick<InterfaceProblem, 'pod' | 'uid' | 'code' | 'message' | 'help'>[];
  /** What is not in the kernel, and the pods that are closed because of it. */
  readonly problems: readonly {
    readonly kind: string;
    readonly object?: string;
    readonly message: string;
    readonly pods: readonly string[];
  }[];
  /** Problems in objects, by severity. */
  readonly diagnostics: { readonly errors: number; readonly warnings: number };
  /** The first of them: errors first, at most {@link maxObjectProblems}. */
  readonly objectProblems: readonly ObjectProblem[];
  /** The policy that was asked for. */
  readonly policy?: {
    readonly policy: string;
    readonly known: boolean;
    readonly generation?: number;
    /** Of the version known here; absent for objects from files. */
    readonly resourceVersion?: string;
    /** The newest state of it that is known here is in the kernel. */
    readonly applied: boolean;
    /** Why less is admitted than is written. */
    readonly problems: readonly string[];
  };
}

/** Something wrong with an object: what, where, and what it does. */
export interface ObjectProblem {
  readonly code: string;
  readonly severity: 'error' | 'warning';
  readonly message: string;
  readonly help?: string;
  /** `NetworkPolicy shop/database`. */
  readonly object?: string;
  /** `spec.ingress[0]`. */
  readonly field?: string;
  /** `file:line:column`. */
  readonly place?: string;
}

/** Most problems that a report lists one by one. */
export const maxObjectProblems = 100;

/** What `policy status` tells when no agent answers: what the kernel holds. */
export interface UnattendedReport {
  readonly schema: StatusReport['schema'];
  /** Why there is no answer. */
  readonly agent: string;
  /** Our tables. */
  readonly tables: readonly {
    readonly family: 'inet' | 'bridge';
    readonly chains: number;
    readonly podChains: number;
    readonly sets: number;
    readonly maps: number;
  }[];
}
