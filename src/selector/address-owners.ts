import { compareClaims, isPoliced } from '../model/endpoint.ts';
import type { Endpoint } from '../model/endpoint.ts';
import type { IpAddress } from '../model/ip.ts';

/**
 * Which pod each pod-network address belongs to. Finished and hostNetwork pods own none; of several live claims the
 * newest wins (semantics 44, 49). A pod that lost a claim acts, for policy, as if it did not have the address.
 */
export function addressOwners(pods: Iterable<Endpoint>): ReadonlyMap<IpAddress, Endpoint> {
  const owners = new Map<IpAddress, Endpoint>();
  for (const pod of pods) {
    if (!isPoliced(pod)) continue;
    for (const address of pod.addresses) {
      const owner = owners.get(address);
      if (owner === undefined || compareClaims(owner, pod) < 0) owners.set(address, pod);
    }
  }
  return owners;
}
