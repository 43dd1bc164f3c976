import type { Ruleset } from '../compiler/ruleset.ts';
import type { NodeShape, PodBinding } from '../model/binding.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { IpAddress } from '../model/ip.ts';
import type { Change } from '../source/store.ts';

/** Turns object changes and host facts into the ruleset this node should have. */
export interface RulesetCompiler {
  /** Takes one change of the store. */
  changed(change: Change): void;
  /** Takes the interfaces of local pods and the shape of the node's network. */
  setHost(bindings: readonly PodBinding[], shape: NodeShape): void;
  /** What the kernel should hold now. */
  ruleset(): Ruleset;
  /** Pods the API places on this node that policy can select, each with the addresses it owns (semantics 49). */
  localPods(): readonly Endpoint[];
  /** The pod of the cluster that owns an address. */
  owner(address: IpAddress): Endpoint | undefined;
}
