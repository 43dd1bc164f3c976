import { familyOf, ipToBigInt, parseIp } from '../model/ip.ts';
import type { EndClass } from './flow-ends.ts';
import { workloadName } from './class-names.ts';

/**
 * Whether a text means a class: `NAMESPACE/*`, `NAMESPACE/POD` or `NAMESPACE/WORKLOAD` (any pod of the class), `POD` in
 * the given namespace, `node/NAME`, `nodes`, `outside`, or an address of a pod, a node or outside.
 */
function meansEnd(text: string, end: EndClass, namespace: string): boolean {
  const address = parseIp(text);
  switch (end.kind) {
    case 'pods': {
      if (address !== undefined) {
        return end.members.some(({ addresses }) => [...addresses.values()].flat().includes(address));
      }
      const [home, name] = text.includes('/')
        ? [text.slice(0, text.indexOf('/')), text.slice(text.indexOf('/') + 1)]
        : [namespace, text];
      if (end.namespace !== home) return false;
      return (
        name === '*' ||
        end.members.some(({ views }) => views.some(({ pod }) => pod.name === name || workloadName(pod) === name))
      );
    }
    case 'nodes': {
      if (address !== undefined)
        return (
          end.nodes.get(familyOf(address)) !== undefined &&
          [...(end.nodes.get(familyOf(address)) ?? [])].some(([, own]) => own === address)
        );
      if (text === 'nodes') return true;
      return (
        text.startsWith('node/') &&
        [...end.nodes.values()].some((nodes) => [...nodes.keys()].some((name) => name === text.slice('node/'.length)))
      );
    }
    case 'outside': {
      if (address === undefined) return text === 'outside';
      const value = ipToBigInt(address);
      return (end.addressClass.intervals.get(familyOf(address)) ?? []).some(
        ({ first, last }) => first <= value && value <= last,
      );
    }
  }
}

/** The classes that a text means, by index: an address of a pod or a node is not also one outside. */
export function findEnds(ends: readonly EndClass[], text: string, namespace: string): readonly number[] {
  const found = ends.flatMap((end, index) => (meansEnd(text, end, namespace) ? [index] : []));
  const inside = found.filter((index) => ends[index]?.kind !== 'outside');
  return inside.length > 0 ? inside : found;
}
