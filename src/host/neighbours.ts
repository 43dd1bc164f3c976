import type { NodeShape } from '../model/binding.ts';
import { cidrContains } from '../model/cidr.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { HostError, nodeCommands } from './commands.ts';
import type { Commands } from './commands.ts';

/** Addresses asked for per call; each costs one short process. */
const ASK_LIMIT = 64;

/**
 * Makes the node ask on its pod bridges who has the pods' addresses, so that the forwarding table, empty before a pod's
 * first packet, has an answer at the next collection. For pods without any other evidence. Answers how many were asked.
 */
export async function askNeighbours(
  pods: readonly Endpoint[],
  shape: NodeShape,
  commands: Commands = nodeCommands(),
): Promise<number> {
  const questions = pods
    .flatMap(({ addresses }) => addresses)
    .flatMap((address) => {
      const bridge = shape.bridges.find(({ podCidrs }) => podCidrs.some((cidr) => cidrContains(cidr, address)));
      return bridge === undefined ? [] : [{ address, bridge: bridge.name }];
    })
    .slice(0, ASK_LIMIT);
  let asked = 0;
  for (const { address, bridge } of questions) {
    try {
      await commands.run('ip', ['neigh', 'replace', address, 'dev', bridge, 'use']);
      asked += 1;
    } catch (cause) {
      // The bridge may be gone or not there yet: the pod simply stays without evidence.
      if (!(cause instanceof HostError)) throw cause;
    }
  }
  return asked;
}
