import { NftError } from 'nftables-json';
import { z } from 'zod';

import { AccessError } from '../source/kubernetes/access.ts';
import { execInPod } from '../source/kubernetes/pod-exec.ts';
import type { PodCommandResult } from '../source/kubernetes/pod-exec.ts';
import { parseNodeReport } from './explain/node-report.ts';
import type { NodeReport } from './explain/node-report.ts';
import { readCollection } from './live-api.ts';
import type { LiveApi } from './live-api.ts';

/** The labels that `deploy/kustomize` gives the pods of the agent. */
export const agentLabels = 'app.kubernetes.io/name=nftpolicy';

/** The container that `deploy/kustomize` runs the agent in. */
export const agentContainer = 'agent';
/** Every program of ours starts within a fraction of that. */
const execTimeoutMs = 30_000;
const maxReportBytes = 128 * 1024 * 1024;

/** A node could not be asked; the message says what would help. */
export class AgentPodError extends Error {
  override readonly name = 'AgentPodError';
  readonly code = 'agent-pod';
}

const podSchema = z.object({
  metadata: z.object({
    name: z.string(),
    creationTimestamp: z.string().optional(),
    deletionTimestamp: z.string().optional(),
  }),
  spec: z.object({ containers: z.array(z.object({ name: z.string() })) }),
  status: z.object({ phase: z.string().optional() }).optional(),
});

/**
 * Asks the agent's pod on a node for the rules there, over `pods/exec`: nothing listens for strangers, and the API server
 * decides who may ask. `undefined` if no such pod runs there. Throws {@link AgentPodError}, LiveError or AccessError.
 */
export async function askAgentPod(api: LiveApi, namespace: string, node: string): Promise<NodeReport | undefined> {
  const selector = { labels: agentLabels, fields: `spec.nodeName=${node}` };
  const found = await readCollection(api, { kind: 'Pod', apiVersion: 'v1', plural: 'pods', namespace, selector });
  if (found.kind !== 'read') {
    throw new AgentPodError(
      `cannot look for the agent of ${node}: allow "list" on pods in namespace ${namespace} (Role), or ask as somebody who may (--as, --user)`,
    );
  }
  const running = found.objects
    .map((raw) => podSchema.parse(raw))
    .filter(({ metadata, status }) => status?.phase === 'Running' && metadata.deletionTimestamp === undefined)
    .sort((a, b) => ((a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? 1 : -1));
  const [pod] = running;
  if (pod === undefined) return undefined;
  const { containers } = pod.spec;
  const container = containers.find(({ name }) => name === agentContainer) ?? containers[0];
  const place = `pod ${namespace}/${pod.metadata.name} on ${node}`;
  const result = await execInPod(api.access, {
    namespace,
    pod: pod.metadata.name,
    container: container?.name ?? agentContainer,
    command: ['policy', 'installed'],
    maxBytes: maxReportBytes,
    signal: AbortSignal.any([api.signal, AbortSignal.timeout(api.timeoutMs === 0 ? execTimeoutMs : api.timeoutMs)]),
  }).catch((error: unknown) => {
    if (!(error instanceof AccessError) || api.signal.aborted) throw error;
    const why = error.code === 'aborted' ? 'it did not answer in time (--request-timeout)' : error.message;
    throw new AgentPodError(`cannot ask ${place}: ${why}`, { cause: error });
  });
  return readReport(result, place, namespace);
}

function readReport(result: PodCommandResult, place: string, namespace: string): NodeReport {
  if (result.kind === 'refused') {
    const { code, message } = result.status;
    throw new AgentPodError(
      code === 403
        ? `cannot ask ${place}: allow "get" and "create" on pods/exec in namespace ${namespace} (Role), or ask as somebody who may (--as, --user)`
        : `cannot ask ${place}: ${message === '' ? `the API server answered ${code}` : message}`,
    );
  }
  const { exitCode, stdout, stderr } = result;
  const [said = ''] = stderr.trim().split('\n');
  if (exitCode !== 0 && said.includes("unknown command 'installed'"))
    throw new AgentPodError(`cannot ask ${place}: its nftpolicy is older than this one, and has no "policy installed"`);
  if (exitCode !== 0) throw new AgentPodError(`cannot ask ${place}: ${said === '' ? `exit code ${exitCode}` : said}`);
  try {
    const report = parseNodeReport(stdout);
    if (report !== undefined) return report;
  } catch (error) {
    if (!(error instanceof NftError)) throw error;
    throw new AgentPodError(`cannot read the rules of ${place}: ${error.message}`, { cause: error });
  }
  throw new AgentPodError(`cannot read what ${place} answers: its nftpolicy is another version`);
}
