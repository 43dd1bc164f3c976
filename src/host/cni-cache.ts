import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';

import { z } from 'zod';

import { parseIp } from '../model/ip.ts';
import type { IpAddress } from '../model/ip.ts';

/** What a CNI plugin answered when it attached a pod, as the runtime wrote it down. Never log one: it may hold annotations. */
export interface CniCacheEntry {
  readonly file: string;
  readonly namespace: string;
  readonly pod: string;
  /** `K8S_POD_UID`; some runtimes do not pass it. */
  readonly uid?: string;
  /** The interface's name inside the pod. */
  readonly podInterface: string;
  /** Interfaces of the result that are outside the pod: the veth, and the bridge if there is one. */
  readonly hostInterfaces: readonly string[];
  /** MAC address of the interface inside the pod. */
  readonly mac?: string;
  readonly addresses: readonly IpAddress[];
  /** Identity of the pod's network namespace: its inode, `missing` if the file is gone, absent if it cannot be known from here. */
  readonly sandbox?: { readonly kind: 'inode'; readonly inode: string } | { readonly kind: 'missing' };
}

const entrySchema = z.object({
  kind: z.literal('cniCacheV1'),
  ifName: z.string(),
  netns: z.string().optional(),
  cniArgs: z.array(z.array(z.string())).nullish(),
  result: z.object({
    interfaces: z
      .array(z.object({ name: z.string(), mac: z.string().optional(), sandbox: z.string().optional() }))
      .nullish(),
    ips: z.array(z.object({ address: z.string() })).nullish(),
  }),
});

/** A parsed file and the path of the network namespace it names. */
export interface ParsedCniCacheFile {
  readonly entry: CniCacheEntry;
  readonly sandboxPath?: string;
}

/**
 * Parses one file of the result cache of libcni (kind `cniCacheV1`).
 * Answers `undefined` for files that are something else, are half written, or do not name a pod.
 */
export function parseCniCacheFile(file: string, text: string): ParsedCniCacheFile | undefined {
  const parsed = entrySchema.safeParse(parseJson(text));
  if (!parsed.success) return undefined;
  const { ifName, netns, cniArgs, result } = parsed.data;
  const args = new Map((cniArgs ?? []).map(([key, value]) => [key, value]));
  const namespace = args.get('K8S_POD_NAMESPACE');
  const pod = args.get('K8S_POD_NAME');
  if (namespace === undefined || pod === undefined) return undefined;
  const interfaces = result.interfaces ?? [];
  const inside = interfaces.filter(({ sandbox }) => sandbox !== undefined && sandbox !== '');
  const own = inside.find(({ name }) => name === ifName);
  const uid = args.get('K8S_POD_UID');
  const sandboxPath = own?.sandbox ?? netns;
  const entry: CniCacheEntry = {
    file,
    namespace,
    pod,
    ...(uid === undefined || uid === '' ? {} : { uid }),
    podInterface: ifName,
    hostInterfaces: interfaces.filter(({ sandbox }) => sandbox === undefined || sandbox === '').map(({ name }) => name),
    ...(own?.mac === undefined || own.mac === '' ? {} : { mac: own.mac.toLowerCase() }),
    addresses: (result.ips ?? []).flatMap(({ address }) => parseIp(address.split('/')[0] ?? '') ?? []),
  };
  return { entry, ...(sandboxPath === undefined || sandboxPath === '' ? {} : { sandboxPath }) };
}

/**
 * Reads every entry of the cache directories; a directory that does not exist is empty.
 * `netnsDirectory` is where the node's `/run/netns` is seen from here. Throws what the file system throws otherwise.
 */
export async function readCniCache(directories: readonly string[], netnsDirectory: string): Promise<CniCacheEntry[]> {
  const entries: CniCacheEntry[] = [];
  for (const directory of directories) {
    for (const name of (await namesIn(directory)).sort()) {
      const file = join(directory, name);
      const text = await readIfPresent(file);
      const parsed = text === undefined ? undefined : parseCniCacheFile(file, text);
      if (parsed === undefined) continue;
      const sandbox = await sandboxOf(parsed.sandboxPath, netnsDirectory);
      entries.push(sandbox === undefined ? parsed.entry : { ...parsed.entry, sandbox });
    }
  }
  return entries;
}

/** Only named namespaces can be told apart from outside: a process id may have been given to another process. */
async function sandboxOf(path: string | undefined, netnsDirectory: string): Promise<CniCacheEntry['sandbox']> {
  const name = /^\/(?:var\/)?run\/netns\/([^/]+)$/.exec(path ?? '')?.[1];
  // An empty directory is one we cannot see into (not mounted here): a missing file proves nothing.
  if (name === undefined || (await namesIn(netnsDirectory)).length === 0) return undefined;
  try {
    const { ino } = await stat(join(netnsDirectory, name), { bigint: true });
    return { kind: 'inode', inode: String(ino) };
  } catch (cause) {
    if (isMissing(cause)) return { kind: 'missing' };
    throw cause;
  }
}

/** File names in a directory, none if it does not exist. */
export async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (cause) {
    if (isMissing(cause)) return [];
    throw cause;
  }
}

/** The text of a file that may vanish at any moment: `undefined` once it is gone. */
export async function readIfPresent(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    if (isMissing(cause) || (cause as NodeJS.ErrnoException).code === 'EISDIR') return undefined;
    throw cause;
  }
}

/** Whether the file system says that there is no such file, directory or process. */
export function isMissing(cause: unknown): boolean {
  const code = (cause as NodeJS.ErrnoException | undefined)?.code;
  return code === 'ENOENT' || code === 'ENOTDIR' || code === 'ESRCH';
}

/** Half-written JSON is no finding: the next file event brings the whole text. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    return { unreadable: cause };
  }
}
