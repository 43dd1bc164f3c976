import type { Ruleset } from '../compiler/ruleset.ts';
import type { PodBinding } from '../model/binding.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { isPoliced } from '../model/endpoint.ts';
import type { IpAddress } from '../model/ip.ts';
import type { PodKey } from '../model/names.ts';

/** A pod as the agent of its node bound it. */
export interface BoundPod {
  readonly pod: string;
  readonly interface: string;
  readonly addresses: readonly string[];
  readonly attachment: 'routed' | 'bridged';
}

/** A MAC address nobody has: a bridged pod whose own the guard does not know cannot send. */
const noMac = '00:00:00:00:00:00';

/**
 * Which interface each pod of the node hangs on: what the agent says, else what the kernel's source sets say of the
 * pod's address. A pod that neither knows is absent: it is closed.
 */
export function installedBindings(
  ruleset: Ruleset,
  pods: Iterable<Endpoint>,
  bound: readonly BoundPod[],
): ReadonlyMap<PodKey, PodBinding> {
  const byKey = new Map(bound.map((pod) => [pod.pod, pod]));
  const routed = interfacesByAddress(ruleset, 'inet');
  const bridged = interfacesByAddress(ruleset, 'bridge');
  const macs = new Map(elementsOf(ruleset, 'bridge', 'macs'));
  const bridge = bridgeName(ruleset);
  const bindings = new Map<PodKey, PodBinding>();
  for (const pod of pods) {
    if (!isPoliced(pod)) continue;
    const known = byKey.get(pod.key);
    const port = pod.addresses.map((address) => bridged.get(address)).find((name) => name !== undefined);
    const name = known?.interface ?? port ?? pod.addresses.flatMap((address) => routed.get(address) ?? [])[0];
    if (name === undefined) continue;
    const isBridged = known === undefined ? port !== undefined : known.attachment === 'bridged';
    bindings.set(pod.key, {
      pod: pod.key,
      uid: pod.uid,
      interface: name,
      addresses: (known?.addresses as readonly IpAddress[] | undefined) ?? pod.addresses,
      ...(isBridged ? { mac: macs.get(name) ?? noMac } : {}),
      attachment: isBridged ? { kind: 'bridged', bridge: bridge ?? 'cni0' } : { kind: 'routed' },
    });
  }
  return bindings;
}

/** `interface . value` elements as pairs. */
function elementsOf(ruleset: Ruleset, family: 'inet' | 'bridge', set: string): readonly (readonly [string, string])[] {
  return [...(ruleset.get(family)?.sets.get(set)?.elements ?? [])].map((element) => {
    const [name = '', value = ''] = element.split(' . ');
    return [name, value] as const;
  });
}

function interfacesByAddress(ruleset: Ruleset, family: 'inet' | 'bridge'): ReadonlyMap<string, string> {
  const found = ['sources-4', 'sources-6'].flatMap((set) => elementsOf(ruleset, family, set));
  return new Map(found.map(([name, address]) => [address, name]));
}

/** The bridge that `forward-ingress` names before it looks an address up. */
function bridgeName(ruleset: Ruleset): string | undefined {
  for (const { statements } of ruleset.get('inet')?.chains.get('forward-ingress')?.rules ?? []) {
    const [first, second] = statements;
    if (first === undefined || second === undefined || !('match' in first) || !('vmap' in second)) continue;
    if (typeof first.match.right === 'string') return first.match.right;
  }
  return undefined;
}
