import { z } from 'zod';

import { defaultOptions } from '../compiler/options.ts';
import type { EnforcementOptions } from '../compiler/options.ts';
import { parseIp } from '../model/ip.ts';
import type { IpAddress } from '../model/ip.ts';
import { agentOptions } from './option-table.ts';
import type { AgentOptionName } from './option-table.ts';

/** Least severity that is logged. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** An address to listen on. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

const path = z.string().min(1, 'a path is needed');
const name = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, 'a name has lower-case letters, digits, inner hyphens and dots')
  .max(253);
// Patterns where they can say it: they stand in the published schema, which `refine` does not.
const portNumber = '(?:\\d{1,4}|[1-5]\\d{4}|6[0-4]\\d{3}|65[0-4]\\d{2}|655[0-2]\\d|6553[0-5])';
const listen = z
  .string()
  .regex(
    new RegExp(`^(?:off|(?:\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9.-]*):${portNumber})$`),
    'an address is HOST:PORT, [IPV6]:PORT, :PORT for every address, or off',
  );

const nodeDnsForms = 'where DNS on the node stays reachable is auto, off, or addresses separated by commas';
const nodeDns = z
  .string()
  .regex(/^(?:auto|off|[0-9A-Fa-f:.]+(?:, ?[0-9A-Fa-f:.]+)*)$/, { message: nodeDnsForms, abort: true })
  .refine((text) => parseNodeDns(text) !== undefined, { message: nodeDnsForms });

/** What any layer of the configuration may say. */
export interface PartialConfig {
  readonly node?: string | undefined;
  readonly manifests?: string | undefined;
  readonly kubeconfig?: string | undefined;
  readonly context?: string | undefined;
  readonly enforce?: EnforcementOptions['enforce'] | undefined;
  readonly unknownPods?: EnforcementOptions['unknownPods'] | undefined;
  readonly reject?: boolean | undefined;
  readonly policeNodeEgress?: boolean | undefined;
  readonly nodeDns?: string | undefined;
  readonly recordDenied?: boolean | undefined;
  readonly listen?: string | undefined;
  readonly stateDir?: string | undefined;
  readonly readyFile?: string | undefined;
  readonly cniConfDir?: string | undefined;
  readonly cniCacheDir?: string | undefined;
  readonly netnsDir?: string | undefined;
  readonly logLevel?: LogLevel | undefined;
}

function option<T extends z.ZodType>(name: AgentOptionName, schema: T): z.ZodOptional<T> {
  return schema.optional().describe(agentOptions[name].help);
}

/** What may stand in the configuration file: any of the options, and nothing else. */
export const configFileSchema: z.ZodType<PartialConfig> = z.strictObject({
  node: option('node', name),
  manifests: option('manifests', path),
  kubeconfig: option('kubeconfig', path),
  context: option('context', z.string().min(1, 'a name is needed')),
  enforce: option('enforce', z.enum(['every-packet', 'new-connections'])),
  unknownPods: option('unknownPods', z.enum(['drop', 'accept'])),
  reject: option('reject', z.boolean()),
  policeNodeEgress: option('policeNodeEgress', z.boolean()),
  nodeDns: option('nodeDns', nodeDns),
  recordDenied: option('recordDenied', z.boolean()),
  listen: option('listen', listen),
  stateDir: option('stateDir', path),
  readyFile: option('readyFile', path),
  cniConfDir: option('cniConfDir', path),
  cniCacheDir: option('cniCacheDir', path),
  netnsDir: option('netnsDir', path),
  logLevel: option('logLevel', z.enum(['debug', 'info', 'warn', 'error'])),
} satisfies Record<AgentOptionName, z.ZodType>);

/** Everything the agent was told, complete. */
export interface AgentConfig {
  readonly node: string;
  /** A directory instead of an API server. */
  readonly manifests?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly enforcement: EnforcementOptions;
  /** Absent: nothing listens. */
  readonly listen?: ListenAddress;
  /** Absent: nothing is kept for a cold start. */
  readonly stateDir?: string;
  readonly readyFile?: string;
  readonly cniConfDir: string;
  readonly cniCacheDir: string;
  readonly netnsDir: string;
  readonly logLevel: LogLevel;
}

/** Completes what the layers say. `undefined` if no layer names the node. */
export function completeConfig(given: PartialConfig): AgentConfig | undefined {
  const { node, manifests, kubeconfig, context, readyFile } = given;
  if (node === undefined) return undefined;
  const address = parseListen(given.listen ?? '127.0.0.1:9478');
  const stateDir = given.stateDir ?? (manifests === undefined ? '/var/lib/nftpolicy' : 'off');
  return {
    node,
    ...(manifests !== undefined && { manifests }),
    ...(kubeconfig !== undefined && { kubeconfig }),
    ...(context !== undefined && { context }),
    enforcement: {
      enforce: given.enforce ?? defaultOptions.enforce,
      unknownPods: given.unknownPods ?? defaultOptions.unknownPods,
      reject: given.reject ?? defaultOptions.reject,
      policeNodeEgress: given.policeNodeEgress ?? defaultOptions.policeNodeEgress,
      nodeDns: parseNodeDns(given.nodeDns ?? 'auto') ?? defaultOptions.nodeDns,
      recordDenied: given.recordDenied ?? defaultOptions.recordDenied,
    },
    ...(address !== undefined && { listen: address }),
    ...(stateDir !== 'off' && { stateDir }),
    ...(readyFile !== undefined && { readyFile }),
    cniConfDir: given.cniConfDir ?? '/etc/cni/net.d',
    cniCacheDir: given.cniCacheDir ?? '/var/lib/cni',
    netnsDir: given.netnsDir ?? '/run/netns',
    logLevel: given.logLevel ?? 'info',
  };
}

/** Reads `auto`, `off` or addresses separated by commas; `undefined` if it is none of these. */
export function parseNodeDns(text: string): EnforcementOptions['nodeDns'] | undefined {
  if (text === 'auto') return 'auto';
  if (text === 'off') return [];
  const addresses = text.split(',').map((part) => parseIp(part.trim()));
  return addresses.every((address): address is IpAddress => address !== undefined) ? addresses : undefined;
}

/** Reads `HOST:PORT`, `[IPV6]:PORT` or `:PORT`; `undefined` if it is none of these. */
export function parseListen(text: string): ListenAddress | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]*)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535) return undefined;
  const host = match[1] ?? match[2] ?? '';
  return { host: host === '' ? '::' : host, port };
}

/** The JSON Schema of the configuration file. */
export function configJsonSchema(): object {
  return {
    $id: 'https://nftpolicy.dev/schemas/config.json',
    title: 'Configuration file of policy agent',
    ...z.toJSONSchema(configFileSchema),
  };
}
