import type { Question } from '../explain/explain.ts';
import type { Unread } from '../explain/unread.ts';
import type { LoadedManifests } from '../source/manifests/files.ts';
import { objectTitle } from '../source/object-name.ts';
import type { Context } from './context.ts';
import { loadInputs } from './explain/load-inputs.ts';
import type { InputFlags } from './explain/load-inputs.ts';
import type { LiveApi } from './live-api.ts';
import type { LiveFlags } from './live-cluster.ts';

/** Everything that says where the objects of a question come from. */
export interface ExplainSources extends InputFlags, LiveFlags {
  readonly namespace?: string | undefined;
}

/** What was read, and what could not be. The error is a reason not to go on. */
export type ExplainInputs =
  | {
      readonly ok: true;
      readonly loaded: LoadedManifests;
      readonly names: readonly string[];
      /** Of ends that name none. */
      readonly namespace: string;
      /** Of a cluster only. */
      readonly unread?: Unread;
      /** The cluster, for further questions; whoever gets it closes it. */
      readonly api?: LiveApi;
    }
  | { readonly ok: false; readonly error: string };

/** Whether a cluster is read: without manifests, or when a context is given besides. */
export function asksCluster({ filename, kustomize, context }: ExplainSources): boolean {
  return (filename.length === 0 && kustomize === undefined) || context !== undefined;
}

/** Reads manifests, a cluster, or both; of two objects with one name that of the manifests counts. */
export async function readInputs(context: Context, flags: ExplainSources, question: Question): Promise<ExplainInputs> {
  const hasFiles = flags.filename.length > 0 || flags.kustomize !== undefined;
  const files = hasFiles ? loadInputs(context, flags) : undefined;
  if (files?.ok === false) return files;
  if (!asksCluster(flags)) {
    const { loaded, names } = files ?? { loaded: nothing, names: [] };
    return { ok: true, loaded, names, namespace: flags.namespace ?? 'default' };
  }
  const { isLiveFailure, liveNamespace, readLive } = await import('./live-cluster.ts');
  try {
    const namespace = flags.namespace ?? (await liveNamespace(context, flags));
    const { from, to, port, dns, dnsService } = question;
    const live = await readLive(context, flags, {
      from,
      to,
      ...(port === undefined ? {} : { port }),
      namespace,
      ...(dns ? { dnsNamespace: dnsService.namespace } : {}),
    });
    return {
      ok: true,
      namespace,
      loaded: files === undefined ? live.loaded : over(live.loaded, files.loaded),
      names: [...(files?.names ?? []), live.name],
      unread: live.unread,
      api: live.api,
    };
  } catch (error) {
    if (!isLiveFailure(error)) throw error;
    const chosen = [flags.kubeconfig, flags.context, flags.cluster, flags.user].some((flag) => flag !== undefined);
    const hint = chosen
      ? ''
      : 'no manifests: give files or directories with -f, or a cluster with --kubeconfig or --context; ';
    return { ok: false, error: hint + error.message };
  }
}

const nothing: LoadedManifests = { objects: [], others: [], diagnostics: [], files: [] };

function over(below: LoadedManifests, above: LoadedManifests): LoadedManifests {
  const titles = new Set(above.objects.map(({ object }) => objectTitle(object)));
  return {
    objects: [...below.objects.filter(({ object }) => !titles.has(objectTitle(object))), ...above.objects],
    others: [...below.others, ...above.others],
    diagnostics: [...below.diagnostics, ...above.diagnostics],
    files: above.files,
  };
}
