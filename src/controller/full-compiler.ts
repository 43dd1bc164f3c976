import { compileNode } from '../compiler/compile.ts';
import type { EnforcementOptions } from '../compiler/options.ts';
import type { Ruleset } from '../compiler/ruleset.ts';
import type { NodeShape, PodBinding } from '../model/binding.ts';
import type { ClusterSnapshot } from '../model/snapshot.ts';
import type { Change } from '../source/store.ts';

/** Turns object changes and host facts into the ruleset this node should have. */
export interface RulesetCompiler {
  /** Takes one change of the store. */
  changed(change: Change): void;
  /** Takes the interfaces of local pods and the shape of the node's network. */
  setHost(bindings: readonly PodBinding[], shape: NodeShape): void;
  /** What the kernel should hold now. */
  ruleset(): Ruleset;
}

/** Compiles from scratch each time. */
export class FullCompiler implements RulesetCompiler {
  readonly #snapshot: ClusterSnapshot;
  readonly #options: EnforcementOptions;
  #bindings: readonly PodBinding[] = [];
  #shape: NodeShape = { routed: [], bridges: [] };

  constructor(snapshot: ClusterSnapshot, options: EnforcementOptions) {
    this.#snapshot = snapshot;
    this.#options = options;
  }

  changed(): void {
    // Everything is compiled again anyway.
  }

  setHost(bindings: readonly PodBinding[], shape: NodeShape): void {
    this.#bindings = bindings;
    this.#shape = shape;
  }

  ruleset(): Ruleset {
    return compileNode({
      snapshot: this.#snapshot,
      bindings: this.#bindings,
      shape: this.#shape,
      options: this.#options,
    });
  }
}
