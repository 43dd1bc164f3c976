import { readlink, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { z } from 'zod';

import { isMissing, namesIn } from './cni-cache.ts';
import type { Commands } from './commands.ts';
import { HostError } from './commands.ts';
import { parseLinks } from './links.ts';
import type { Link } from './links.ts';

/** A network namespace other than the node's, seen from inside. */
export interface PodNamespace {
  /** Identity on this machine. */
  readonly inode: string;
  /** Names in the directory of named namespaces. */
  readonly names: readonly string[];
  readonly links: readonly Link[];
}

/** Something that could not be looked at; other sources may still suffice. */
export interface FactGap {
  readonly what: string;
  readonly why: string;
}

/** Namespaces read per collection at most; each costs one short process. */
const NAMESPACE_LIMIT = 2048;
const CONCURRENCY = 4;

/** Where and how to look for the network namespaces of pods. */
export interface NamespaceOptions {
  readonly netnsDirectory: string;
  readonly procDirectory: string;
  /** Names of namespaces by the id the node's namespace uses, read after the links. */
  readonly ids: ReadonlyMap<number, string | undefined>;
  /** What was read before, by inode: a namespace whose veths still have the same ends is not entered again. */
  readonly known?: ReadonlyMap<string, PodNamespace>;
}

/**
 * Enters every network namespace that has a name or a process and reads its interfaces.
 * Needs SYS_ADMIN; what cannot be entered becomes a gap. Cost: one process per namespace that is not known yet.
 */
export async function readNamespaces(
  commands: Commands,
  hostLinks: readonly Link[],
  options: NamespaceOptions,
): Promise<{ namespaces: PodNamespace[]; gaps: FactGap[] }> {
  const gaps: FactGap[] = [];
  const own = inodeOfLink(await commands.run('readlink', ['/proc/self/ns/net']));
  const places = await findNamespaces(options, gaps);
  if (own !== undefined) places.delete(own);
  const queue = [...places];
  if (queue.length > NAMESPACE_LIMIT) {
    gaps.push({ what: 'network namespaces', why: `${queue.length} exist, the first ${NAMESPACE_LIMIT} were read` });
    queue.length = NAMESPACE_LIMIT;
  }
  const peers = new Set([...options.ids.values()].filter((name) => name !== undefined));
  const namespaces: PodNamespace[] = [];
  const work = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [inode, { path, names }] = next;
      const known = options.known?.get(inode);
      if (known !== undefined && isSettled({ ...known, names }, hostLinks, peers)) {
        namespaces.push({ ...known, names });
        continue;
      }
      try {
        const text = await commands.run('nsenter', [`--net=${path}`, 'ip', '-j', '-d', 'addr', 'show']);
        namespaces.push({ inode, names, links: parseLinks(text) });
      } catch (cause) {
        if (!(cause instanceof HostError)) throw cause;
        // Without SYS_ADMIN every further try would fail too.
        if (/not permitted/i.test(cause.message)) queue.length = 0;
        gaps.push({ what: `network namespace ${path}`, why: cause.message });
      }
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
  namespaces.sort((a, b) => (a.inode < b.inode ? -1 : 1));
  return { namespaces, gaps };
}

/** Whether host link and link of a namespace are the two ends of one veth, as far as both ends can tell. */
export function areVethEnds(host: Link, inside: Link): boolean {
  if (host.kind !== 'veth' || inside.kind !== 'veth') return false;
  return host.peerNamespaceId !== undefined && host.peerIndex === inside.index && inside.peerIndex === host.index;
}

/** Parses `ip -j netns list-id`: names by the id this namespace uses; ids without a name map to `undefined`. */
export function parseNamespaceIds(text: string): ReadonlyMap<number, string | undefined> {
  const schema = z.array(z.object({ nsid: z.int().optional(), name: z.string().optional() }));
  try {
    const rows = text.trim() === '' ? [] : schema.parse(JSON.parse(text));
    return new Map(rows.flatMap(({ nsid, name }) => (nsid === undefined ? [] : [[nsid, name] as const])));
  } catch (cause) {
    throw new HostError('output-unreadable', 'ip -j netns list-id', 'printed something that is not the JSON we know', {
      cause,
    });
  }
}

/** Whether reading the namespace again would show nothing that matters: its veths still end here, or it has none that do. */
function isSettled(known: PodNamespace, hostLinks: readonly Link[], peers: ReadonlySet<string>): boolean {
  const hasAddress = (link: Link): boolean => link.addresses.some(({ scope }) => scope === 'global');
  if (!known.links.some(hasAddress)) return false;
  // The kernel gives an id to every namespace that holds the other end of one of our links.
  if (known.names.length > 0 && !known.names.some((name) => peers.has(name))) return true;
  return known.links
    .filter(({ kind }) => kind === 'veth')
    .every((inside) => hasAddress(inside) && hostLinks.some((host) => areVethEnds(host, inside)));
}

interface Place {
  readonly path: string;
  readonly names: string[];
}

async function findNamespaces(options: NamespaceOptions, gaps: FactGap[]): Promise<Map<string, Place>> {
  const places = new Map<string, Place>();
  for (const name of (await namesIn(options.netnsDirectory)).sort()) {
    const path = join(options.netnsDirectory, name);
    try {
      const { ino } = await stat(path, { bigint: true });
      const place = places.get(String(ino));
      if (place === undefined) places.set(String(ino), { path, names: [name] });
      else place.names.push(name);
    } catch (cause) {
      if (!isMissing(cause)) gaps.push({ what: `network namespace ${path}`, why: String(cause) });
    }
  }
  let refused = 0;
  for (const pid of await namesIn(options.procDirectory)) {
    if (!/^\d+$/.test(pid)) continue;
    const path = join(options.procDirectory, pid, 'ns/net');
    try {
      const inode = inodeOfLink(await readlink(path));
      if (inode !== undefined && !places.has(inode)) places.set(inode, { path, names: [] });
    } catch (cause) {
      if (!isMissing(cause)) refused += 1;
    }
  }
  if (refused > 0)
    gaps.push({ what: 'network namespaces of processes', why: `${refused} processes may not be looked at` });
  return places;
}

function inodeOfLink(text: string): string | undefined {
  return /^net:\[(\d+)\]$/.exec(text.trim())?.[1];
}
