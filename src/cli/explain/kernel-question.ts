import { hostname } from 'node:os';

import type { Cluster } from '../../explain/cluster.ts';
import type { Explanation } from '../../explain/explanation.ts';
import { nodesOf } from '../../explain/installed-flow.ts';
import type { Context } from '../context.ts';

/** The flags that ask about the node this runs on. */
export interface KernelFlags {
  readonly installed: 'auto' | 'off' | 'require';
  /** The name of this node; else what its agent calls it, `NODE_NAME` or the host's name. */
  readonly node?: string;
  /** As given on the command line. */
  readonly trace?: unknown;
}

/** Whether the flags insist that the kernel is asked: then a failure to read it is an error. */
export function insistsOnKernel({ installed, node, trace }: KernelFlags): boolean {
  return trace !== undefined || (installed !== 'off' && (installed === 'require' || node !== undefined));
}

/** What this node is called, as far as that is known without its agent. */
export function guessNode({ env }: Context, { node }: KernelFlags): string {
  return node ?? env['NODE_NAME'] ?? hostname();
}

/** Whether the kernel of this node has a say: it was asked for, or a pod of this node is at an end. */
export function asksKernel(context: Context, cluster: Cluster, { steps }: Explanation, flags: KernelFlags): boolean {
  if (insistsOnKernel(flags)) return true;
  if (flags.installed === 'off') return false;
  const guess = guessNode(context, flags);
  return steps.some((step) => step.kind === 'flow' && nodesOf(cluster, step).some((name) => name === guess));
}
