import { watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { isMissing } from './cni-cache.ts';
import { HostError, nodeCommands } from './commands.ts';
import type { Commands } from './commands.ts';
import { defaultCniCacheDirectories, defaultCniConfigDirectory, defaultNetnsDirectory } from './facts.ts';
import type { HostOptions } from './facts.ts';

/** Timings of the watch, in milliseconds. */
export interface WatchTimings {
  /** How long changes are gathered before one call: a new pod makes about ten. Default 10. */
  readonly gatherMs?: number;
  /** The same for routes to subnets, which change with every other node of a cluster. Default 1,000. */
  readonly subnetMs?: number;
  /** First and longest wait before a broken watch is started again. Default 100 and 10,000. */
  readonly retryMs?: number;
  readonly maxRetryMs?: number;
}

/** Options of {@link watchHost}: the places of {@link HostOptions}, timings, and who hears of trouble. */
export interface WatchOptions extends Pick<
  HostOptions,
  'commands' | 'cniCacheDirectories' | 'cniConfigDirectory' | 'netnsDirectory'
> {
  readonly timings?: WatchTimings;
  /** Called when a watch ended or could not start; it is started again. */
  readonly onTrouble?: (trouble: HostError | Error) => void;
}

/**
 * Calls `onChange` after anything changed that {@link collectHostFacts} looks at: links, addresses, routes, the CNI's
 * result cache and configuration, named network namespaces. It is called once at the start and after each gap in the
 * watch, so nothing is missed; calls may be spurious. Ends when `signal` aborts. `onChange` must not throw.
 */
export async function watchHost(onChange: () => void, signal: AbortSignal, options: WatchOptions = {}): Promise<void> {
  const gather = gathering(onChange, options.timings?.gatherMs ?? 10, signal);
  const gatherSubnets = gathering(onChange, options.timings?.subnetMs ?? 1_000, signal);
  const commands = options.commands ?? nodeCommands();
  const directories = [
    ...(options.cniCacheDirectories ?? defaultCniCacheDirectories),
    options.cniConfigDirectory ?? defaultCniConfigDirectory,
    options.netnsDirectory ?? defaultNetnsDirectory,
  ];
  await Promise.all([
    keep(() => followKernel(commands, { changed: gather, routed: gatherSubnets }, signal), signal, options),
    ...directories.map((directory) => keep(() => followDirectory(directory, gather, signal), signal, options)),
  ]);
}

/** Who hears of what the kernel tells. */
interface KernelListener {
  readonly changed: () => void;
  /** A route to a subnet, or one that leads to no interface: it says of no pod where it is. */
  readonly routed: () => void;
}

/** A route without a host prefix, or of a type that {@link collectHostFacts} leaves out. */
const subnetRoute =
  /^(?:Deleted )?(?:(?:local|broadcast|multicast|anycast|blackhole|unreachable|prohibit|throw) |[0-9a-f.:]+\/(?!32 |128 )\d+ )/;

/** Neighbour events are left out: they come with every idle connection and decide nothing while a better source speaks. */
async function followKernel(
  commands: Commands,
  { changed, routed }: KernelListener,
  signal: AbortSignal,
): Promise<void> {
  let last = changed;
  const hear = (line: string): void => {
    // An indented line belongs to the one before.
    if (!/^\s/.test(line)) last = subnetRoute.test(line) ? routed : changed;
    last();
  };
  const ended = new AbortController();
  const stop = AbortSignal.any([signal, ended.signal]);
  const watching = commands.follow('ip', ['monitor', 'link', 'address', 'route', 'nsid'], hear, signal);
  // The command does not say when it has subscribed; a second look catches what happened in between.
  const looks = Promise.all([0, 500].map((wait) => pause(wait, stop).then(changed)));
  try {
    await watching;
  } finally {
    ended.abort();
    await looks;
  }
}

async function followDirectory(directory: string, changed: () => void, signal: AbortSignal): Promise<void> {
  const place = await nearestDirectory(directory);
  if (place === undefined || signal.aborted) return;
  await new Promise<void>((resolve, reject) => {
    const watcher = watch(place.path, { persistent: false });
    const stop = (): void => watcher.close();
    signal.addEventListener('abort', stop, { once: true });
    watcher.on('change', (_, name) => {
      if (place.awaited === undefined) changed();
      // A directory that is deleted reports its own name, then stays silent for ever.
      if (name === (place.awaited ?? basename(directory))) watcher.close();
    });
    watcher.on('error', reject);
    watcher.on('close', () => {
      signal.removeEventListener('abort', stop);
      resolve();
    });
    // What happened before the watch stood is seen by looking once more.
    if (place.awaited === undefined) changed();
    else {
      isDirectory(join(place.path, place.awaited)).then((exists) => {
        if (exists) watcher.close();
      }, reject);
    }
  });
}

/** The directory itself, or its nearest ancestor with the name to wait for: plugins make their directories with the first pod. */
async function nearestDirectory(directory: string): Promise<{ path: string; awaited?: string } | undefined> {
  let awaited: string | undefined;
  for (let path = directory; ; path = dirname(path)) {
    if (await isDirectory(path)) return awaited === undefined ? { path } : { path, awaited };
    if (path === dirname(path)) return undefined;
    awaited = basename(path);
  }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    if (isMissing(cause)) return false;
    throw cause;
  }
}

/** Runs a watch again and again; the wait doubles while it keeps failing at once. */
async function keep(run: () => Promise<void>, signal: AbortSignal, options: WatchOptions): Promise<void> {
  const first = options.timings?.retryMs ?? 100;
  const longest = options.timings?.maxRetryMs ?? 10_000;
  let wait = first;
  while (!signal.aborted) {
    const started = performance.now();
    try {
      await run();
    } catch (cause) {
      options.onTrouble?.(cause instanceof Error ? cause : new HostError('command-failed', 'watch', String(cause)));
    }
    await pause(wait, signal);
    wait = performance.now() - started > 10 * wait ? first : Math.min(wait * 2, longest);
  }
}

/** One call per burst: the first change starts the clock, those until it rings are the same burst. */
function gathering(onChange: () => void, gatherMs: number, signal: AbortSignal): () => void {
  let waiting = false;
  return () => {
    if (waiting || signal.aborted) return;
    waiting = true;
    void pause(gatherMs, signal).then(() => {
      waiting = false;
      if (!signal.aborted) onChange();
    });
  };
}

async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  try {
    await delay(milliseconds, undefined, { signal, ref: false });
  } catch (cause) {
    if (!signal.aborted) throw cause;
  }
}
