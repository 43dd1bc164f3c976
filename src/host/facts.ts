import { parseNamespaceIds, readNamespaces } from './namespaces.ts';
import type { FactGap, PodNamespace } from './namespaces.ts';
import { readCniCache } from './cni-cache.ts';
import type { CniCacheEntry } from './cni-cache.ts';
import { readCniConfig } from './cni-config.ts';
import type { CniConfig } from './cni-config.ts';
import { HostError, nodeCommands } from './commands.ts';
import type { Commands } from './commands.ts';
import { ownSettingFiles, readKernelSettings } from './kernel-settings.ts';
import type { KernelSettings, SettingFiles } from './kernel-settings.ts';
import { parseForwarding, parseLinks, parseNeighbours, parseRoutes } from './links.ts';
import type { ForwardingEntry, Link, Neighbour, Route } from './links.ts';

/** Everything that was observed on the node at one moment. The decisions are pure functions of it. */
export interface HostFacts {
  readonly links: readonly Link[];
  readonly routes: readonly Route[];
  readonly neighbours: readonly Neighbour[];
  readonly forwarding: readonly ForwardingEntry[];
  readonly namespaces: readonly PodNamespace[];
  /** Names of namespaces by the id the node's namespace uses for them; `undefined` for ids without a name. */
  readonly namespaceIds: ReadonlyMap<number, string | undefined>;
  readonly cache: readonly CniCacheEntry[];
  readonly config?: CniConfig;
  /** Whether nft and the kernel know `meta ibrname`; absent while nft cannot be asked. */
  readonly bridgeNameMatch?: boolean;
  /** Whether nft knows `icmpv6 taddr`; absent while nft cannot be asked. */
  readonly neighbourTargetMatch?: boolean;
  readonly settings: KernelSettings;
  readonly gaps: readonly FactGap[];
}

/** Where to look. Distributions move these directories: all are configuration. */
export interface HostOptions {
  readonly commands?: Commands;
  readonly settingFiles?: SettingFiles;
  /** Result caches of the CNI. */
  readonly cniCacheDirectories?: readonly string[];
  readonly cniConfigDirectory?: string;
  /** Where the node's `/run/netns` is seen from here. */
  readonly netnsDirectory?: string;
  readonly procDirectory?: string;
  /** Whether to look into network namespaces of pods; needs SYS_ADMIN. Default true. */
  readonly enterNamespaces?: boolean;
  /** Facts of the last collection: namespaces that did not change are not entered again. */
  readonly previous?: HostFacts;
}

/** Where libcni and older kubelets keep results. */
export const defaultCniCacheDirectories: readonly string[] = ['/var/lib/cni/results', '/var/lib/cni/cache/results'];
/** Where container runtimes look for the pod network's configuration. */
export const defaultCniConfigDirectory = '/etc/cni/net.d';
/** Where container runtimes and iproute2 name network namespaces. */
export const defaultNetnsDirectory = '/run/netns';

/**
 * Observes the node. Throws {@link HostError} if links or routes cannot be read; all else that fails is a gap.
 * Cost: about seven short processes, and one per pod namespace that was not seen before.
 */
export async function collectHostFacts(options: HostOptions = {}): Promise<HostFacts> {
  const commands = options.commands ?? nodeCommands();
  const netnsDirectory = options.netnsDirectory ?? defaultNetnsDirectory;
  const gaps: FactGap[] = [];
  const [links, routes4, routes6, neighbours, forwarding] = await Promise.all([
    commands.run('ip', ['-j', '-d', 'addr', 'show']).then(parseLinks),
    commands.run('ip', ['-j', '-4', 'route', 'show', 'table', 'all']).then((text) => parseRoutes('4', text)),
    commands.run('ip', ['-j', '-6', 'route', 'show', 'table', 'all']).then((text) => parseRoutes('6', text)),
    orGap(gaps, 'neighbours', [], () => commands.run('ip', ['-j', 'neigh', 'show']).then(parseNeighbours)),
    orGap(gaps, 'bridge forwarding tables', [], () =>
      commands.run('bridge', ['-j', 'fdb', 'show']).then(parseForwarding),
    ),
  ]);
  // Ids are given when links are listed: asked earlier, the newest would be missing.
  const namespaceIds = await orGap(gaps, 'network namespace ids', new Map<number, string | undefined>(), () =>
    commands.run('ip', ['-j', 'netns', 'list-id']).then(parseNamespaceIds),
  );
  const cacheDirectories = options.cniCacheDirectories ?? defaultCniCacheDirectories;
  const cache = await orGap(gaps, 'CNI result cache', [], () => readCniCache(cacheDirectories, netnsDirectory));
  const config = await orGap(gaps, 'CNI configuration', undefined, () =>
    readCniConfig(options.cniConfigDirectory ?? defaultCniConfigDirectory),
  );
  const nothing = { namespaces: [], gaps: [] };
  const inside = await orGap(gaps, 'network namespaces', nothing, async () => {
    if (options.enterNamespaces === false) return nothing;
    const known = new Map((options.previous?.namespaces ?? []).map((namespace) => [namespace.inode, namespace]));
    const procDirectory = options.procDirectory ?? '/proc';
    return await readNamespaces(commands, links, { netnsDirectory, procDirectory, ids: namespaceIds, known });
  });
  return {
    links,
    routes: [...routes4, ...routes6],
    neighbours,
    forwarding,
    namespaces: inside.namespaces,
    namespaceIds,
    cache,
    ...(config === undefined ? {} : { config }),
    ...(await askNft(commands, options.previous)),
    settings: await readKernelSettings(options.settingFiles ?? ownSettingFiles),
    gaps: [...gaps, ...inside.gaps],
  };
}

/** What some nft or kernels lack, each with a match that needs it. */
const bridgeMatches = { bridgeNameMatch: 'meta ibrname "cni0"', neighbourTargetMatch: 'icmpv6 taddr fd00::1' } as const;

/** Asks nft and the kernel once: version numbers do not tell what a kernel was built with. */
async function askNft(
  commands: Commands,
  previous: HostFacts | undefined,
): Promise<Pick<HostFacts, keyof typeof bridgeMatches>> {
  const answers = Object.entries(bridgeMatches).map(async ([fact, match]) => {
    const known = previous?.[fact as keyof typeof bridgeMatches] ?? (await isMatch(commands, match));
    return known === undefined ? [] : [[fact, known] as const];
  });
  return Object.fromEntries((await Promise.all(answers)).flat());
}

/** By a dry run, without core dumps. Undefined if nft was killed or is not there: that says nothing about the match. */
async function isMatch(commands: Commands, match: string): Promise<boolean | undefined> {
  const rules = `table bridge nftpolicy-probe { chain c { type filter hook prerouting priority 0; ${match} accept; }; }`;
  try {
    await commands.run('sh', ['-c', 'ulimit -c 0; exec nft -c "$0"', rules]);
    return true;
  } catch (cause) {
    if (!(cause instanceof HostError)) throw cause;
    return cause.exitCode === 1 ? false : undefined;
  }
}

/** A source that fails is missing evidence, never wrong evidence: the pod that needed it stays closed. */
async function orGap<T>(gaps: FactGap[], what: string, instead: T, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    gaps.push({ what, why: cause instanceof Error ? cause.message : String(cause) });
    return instead;
  }
}
