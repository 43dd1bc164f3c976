import type { Clock } from '../enforcer/clock.ts';
import type { NodeName } from '../model/names.ts';
import { AccessError, readBody } from '../source/kubernetes/access.ts';
import type { KubeAccess } from '../source/kubernetes/access.ts';
import { readRefusal } from '../source/kubernetes/api-status.ts';
import type { Store } from '../source/store.ts';
import type { Logger } from './logger.ts';

/** Keeps pods off a node until it is enforced. Whoever registers the node sets it, its agent takes it off. */
export const startupTaint = 'nftpolicy.dev/agent-not-ready';

/** Parts of {@link removeStartupTaint}. */
export interface StartupTaintOptions {
  readonly access: KubeAccess;
  readonly node: NodeName;
  readonly store: Pick<Store, 'snapshot'>;
  /** Whether everything is in the kernel. */
  readonly isEnforced: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

const lookMs = 1_000;
/** Until the store has heard of the removal, in milliseconds; also before the next try. */
const pauseMs = 10_000;
const requestMs = 10_000;

/**
 * Takes the start-up taint off the node whenever it has it and is enforced, until aborted: a node that is registered
 * again brings it again. What fails is said once and tried again; nothing depends on it but pods that do not come.
 */
export async function removeStartupTaint(options: StartupTaintOptions, signal: AbortSignal): Promise<void> {
  const { node, store, isEnforced, clock, logger } = options;
  let said: string | undefined;
  while (!signal.aborted) {
    const taints = store.snapshot().nodes.get(node)?.taints ?? [];
    if (!taints.includes(startupTaint) || !isEnforced()) {
      await clock.sleep(lookMs, signal);
      continue;
    }
    const problem = await remove(options, taints, signal);
    if (signal.aborted) return;
    if (problem === undefined)
      logger.info({ node, taint: startupTaint }, 'this node is enforced: its start-up taint is off');
    else if (problem !== said) {
      logger.error({ node, taint: startupTaint }, `the start-up taint stays, and keeps pods off this node: ${problem}`);
    }
    said = problem;
    await clock.sleep(pauseMs, signal);
  }
}

/** Why it is still there. */
async function remove(
  { access, node }: StartupTaintOptions,
  taints: readonly string[],
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const response = await access.request({
      method: 'PATCH',
      path: `/api/v1/nodes/${node}`,
      headers: { 'content-type': 'application/json-patch+json' },
      signal: AbortSignal.any([signal, AbortSignal.timeout(requestMs)]),
      body: JSON.stringify(patchOf(taints)),
    });
    const body = await readBody(response, 4_000_000);
    if (response.status >= 200 && response.status < 300) return undefined;
    const { message } = readRefusal(response.status, response.headers, body, Date.now());
    const help = response.status === 403 ? `. Grant verbs ["patch"] on resources ["nodes"] in apiGroups [""]` : '';
    return `the API server answered ${response.status}: ${message}${help}`;
  } catch (error) {
    if (error instanceof AccessError) return error.message;
    throw error;
  }
}

/** By place, from the last: and only while ours is there, so that a list that has changed refuses the patch. */
function patchOf(taints: readonly string[]): readonly object[] {
  return [...taints.entries()]
    .filter(([, key]) => key === startupTaint)
    .toReversed()
    .flatMap(([index, key]) => [
      { op: 'test', path: `/spec/taints/${index}/key`, value: key },
      { op: 'remove', path: `/spec/taints/${index}` },
    ]);
}
