import { NftError, NftProcess } from 'nftables-json';

import { readDataplane } from '../enforcer/readback.ts';
import { DirectorySource } from '../source/directory.ts';
import type { KubeAccess } from '../source/kubernetes/access.ts';
import { inClusterAccess } from '../source/kubernetes/in-cluster.ts';
import { jsonCodec } from '../source/kubernetes/json-codec.ts';
import { KubernetesSource } from '../source/kubernetes/kubernetes-source.ts';
import { openAccess } from '../source/kubernetes/open-access.ts';
import { podProtobufCodec } from '../source/kubernetes/protobuf-codec.ts';
import { policedPods, resourceOf, unfinishedPods } from '../source/kubernetes/resource.ts';
import type { Source } from '../source/source.ts';
import type { AgentConfig } from './config.ts';

/** Where objects come from. */
export interface OpenedSource {
  readonly source: Source;
  /** Of an API server: its access, for Events, and the source again, for its counters. */
  readonly api?: { readonly access: KubeAccess; readonly source: KubernetesSource };
  /** For people: a directory or a URL. */
  readonly description: string;
}

/**
 * Opens the source the configuration names: a directory, a kubeconfig, or the cluster this process runs in. Rejects
 * with AccessError `credentials` if no API server is known.
 */
export async function openSource(
  config: Pick<AgentConfig, 'node' | 'manifests' | 'kubeconfig' | 'context'>,
  env: Readonly<Record<string, string | undefined>>,
): Promise<OpenedSource> {
  const { node, manifests, kubeconfig, context } = config;
  if (manifests !== undefined) {
    return { source: new DirectorySource(manifests, { awaitsAll: kernelHasRules }), description: manifests };
  }
  const asked = kubeconfig !== undefined || context !== undefined;
  const access =
    !asked && (env['KUBERNETES_SERVICE_HOST'] ?? '') !== ''
      ? inClusterAccess({ env })
      : await openAccess({
          env,
          ...(kubeconfig !== undefined && { kubeconfig }),
          ...(context !== undefined && { context }),
        });
  const source = new KubernetesSource({
    access,
    resources: [
      resourceOf('Namespace'),
      resourceOf('NetworkPolicy'),
      resourceOf('Pod', policedPods, unfinishedPods),
      resourceOf('Node', `metadata.name=${node}`),
    ],
    codec: (resource) => (resource.kind === 'Pod' ? podProtobufCodec() : jsonCodec(resource)),
  });
  return { source, api: { access, source }, description: access.server };
}

/** Rules that cannot be read are rules. */
async function kernelHasRules(): Promise<boolean> {
  try {
    return (await readDataplane(new NftProcess())).size > 0;
  } catch (error) {
    if (error instanceof NftError) return true;
    throw error;
  }
}
