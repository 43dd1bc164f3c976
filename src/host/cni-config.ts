import { join } from 'node:path';

import { z } from 'zod';

import { parseCidr } from '../model/cidr.ts';
import type { Cidr } from '../model/cidr.ts';
import { namesIn, readIfPresent } from './cni-cache.ts';

/** The pod network the container runtime uses: the first configuration by name that can be read. */
export interface CniConfig {
  readonly file: string;
  readonly network: string;
  /** `type` of each plugin of the chain, the one that creates the interface first. */
  readonly plugins: readonly string[];
  /** The bridge the first plugin attaches pods to, if it is of that kind. */
  readonly bridge?: string;
  /** Subnets written in the file for the host-local IPAM. */
  readonly podCidrs: readonly Cidr[];
  /** Prefix of host interface names, where the file sets it (AWS: `vethPrefix`). */
  readonly interfacePrefix?: string;
}

const ipamSchema = z.object({
  subnet: z.string().optional(),
  ranges: z.array(z.array(z.object({ subnet: z.string().optional() }))).optional(),
});
const pluginSchema = z.object({
  type: z.string(),
  bridge: z.string().optional(),
  mode: z.string().optional(),
  vethPrefix: z.string().optional(),
  delegate: z.object({ bridge: z.string().optional(), type: z.string().optional() }).optional(),
  ipam: ipamSchema.optional(),
});
/** Plugins that attach nothing themselves and hand the pod network to another one. */
const META_PLUGINS: ReadonlySet<string> = new Set(['multus', 'multus-shim']);
const metaSchema = z.object({ delegates: z.array(z.unknown()).default([]) });
const configSchema = z.union([
  z.object({ name: z.string().default(''), plugins: z.array(pluginSchema).min(1) }),
  pluginSchema
    .extend({ name: z.string().default('') })
    .transform(({ name, ...plugin }) => ({ name, plugins: [plugin] })),
]);

/**
 * Parses one `.conflist`, `.conf` or `.json` file of the CNI; `undefined` if it is not one. Of a meta plugin its first
 * delegate counts; one that does not say to whom it delegates is as good as none: the next file tells.
 */
export function parseCniConfig(file: string, text: string): CniConfig | undefined {
  return readConfig(file, parseJson(text), true);
}

function readConfig(file: string, raw: unknown, mayDelegate: boolean): CniConfig | undefined {
  const parsed = configSchema.safeParse(raw);
  const first = parsed.data?.plugins[0];
  if (parsed.data === undefined || first === undefined) return undefined;
  if (META_PLUGINS.has(first.type)) {
    const [delegate] = metaSchema.safeParse(raw).data?.delegates ?? [];
    return mayDelegate ? readConfig(file, delegate, false) : undefined;
  }
  const bridge = bridgeOf(first);
  const subnets = [first.ipam?.subnet, ...(first.ipam?.ranges ?? []).flat().map(({ subnet }) => subnet)];
  return {
    file,
    network: parsed.data.name,
    plugins: parsed.data.plugins.map(({ type }) => type),
    ...(bridge === undefined ? {} : { bridge }),
    podCidrs: subnets.flatMap((subnet) => (subnet === undefined ? [] : (parseCidr(subnet)?.cidr ?? []))),
    ...(first.vethPrefix === undefined ? {} : { interfacePrefix: first.vethPrefix }),
  };
}

/** Reads the first usable configuration by name, as container runtimes do; `undefined` if there is none. */
export async function readCniConfig(directory: string): Promise<CniConfig | undefined> {
  for (const name of (await namesIn(directory)).sort()) {
    if (!/\.(?:conflist|conf|json)$/.test(name)) continue;
    const file = join(directory, name);
    const text = await readIfPresent(file);
    const config = text === undefined ? undefined : parseCniConfig(file, text);
    if (config !== undefined) return config;
  }
  return undefined;
}

/** Defaults of the plugins: bridge and flannel use cni0, Azure's uses azure0 unless it is in transparent mode. */
function bridgeOf(plugin: z.infer<typeof pluginSchema>): string | undefined {
  switch (plugin.type) {
    case 'bridge':
      return plugin.bridge ?? 'cni0';
    case 'flannel':
      return plugin.delegate?.type === undefined || plugin.delegate.type === 'bridge'
        ? (plugin.delegate?.bridge ?? 'cni0')
        : undefined;
    case 'azure-vnet':
      return plugin.mode === 'transparent' ? undefined : (plugin.bridge ?? 'azure0');
    default:
      return undefined;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    return { unreadable: cause };
  }
}
