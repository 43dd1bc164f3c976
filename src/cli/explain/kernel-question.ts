import { hostname } from 'node:os';

import type { Cluster } from '../../explain/cluster.ts';
import type { Explanation } from '../../explain/explanation.ts';
import { nodesOf } from '../../explain/installed-flow.ts';
import type { Context } from '../context.ts';

/** The flags that ask about nodes. */
export interface KernelFlags {
  readonly installed: 'auto' | 'off' | 'require';
  /** The one node to ask. Without a cluster the name of this one; else what its agent calls it, or {@link ownName}. */
  readonly node?: string;
  /** As given on the command line. */
  readonly trace?: unknown;
}

/** Whether the flags insist that the kernel is asked: then a failure to read it is an error. */
export function insistsOnKernel({ installed, node, trace }: KernelFlags): boolean {
  return trace !== undefined || (installed !== 'off' && (installed === 'require' || node !== undefined));
}

/** What this node is called, as far as that is known without its agent. */
export function ownName({ env }: Context): string {
  return env['NODE_NAME'] ?? hostname();
}

/** Whether kernels have a say: they were asked for, or a pod of this node is at an end. */
export function asksKernel(context: Context, cluster: Cluster, { steps }: Explanation, flags: KernelFlags): boolean {
  if (insistsOnKernel(flags)) return true;
  if (flags.installed === 'off') return false;
  const own = ownName(context);
  return steps.some((step) => step.kind === 'flow' && nodesOf(cluster, step).some((name) => name === own));
}
