import type { EndClass } from '../explain/flow-ends.ts';
import { lastPort } from '../explain/port-table.ts';
import type { PortList } from '../explain/port-table.ts';
import { protocols } from '../model/port.ts';

/** `TCP 80,443; UDP 53`, `all`, or `all but TCP 22`. */
export function portListText(list: PortList): string {
  const rest = complement(list);
  if (rest.length === 0) return list.other ? 'all' : 'all TCP, UDP and SCTP';
  if (list.other && rest.length < list.ports.length) return `all but ${rangesText(rest)}`;
  const parts = list.ports.length === 0 ? [] : [rangesText(list.ports)];
  if (list.other) parts.push('ICMP and others');
  return parts.join('; ');
}

function rangesText(ranges: PortList['ports']): string {
  const parts = protocols.flatMap((protocol) => {
    const own = ranges.filter((range) => range.protocol === protocol);
    if (own.length === 0) return [];
    const whole = own.some(({ from, to }) => from === 1 && to === lastPort);
    return `${protocol} ${whole ? 'any' : own.map(({ from, to }) => (from === to ? from : `${from}-${to}`)).join(',')}`;
  });
  return parts.join('; ');
}

function complement(list: PortList): PortList['ports'] {
  return protocols.flatMap((protocol) => {
    const rest: { protocol: typeof protocol; from: number; to: number }[] = [];
    let next = 1;
    for (const { protocol: own, from, to } of list.ports) {
      if (own !== protocol) continue;
      if (from > next) rest.push({ protocol, from: next, to: from - 1 });
      next = to + 1;
    }
    if (next <= lastPort) rest.push({ protocol, from: next, to: lastPort });
    return rest;
  });
}

/** How few classes may be missing from a set for it to be called `anyone but ...`. */
const mostMissing = 3;

/**
 * Names a set of classes: whole kinds and namespaces by one word, few exceptions by `but`. `moot` classes may be called
 * as if they were in the set or not: they have no flows with the other end.
 */
export function setName(set: readonly number[], ends: readonly EndClass[], moot: (index: number) => boolean): string {
  const inside = new Set(set);
  const onlyPods = set.every((index) => ends[index]?.kind === 'pods');
  const everyone = onlyPods ? undefined : wholeOrNearly('anyone', [...ends.keys()], inside, ends, moot);
  if (everyone !== undefined) return everyone;
  const ofKind = (kind: EndClass['kind']): number[] => ends.flatMap((end, i) => (end.kind === kind ? [i] : []));
  return [
    ...podNames(ofKind('pods'), inside, ends, moot),
    ...(wholly(ofKind('nodes'), inside, moot) ? ['nodes'] : named(ofKind('nodes'), inside, ends)),
    ...(ofKind('outside').length > 1 && wholly(ofKind('outside'), inside, moot)
      ? ['anyone outside']
      : named(ofKind('outside'), inside, ends)),
  ].join(', ');
}

function podNames(
  pods: readonly number[],
  inside: ReadonlySet<number>,
  ends: readonly EndClass[],
  moot: (index: number) => boolean,
): string[] {
  const every = wholeOrNearly('every pod', pods, inside, ends, moot);
  if (every !== undefined) return [every];
  const namespaces = new Map<string, number[]>();
  for (const index of pods) {
    const end = ends[index];
    if (end?.kind === 'pods') namespaces.set(end.namespace, [...(namespaces.get(end.namespace) ?? []), index]);
  }
  return [...namespaces].flatMap(([namespace, members]) =>
    members.length > 1 && wholly(members, inside, moot) ? [`${namespace}/*`] : named(members, inside, ends),
  );
}

function wholeOrNearly(
  word: string,
  group: readonly number[],
  inside: ReadonlySet<number>,
  ends: readonly EndClass[],
  moot: (index: number) => boolean,
): string | undefined {
  const present = group.filter((index) => inside.has(index)).length;
  const missing = group.filter((index) => !inside.has(index) && !moot(index));
  if (present < 2 || missing.length > mostMissing || missing.length * 3 > present) return undefined;
  return missing.length === 0 ? word : `${word} but ${named(missing, new Set(missing), ends).join(' and ')}`;
}

function wholly(group: readonly number[], inside: ReadonlySet<number>, moot: (index: number) => boolean): boolean {
  return group.some((index) => inside.has(index)) && group.every((index) => inside.has(index) || moot(index));
}

function named(group: readonly number[], inside: ReadonlySet<number>, ends: readonly EndClass[]): string[] {
  return group.filter((index) => inside.has(index)).map((index) => ends[index]?.name ?? '?');
}

/** Names both ends of a block of flows. */
export function blockNames(
  block: { readonly from: readonly number[]; readonly to: readonly number[] },
  ends: readonly EndClass[],
  vacant: (from: number, to: number) => boolean,
): { readonly from: string; readonly to: string } {
  return {
    from: setName(block.from, ends, (index) => block.to.every((to) => vacant(index, to))),
    to: setName(block.to, ends, (index) => block.from.every((from) => vacant(from, index))),
  };
}
