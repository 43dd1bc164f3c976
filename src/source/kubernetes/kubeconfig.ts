import { readFileSync } from 'node:fs';
import type { Agent } from 'node:http';
import type { RequestOptions } from 'node:https';
import { delimiter, dirname, isAbsolute, join } from 'node:path';

import type * as clientNodeModule from '@kubernetes/client-node';
import type { Cluster, KubeConfig, User } from '@kubernetes/client-node';

import { AccessError } from './access.ts';
import type { KubeAccess } from './access.ts';
import { httpsAccess } from './https-access.ts';
import type { Credentials, CredentialSource } from './https-access.ts';

/** Which parts of which kubeconfig to use: kubectl's flags of the same names. */
export interface KubeconfigOptions {
  /** `KUBECONFIG` and `HOME` are read. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly cluster?: string;
  readonly user?: string;
  readonly as?: string;
  readonly asGroups?: readonly string[];
}

type ClientNode = Pick<typeof clientNodeModule, 'KubeConfig' | 'loadYaml'>;

/** The files kubectl would read, first the most important. Not all need exist. */
export function kubeconfigFiles({ kubeconfig, env }: KubeconfigOptions): readonly string[] {
  if (kubeconfig !== undefined) return [kubeconfig];
  const listed = (env['KUBECONFIG'] ?? '').split(delimiter).filter((file) => file !== '');
  if (listed.length > 0) return listed;
  return env['HOME'] === undefined ? [] : [join(env['HOME'], '.kube', 'config')];
}

/**
 * Talks to the API server of a kubeconfig. Contexts, exec plugins, client certificates, tokens and proxies are read by
 * client-node, which is loaded here and nowhere else. Rejects with {@link AccessError} `credentials`.
 */
export async function kubeconfigAccess(options: KubeconfigOptions): Promise<KubeAccess> {
  const clientNode = await import('@kubernetes/client-node');
  let config = load(clientNode, options);
  let stale = false;
  let reading: Promise<Credentials> | undefined;
  const read = async (): Promise<Credentials> => {
    // Exec plugins' answers are remembered within a config: only a new one forgets them.
    if (stale) config = load(clientNode, options);
    stale = false;
    try {
      return await readCredentials(config, options);
    } catch (error) {
      throw failure(`cannot get credentials of user "${config.getCurrentUser()?.name ?? ''}"`, error);
    }
  };
  const credentials: CredentialSource = {
    // One at a time: a plugin that hangs must not be started once more by every request.
    read: () => (reading ??= read().finally(() => (reading = undefined))),
    invalidate: () => {
      stale = true;
    },
  };
  return httpsAccess(config.getCurrentCluster()?.server ?? '', credentials);
}

/** The namespace of the chosen context, if it names one. Rejects with {@link AccessError} `credentials`. */
export async function contextNamespace(options: KubeconfigOptions): Promise<string | undefined> {
  const merged = merge(await import('@kubernetes/client-node'), options);
  return merged.getContextObject(options.context ?? merged.getCurrentContext() ?? '')?.namespace;
}

function load(clientNode: ClientNode, options: KubeconfigOptions): KubeConfig {
  const merged = merge(clientNode, options);
  select(merged, options, kubeconfigFiles(options));
  return merged;
}

function merge(clientNode: ClientNode, options: KubeconfigOptions): KubeConfig {
  const merged = new clientNode.KubeConfig();
  const files = kubeconfigFiles(options);
  for (const file of files) {
    try {
      mergeFile(clientNode, merged, file);
    } catch (error) {
      // KUBECONFIG may list files that are not there; a file asked for by name must be.
      const absent = (error as NodeJS.ErrnoException).code === 'ENOENT' && options.kubeconfig === undefined;
      if (!absent) throw failure(`cannot read kubeconfig ${file}`, error);
    }
  }
  return merged;
}

/** As kubectl merges: whoever names a thing first, wins. */
function mergeFile({ KubeConfig, loadYaml }: ClientNode, merged: KubeConfig, file: string): void {
  const config = new KubeConfig();
  config.loadFromFile(file);
  const tokenFiles = readTokenFiles(loadYaml(readFileSync(file, 'utf8')));
  for (const cluster of config.clusters) if (merged.getCluster(cluster.name) === null) merged.addCluster(cluster);
  for (const context of config.contexts) {
    if (merged.getContextObject(context.name) === null) merged.addContext(context);
  }
  for (const user of config.users) {
    if (merged.getUser(user.name) === null) merged.addUser(complete(user, tokenFiles.get(user.name), dirname(file)));
  }
  if (!merged.currentContext && config.currentContext) merged.setCurrentContext(config.currentContext);
}

/** What client-node leaves out: `tokenFile` (read again by it every minute), and exec commands relative to their file. */
function complete(user: User, tokenFile: string | undefined, folder: string): User {
  const exec = user.exec as { readonly command?: unknown } | null | undefined;
  const command = typeof exec?.command === 'string' ? exec.command : '';
  return {
    ...user,
    ...(tokenFile !== undefined && {
      authProvider: {
        name: 'tokenFile',
        config: { tokenFile: isAbsolute(tokenFile) ? tokenFile : join(folder, tokenFile) },
      },
    }),
    ...(command.includes('/') && !isAbsolute(command) && { exec: { ...exec, command: join(folder, command) } }),
  };
}

function readTokenFiles(raw: unknown): ReadonlyMap<string, string> {
  const { users } = raw as { users?: readonly { name?: string; user?: { tokenFile?: unknown } }[] };
  const found = new Map<string, string>();
  for (const { name, user } of users ?? []) {
    if (name !== undefined && typeof user?.tokenFile === 'string') found.set(name, user.tokenFile);
  }
  return found;
}

/** Makes one context of what the flags ask for. */
function select(config: KubeConfig, options: KubeconfigOptions, files: readonly string[]): void {
  const wanted = options.context ?? config.getCurrentContext() ?? '';
  const context = config.getContextObject(wanted);
  if (context === null && options.context !== undefined) {
    throw failure(`there is no context "${wanted}"; ${listNames(config.contexts, files)}`);
  }
  const cluster = config.getCluster(options.cluster ?? context?.cluster ?? '');
  if (cluster === null) {
    const name = options.cluster ?? context?.cluster;
    throw failure(
      name === undefined
        ? `no context is chosen; ${listNames(config.contexts, files)}`
        : `there is no cluster "${name}"; ${listNames(config.clusters, files)}`,
    );
  }
  const userName = options.user ?? context?.user ?? '';
  const user = config.getUser(userName);
  if (user === null && options.user !== undefined) {
    throw failure(`there is no user "${userName}"; ${listNames(config.users, files)}`);
  }
  config.loadFromClusterAndUser(usable(cluster), withExecInfo(user ?? { name: 'anonymous' }, cluster));
}

/** `kubectl proxy` speaks plain HTTP, which client-node refuses unless told not to verify what cannot be verified. */
function usable(cluster: Cluster): Cluster {
  return cluster.server.startsWith('http:') ? { ...cluster, skipTLSVerify: true } : cluster;
}

/** Exec plugins may insist on knowing which protocol is spoken, and the cluster it is spoken for. */
function withExecInfo(user: User, cluster: Cluster): User {
  const exec = user.exec as
    | { readonly apiVersion?: string; readonly env?: readonly object[]; readonly provideClusterInfo?: boolean }
    | null
    | undefined;
  if (exec === undefined || exec === null) return user;
  const info = {
    apiVersion: exec.apiVersion,
    kind: 'ExecCredential',
    spec: {
      interactive: false,
      ...(exec.provideClusterInfo === true && {
        cluster: {
          server: cluster.server,
          'certificate-authority-data': cluster.caData,
          'insecure-skip-tls-verify': cluster.skipTLSVerify,
        },
      }),
    },
  };
  const env = [...(exec.env ?? []), { name: 'KUBERNETES_EXEC_INFO', value: JSON.stringify(info) }];
  return { ...user, exec: { ...exec, env } };
}

async function readCredentials(config: KubeConfig, options: KubeconfigOptions): Promise<Credentials> {
  const request: RequestOptions = {};
  await config.applyToHTTPSOptions(request);
  const { ca, cert, key, passphrase, servername, rejectUnauthorized } = request;
  const headers = new Map<string, string | readonly string[]>();
  for (const [name, value] of Object.entries(request.headers ?? {})) {
    if (value !== undefined) headers.set(name.toLowerCase(), typeof value === 'number' ? String(value) : value);
  }
  if (typeof request.auth === 'string')
    headers.set('authorization', `Basic ${Buffer.from(request.auth).toString('base64')}`);
  if (options.as !== undefined) headers.set('impersonate-user', options.as);
  if (options.asGroups !== undefined && options.asGroups.length > 0) headers.set('impersonate-group', options.asGroups);
  return {
    tls: {
      ...(ca !== undefined && { ca: ca as Buffer }),
      ...(cert !== undefined && { cert: cert as Buffer }),
      ...(key !== undefined && { key: key as Buffer }),
      ...(passphrase !== undefined && { passphrase }),
      ...(servername !== undefined && { servername }),
      ...(rejectUnauthorized !== undefined && { rejectUnauthorized }),
    },
    headers: Object.fromEntries(headers),
    ...(config.getCurrentCluster()?.proxyUrl !== undefined && { agent: request.agent as Agent }),
  };
}

function listNames(things: readonly { readonly name: string }[], files: readonly string[]): string {
  const names = things.map(({ name }) => name).sort();
  const place = files.length === 0 ? 'no kubeconfig is known' : files.join(', ');
  return names.length === 0 ? `there are none (${place})` : `there are: ${names.join(', ')} (${place})`;
}

function failure(message: string, cause?: unknown): AccessError {
  const why = cause instanceof Error ? `: ${cause.message.trim()}` : '';
  return new AccessError('credentials', message + why, { cause });
}
