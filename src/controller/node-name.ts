import type { Refusal } from '../host/network-plugin.ts';
import type { NodeName } from '../model/names.ts';

/** What the objects say of this node. */
export interface NodeMentions {
  /** Nodes have been read, and one has this name. Undefined: they have not been read. */
  readonly isListed: boolean | undefined;
  readonly ownPods: number;
  readonly allPods: number;
}

/**
 * Warns of a name that no Node has and no pod names while there are pods: most likely the node is called otherwise, and
 * then all of its pods are unknown, and closed.
 */
export function checkNodeName(node: NodeName, { isListed, ownPods, allPods }: NodeMentions): readonly Refusal[] {
  if (isListed !== false || ownPods > 0 || allPods === 0) return [];
  return [
    {
      code: 'node-unknown',
      severity: 'warn',
      seen: `no Node ${node}, and no pod on it`,
      why: 'if this node has another name, every pod on it is unknown and stays closed',
      help: 'Give --node the name that kubectl get nodes prints.',
    },
  ];
}
