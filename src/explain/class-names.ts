import { toCidr } from '../model/cidr.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { subtractIntervals } from '../model/interval.ts';
import type { AddressInterval } from '../model/interval.ts';
import { familyBits } from '../model/ip.ts';
import type { IpFamily } from '../model/ip.ts';
import { compareText } from '../model/names.ts';

/** The fewest blocks that hold exactly these addresses. */
export function minimalCidrs(family: IpFamily, intervals: readonly AddressInterval[]): string[] {
  const bits = familyBits(family);
  const texts: string[] = [];
  for (const { first, last } of intervals) {
    let next = first;
    while (next <= last) {
      let size = 0;
      while (size < bits && next % (1n << BigInt(size + 1)) === 0n && next + (1n << BigInt(size + 1)) - 1n <= last)
        size++;
      texts.push(toCidr(family, next, bits - size).text);
      next += 1n << BigInt(size);
    }
  }
  return texts;
}

/** Addresses for people: the fewest blocks, or the smallest block around them without the holes if that is shorter. */
export function describeAddresses(family: IpFamily, intervals: readonly AddressInterval[]): string {
  const plain = minimalCidrs(family, intervals);
  const [begin, end] = [intervals[0], intervals.at(-1)];
  if (begin === undefined || end === undefined || plain.length < 3) return plain.join(' and ');
  let prefix = familyBits(family);
  let cover = toCidr(family, begin.first, prefix);
  while (cover.last < end.last) cover = toCidr(family, begin.first, (prefix -= 1));
  const holes = minimalCidrs(family, subtractIntervals(cover, intervals));
  return holes.length + 1 < plain.length ? `${cover.text} except ${holes.join(' and ')}` : plain.join(' and ');
}

/** The workload a pod belongs to: its owner (a Deployment for a ReplicaSet's pod), or the pod itself. */
export function workloadName(pod: Endpoint): string {
  if (pod.owner === undefined) return pod.name;
  if (pod.owner.kind !== 'ReplicaSet') return pod.owner.name;
  const hash = pod.labels.get('pod-template-hash');
  const suffix = hash === undefined ? /-[a-z0-9]{5,10}$/ : `-${hash}`;
  if (typeof suffix !== 'string') return pod.owner.name.replace(suffix, '');
  return pod.owner.name.endsWith(suffix) ? pod.owner.name.slice(0, -suffix.length) : pod.owner.name;
}

/** How many names a class is called by before the rest is only counted. */
const longestList = 3;

/**
 * Names classes of one namespace: `*` for all of its pods, else workloads that are wholly in the class and single pods
 * of others, else a prefix that no other pod has. Unique within the namespace; in the order given.
 */
export function nameClasses(classes: readonly (readonly Endpoint[])[]): readonly string[] {
  const workloads = new Map<string, number>();
  for (const pod of new Set(classes.flat())) {
    const workload = workloadName(pod);
    workloads.set(workload, (workloads.get(workload) ?? 0) + 1);
  }
  const used = new Map<string, number>();
  return classes.map((pods) => {
    const name = classes.length === 1 && workloads.size > 1 ? '*' : className(pods, classes, workloads);
    const count = (used.get(name) ?? 0) + 1;
    used.set(name, count);
    return count === 1 ? name : `${name}#${count}`;
  });
}

function className(
  pods: readonly Endpoint[],
  classes: readonly (readonly Endpoint[])[],
  workloads: ReadonlyMap<string, number>,
): string {
  const names = namesOf(pods, workloads);
  if (names.length <= longestList) return names.join('+');
  const prefix = commonPrefix(names);
  const others = classes.filter((other) => other !== pods).flat();
  if (prefix !== '' && !others.some((pod) => pod.name.startsWith(prefix))) return `${prefix}*`;
  return `${names.slice(0, longestList - 1).join('+')}+${names.length - longestList + 1} more`;
}

function namesOf(pods: readonly Endpoint[], workloads: ReadonlyMap<string, number>): string[] {
  const inside = new Map<string, Endpoint[]>();
  for (const pod of pods) {
    const workload = workloadName(pod);
    inside.set(workload, [...(inside.get(workload) ?? []), pod]);
  }
  return [...inside]
    .flatMap(([workload, members]) =>
      members.length === workloads.get(workload) ? [workload] : members.map(({ name }) => name),
    )
    .sort(compareText);
}

/** Up to and including a hyphen. */
function commonPrefix(names: readonly string[]): string {
  const [first = ''] = names;
  let length = first.length;
  for (const name of names) while (!name.startsWith(first.slice(0, length))) length -= 1;
  return first.slice(0, first.lastIndexOf('-', length - 1) + 1);
}
