import type { FlowProtocol } from '../model/flow.ts';
import type { IpFamily } from '../model/ip.ts';
import type { Direction } from '../model/policy.ts';
import type { TableFamily } from '../compiler/ruleset.ts';
import type { Outcome } from './explanation.ts';

/** A rule that took part. */
export interface InstalledStep {
  readonly family: TableFamily;
  readonly chain: string;
  readonly handle: number | null;
  /** `accept`, `drop`, `reject`, `goto CHAIN`, `jump CHAIN`, `return`. */
  readonly verdict: string;
}

/** What one base chain of the node does with a flow. */
export interface InstalledChain {
  readonly node: string;
  readonly direction: Direction;
  /** The chain of the deciding rule; the chain `deny` behind it only carries it out. */
  readonly chain: string;
  readonly handle: number | null;
  readonly verdict: 'accept' | 'drop' | 'reject';
  /** Recorded packets of this flow, or packets the rule's counter saw; `null` if nobody counts. */
  readonly packets: number | null;
  /** Policy rules behind the deciding rule, `shop/web` and the rule from 1; `more` did not fit into its comment. */
  readonly rules: readonly { readonly policy: string; readonly direction: Direction; readonly rule: number }[];
  readonly more: number;
  /** The comment of a rule that is no policy's. */
  readonly comment?: string;
  /** Sets and maps that held the packet, and the element that did. */
  readonly lookups: readonly { readonly set: string; readonly element: string | null }[];
  readonly path: readonly InstalledStep[];
}

/** The kernel does not do what the policies say. */
export interface InstalledDifference {
  readonly node: string;
  readonly direction: Direction;
  readonly expected: 'allow' | 'deny';
  readonly found: 'allow' | 'deny';
  readonly text: string;
}

/** One flow as the node's rules treat it. */
export interface InstalledFlow {
  readonly from: string;
  readonly to: string;
  readonly protocol: FlowProtocol;
  /** The one that was compared. */
  readonly port: number | null;
  /** The ports it stands for, if the question names none: `any other port`. */
  readonly ports?: string;
  readonly family: IpFamily;
  /** What packets meet; `null` if the rules cannot be followed. */
  readonly verdict: Outcome | null;
  /** What the policies say. */
  readonly policiesSay: Outcome;
  readonly chains: readonly InstalledChain[];
  readonly differences: readonly InstalledDifference[];
  /** Why there are no chains to show. */
  readonly why?: string;
}

/** A packet's path as the kernel reported it, beside the one its listed rules promise. */
export interface TracedPath {
  /** `seen`: one packet was followed; `none`: none came in time; `established`: it belonged to a known connection. */
  readonly state: 'seen' | 'none' | 'established';
  readonly waitedSeconds: number;
  readonly kernel: readonly InstalledStep[];
  readonly simulated: readonly InstalledStep[];
  /** Both name the same rules in the same order. */
  readonly same: boolean;
}

/** What was found on a node. */
export interface Installed {
  readonly node: string;
  /** `absent`: nothing is enforced there. `no-agent`: nobody there could be asked. */
  readonly state: 'read' | 'absent' | 'no-agent';
  readonly flows: readonly InstalledFlow[];
  readonly warnings: readonly string[];
  readonly trace?: TracedPath;
}
