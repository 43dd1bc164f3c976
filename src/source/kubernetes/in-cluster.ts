import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

import { AccessError } from './access.ts';
import type { KubeAccess } from './access.ts';
import { httpsAccess } from './https-access.ts';
import type { Credentials, CredentialSource } from './https-access.ts';

/** Where a pod finds its service account. */
export const serviceAccountFolder = '/var/run/secrets/kubernetes.io/serviceaccount';

/** What the kubelet tells a pod about its API server. */
export interface InClusterOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Holds `token` and `ca.crt`; {@link serviceAccountFolder} if absent. */
  readonly folder?: string;
}

/**
 * Talks to the API server of the cluster this process runs in, with nothing but node: `KUBERNETES_SERVICE_HOST` and
 * `_PORT`, the CA file and the token file. Both files are read for every request (there are few), since the kubelet
 * replaces them while we run. Throws {@link AccessError} `credentials` outside a cluster.
 */
export function inClusterAccess(options: InClusterOptions): KubeAccess {
  const host = options.env['KUBERNETES_SERVICE_HOST'];
  const port = options.env['KUBERNETES_SERVICE_PORT'] ?? '443';
  if (host === undefined || host === '') {
    throw new AccessError('credentials', 'not in a cluster: KUBERNETES_SERVICE_HOST is not set');
  }
  const server = `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
  return httpsAccess(server, serviceAccount(options.folder ?? serviceAccountFolder));
}

function serviceAccount(folder: string): CredentialSource {
  return {
    async read(): Promise<Credentials> {
      try {
        const [ca, token] = await Promise.all([
          readFile(join(folder, 'ca.crt'), 'utf8'),
          readFile(join(folder, 'token'), 'utf8'),
        ]);
        return { tls: { ca }, headers: { authorization: `Bearer ${token.trim()}` } };
      } catch (error) {
        throw new AccessError('credentials', `cannot read the service account in ${folder}`, { cause: error });
      }
    },
    invalidate: () => undefined,
  };
}
