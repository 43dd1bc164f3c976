import { readFile, writeFile } from 'node:fs/promises';

import { isMissing } from './cni-cache.ts';
import type { Commands } from './commands.ts';
import { HostError } from './commands.ts';

/** Kernel settings the data plane depends on, as they are in one network namespace. `undefined`: there is no such setting. */
export interface KernelSettings {
  /** Whether IPv4 and IPv6 packets that stay inside a bridge pass the forward hook; absent without br_netfilter. */
  readonly bridgeNetfilter4?: boolean;
  readonly bridgeNetfilter6?: boolean;
  readonly forwarding4?: boolean;
  readonly forwarding6?: boolean;
}

/** Access to settings under `/proc/sys`. The kernel answers for the reader's own network namespace. */
export interface SettingFiles {
  /** Throws what the file system throws. */
  read(path: string): Promise<string>;
  /** Throws what the file system throws. */
  write(path: string, text: string): Promise<void>;
}

/** The settings of the namespace this process is in. */
export const ownSettingFiles: SettingFiles = {
  read: (path) => readFile(path, 'utf8'),
  write: (path, text) => writeFile(path, text),
};

/** The settings of the namespace that `commands` run in. */
export function settingFilesOf(commands: Commands): SettingFiles {
  return {
    read: (path) => commands.run('cat', [path]),
    write: async (path, text) => {
      await commands.run('sh', ['-c', 'printf %s "$1" > "$2"', 'sh', text, path]);
    },
  };
}

const PATHS = {
  bridgeNetfilter4: '/proc/sys/net/bridge/bridge-nf-call-iptables',
  bridgeNetfilter6: '/proc/sys/net/bridge/bridge-nf-call-ip6tables',
  forwarding4: '/proc/sys/net/ipv4/ip_forward',
  forwarding6: '/proc/sys/net/ipv6/conf/all/forwarding',
} as const satisfies Record<keyof KernelSettings, string>;

/** Reads the settings; one that cannot be read is absent. */
export async function readKernelSettings(files: SettingFiles = ownSettingFiles): Promise<KernelSettings> {
  const settings: { -readonly [K in keyof KernelSettings]: KernelSettings[K] } = {};
  for (const key of Object.keys(PATHS) as (keyof KernelSettings)[]) {
    const value = await readSetting(files, PATHS[key]);
    if (value !== undefined) settings[key] = value !== 0;
  }
  return settings;
}

/** What {@link ensureBridgeNetfilter} found or did. */
export type BridgeNetfilterResult =
  | { readonly kind: 'on'; readonly changed: readonly string[] }
  /** Pods of one bridge would bypass every rule. */
  | { readonly kind: 'off'; readonly setting: string; readonly why: string; readonly help: string };

/**
 * Makes sure that packets between two ports of one bridge pass the forward hook, and sets what is off where it may.
 * Call it on every resync: other software resets these settings. Loads br_netfilter if `modules` can.
 */
export async function ensureBridgeNetfilter(
  options: { readonly files?: SettingFiles; readonly modules?: Commands } = {},
): Promise<BridgeNetfilterResult> {
  const files = options.files ?? ownSettingFiles;
  const changed: string[] = [];
  let loadFailure: string | undefined;
  if (options.modules !== undefined && (await readSetting(files, PATHS.bridgeNetfilter4)) === undefined) {
    try {
      await options.modules.run('modprobe', ['br_netfilter']);
    } catch (cause) {
      if (!(cause instanceof HostError)) throw cause;
      loadFailure = cause.message;
    }
  }
  for (const path of [PATHS.bridgeNetfilter4, PATHS.bridgeNetfilter6]) {
    const value = await readSetting(files, path);
    const setting = path.slice('/proc/sys/'.length).replaceAll('/', '.');
    if (value === undefined) {
      const why = loadFailure ?? 'there is no such setting: the kernel module br_netfilter is not loaded';
      return { kind: 'off', setting, why, help: 'Load it on the node: modprobe br_netfilter' };
    }
    if (value !== 0) continue;
    const failure = await trySet(files, path);
    if (failure !== undefined || (await readSetting(files, path)) !== 1) {
      const why = `it is 0 and cannot be set: ${failure ?? 'the kernel kept the old value'}`;
      return { kind: 'off', setting, why, help: `Set it on the node: sysctl -w ${setting}=1` };
    }
    changed.push(setting);
  }
  return { kind: 'on', changed };
}

async function trySet(files: SettingFiles, path: string): Promise<string | undefined> {
  try {
    await files.write(path, '1');
    return undefined;
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  }
}

async function readSetting(files: SettingFiles, path: string): Promise<number | undefined> {
  try {
    const value = Number.parseInt((await files.read(path)).trim(), 10);
    return Number.isNaN(value) ? undefined : value;
  } catch (cause) {
    // A missing file is the answer: the module that owns the setting is not there.
    if (isMissing(cause) || cause instanceof HostError) return undefined;
    throw cause;
  }
}
