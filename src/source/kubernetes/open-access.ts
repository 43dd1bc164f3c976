import { existsSync, readFileSync } from 'node:fs';

import type { KubeAccess, KubeRequest, KubeResponse } from './access.ts';
import { AccessError } from './access.ts';
import { inClusterAccess, serviceAccountFolder } from './in-cluster.ts';
import type { KubeconfigOptions } from './kubeconfig.ts';

/** Everything that says which API server is meant, and as whom. */
export interface AccessOptions extends KubeconfigOptions {
  /** For one request that is no watch, in milliseconds. */
  readonly requestTimeoutMs?: number;
}

/**
 * Chooses as kubectl does: the kubeconfig that is asked for, else `KUBECONFIG`, else `~/.kube/config`, else the cluster
 * this process runs in. In a cluster nothing but node is loaded. Rejects with {@link AccessError} `credentials`.
 */
export async function openAccess(options: AccessOptions): Promise<KubeAccess> {
  const { env, requestTimeoutMs } = options;
  const access = wantsKubeconfig(options)
    ? await (await import('./kubeconfig.ts')).kubeconfigAccess(options)
    : inClusterAccess({ env });
  return requestTimeoutMs === undefined || requestTimeoutMs === 0 ? access : withTimeout(access, requestTimeoutMs);
}

/** The namespace meant where none is given: the context's, or the one this process runs in. */
export async function defaultNamespace(options: AccessOptions): Promise<string | undefined> {
  if (wantsKubeconfig(options)) return await (await import('./kubeconfig.ts')).contextNamespace(options);
  const file = `${serviceAccountFolder}/namespace`;
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}

/** Parses kubectl's `--request-timeout`: seconds, or a number with `ms`, `s`, `m` or `h`. `undefined` if it is neither. */
export function parseRequestTimeout(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)?$/.exec(text);
  if (match === null) return undefined;
  const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }[(match[2] ?? 's') as 'ms' | 's' | 'm' | 'h'];
  return Number(match[1]) * unitMs;
}

function wantsKubeconfig({ env, kubeconfig, context, cluster, user }: AccessOptions): boolean {
  if ([kubeconfig, context, cluster, user].some((flag) => flag !== undefined)) return true;
  if ((env['KUBECONFIG'] ?? '') !== '') return true;
  if (env['HOME'] !== undefined && existsSync(`${env['HOME']}/.kube/config`)) return true;
  if ((env['KUBERNETES_SERVICE_HOST'] ?? '') !== '') return false;
  throw new AccessError(
    'credentials',
    'no API server is known: there is no ~/.kube/config, KUBECONFIG is not set, and this is no pod of a cluster',
  );
}

/** A watch may be quiet for long: its deadlines are the reflector's. */
function withTimeout(access: KubeAccess, timeoutMs: number): KubeAccess {
  return {
    ...access,
    request: (request: KubeRequest): Promise<KubeResponse> => {
      if (request.query?.has('watch') === true) return access.request(request);
      return access.request({ ...request, signal: AbortSignal.any([request.signal, AbortSignal.timeout(timeoutMs)]) });
    },
  };
}
