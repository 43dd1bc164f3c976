import { NftError } from 'nftables-json';

import { readDenied } from '../../enforcer/denied.ts';
import type { DeniedFlow } from '../../enforcer/denied.ts';
import { installedBindings } from '../../enforcer/installed-bindings.ts';
import { readInstalledRules } from '../../enforcer/installed-rules.ts';
import { ListedTables } from '../../enforcer/listed-tables.ts';
import type { Cluster } from '../../explain/cluster.ts';
import { createDirectory } from '../../explain/ends.ts';
import type { EndRef, Explanation, FlowStep } from '../../explain/explanation.ts';
import { compareFlow } from '../../explain/installed.ts';
import type { InstalledNode } from '../../explain/installed.ts';
import type { Installed, InstalledFlow } from '../../explain/installed-answer.ts';
import { flowOf, nodesOf } from '../../explain/installed-flow.ts';
import type { FlowPlace } from '../../explain/installed-flow.ts';
import { withNodes } from '../../explain/installed-verdict.ts';
import type { NodeFinding } from '../../explain/installed-verdict.ts';
import type { Flow } from '../../model/flow.ts';
import { nodeName, podKey } from '../../model/names.ts';
import type { NodeName } from '../../model/names.ts';
import { agentAddress } from '../agent-client.ts';
import { agentLabels, AgentPodError, askAgentPod } from '../agent-pods.ts';
import type { Context } from '../context.ts';
import { insistsOnKernel, ownName } from '../explain/kernel-question.ts';
import type { KernelFlags } from '../explain/kernel-question.ts';
import { askStatus, listTables } from '../explain/node-report.ts';
import type { AgentAnswer, NodeReport } from '../explain/node-report.ts';
import type { LiveApi } from '../live-api.ts';
import { followPacket } from './explain-trace.ts';

/** The flags that ask about nodes. */
export interface InstalledFlags extends KernelFlags {
  /** Where the agent of this node answers. */
  readonly agent: string;
  /** Where the pods of the agent are. */
  readonly agentNamespace: string;
  /** Follow a real packet for at most this many seconds. */
  readonly trace?: number | undefined;
}

/** A kernel could not be asked, and the question insisted. */
export class InstalledError extends Error {
  override readonly name = 'InstalledError';
  readonly code = 'kernel-unreadable';
}

/** A question about two deployments may touch every node; more than these are not asked. */
const maxNodes = 16;

/**
 * Adds what kernels do to an answer: that of this node, and with a cluster those of each end's node, asked through their
 * agents' pods. Unless the flags insist it answers as before where it may not look. Throws {@link InstalledError} if it
 * must and cannot.
 */
export async function askInstalled(
  context: Context,
  cluster: Cluster,
  explanation: Explanation,
  flags: InstalledFlags,
  api?: LiveApi,
): Promise<Explanation> {
  const address = agentAddress(flags.agent);
  if (address === undefined) throw new InstalledError(`--agent ${flags.agent} cannot be used: HOST:PORT is needed`);
  const agent = await askStatus(address, context.signal);
  const own = nodeName(agent.report?.node ?? ownName(context));
  // Without a cluster, and to trace, only this node can be meant.
  const here = api === undefined || flags.trace !== undefined ? nodeName(flags.node ?? own) : own;
  const steps = explanation.steps.filter((step) => step.kind === 'flow');
  const { local, remote, left } = nodesToAsk(context, cluster, steps, flags, here, api !== undefined);
  const asked = await Promise.all([
    ...(local ? [askHere(context, cluster, steps, flags, here, agent)] : []),
    ...(api === undefined ? [] : remote.map((node) => askThere(cluster, steps, flags, node, api))),
  ]);
  const readings = asked.filter((reading) => reading !== undefined);
  if (readings.length === 0) return explanation;
  const findings = readings.map(({ finding }) => finding);
  const nodeOf = (end: EndRef): NodeName | undefined =>
    end.kind === 'Pod' ? cluster.snapshot.pods.get(podKey(end.namespace, end.name))?.node : undefined;
  const installed = await Promise.all(
    readings.map(({ found, rules, flows }) => traced(context, found, rules, flows, flags.trace)),
  );
  const [first] = installed;
  if (left > 0 && first !== undefined) {
    const warnings = [...first.warnings, `${left} more nodes are at an end and were not asked: --node NAME asks one`];
    installed[0] = { ...first, warnings };
  }
  return { ...withNodes(explanation, findings, nodeOf), installed };
}

/** What one node came to. */
interface Reading {
  readonly finding: NodeFinding;
  readonly found: Installed;
  /** To follow a packet by; this node only. */
  readonly rules?: InstalledNode;
  readonly flows: readonly Flow[];
}

function nodesToAsk(
  context: Context,
  cluster: Cluster,
  steps: readonly FlowStep[],
  flags: InstalledFlags,
  here: NodeName,
  live: boolean,
): { readonly local: boolean; readonly remote: readonly NodeName[]; readonly left: number } {
  // Only this kernel can be traced; without a cluster there is nobody to ask about another.
  if (!live || flags.trace !== undefined || !insistsOnKernel(flags)) return { local: true, remote: [], left: 0 };
  const atEnds = [...new Set(steps.flatMap((step) => nodesOf(cluster, step)))].sort();
  const wanted = flags.node === undefined ? atEnds : [nodeName(flags.node)];
  const isHere = (node: NodeName): boolean => node === here || node === ownName(context);
  const remote = wanted.filter((node) => !isHere(node));
  // Nobody's node: what is here is looked at, as everywhere without a cluster.
  const local = wanted.length === 0 || wanted.some(isHere);
  return { local, remote: remote.slice(0, maxNodes), left: Math.max(0, remote.length - maxNodes) };
}

/** The kernel of this node. `undefined` if it may not be read and need not. */
async function askHere(
  context: Context,
  cluster: Cluster,
  steps: readonly FlowStep[],
  flags: InstalledFlags,
  node: NodeName,
  agent: AgentAnswer,
): Promise<Reading | undefined> {
  try {
    const tables = new ListedTables(await listTables(context.signal));
    return await compare(cluster, steps, flags, node, { tables, agent });
  } catch (error) {
    if (!(error instanceof NftError)) throw error;
    if (!insistsOnKernel(flags)) return undefined;
    throw new InstalledError(`cannot read the kernel's rules: ${error.message}`, { cause: error });
  }
}

/** The kernel of another node, through the pod of its agent. */
async function askThere(
  cluster: Cluster,
  steps: readonly FlowStep[],
  flags: InstalledFlags,
  node: NodeName,
  api: LiveApi,
): Promise<Reading | undefined> {
  let report: NodeReport | undefined;
  try {
    report = await askAgentPod(api, flags.agentNamespace, node);
  } catch (error) {
    if (!(error instanceof AgentPodError)) throw error;
    throw new InstalledError(error.message, { cause: error });
  }
  if (report !== undefined) return await compare(cluster, steps, flags, node, report);
  const warnings = [
    `no pod with ${agentLabels} runs on ${node} in namespace ${flags.agentNamespace} (--agent-namespace): nobody enforces policy there, or rules that an agent left are all there is`,
  ];
  return {
    finding: { node, met: new Map(), open: true },
    found: { node, state: 'no-agent', flows: [], warnings },
    flows: [],
  };
}

async function compare(
  cluster: Cluster,
  steps: readonly FlowStep[],
  flags: InstalledFlags,
  node: NodeName,
  { tables, agent }: NodeReport,
): Promise<Reading | undefined> {
  const rules = await readInstalledRules(tables);
  if (rules === undefined) {
    const atEnd = steps.some((step) => nodesOf(cluster, step).includes(node));
    if (!atEnd && !insistsOnKernel(flags)) return undefined;
    const why = agent.problem === undefined ? '' : `; ${agent.problem}`;
    const warnings = [`no agent enforces policy on ${node}: all its traffic passes${why}`];
    return {
      finding: { node, met: new Map(), open: true },
      found: { node, state: 'absent', flows: [], warnings },
      flows: [],
    };
  }
  const denied = await readDenied(tables);
  const { snapshot } = cluster;
  const bindings = installedBindings(rules.ruleset, snapshot.pods.values(), agent.report?.pods ?? []);
  const place: FlowPlace = { snapshot, directory: createDirectory(snapshot), node, bindings };
  const trouble = troubleOf(agent);
  const installed: InstalledNode = {
    node,
    ruleset: rules.ruleset,
    bindings,
    strange: rules.strange,
    ...(trouble === undefined ? {} : { trouble }),
    denied: (flow) => recorded(denied, flow),
  };
  const asked = steps.flatMap((step) =>
    [step, ...(step.otherFamilies ?? [])].flatMap((inFamily) => {
      const flow = flowOf(place, inFamily);
      return flow === undefined || !passesNode(flow, node) ? [] : [{ step, inFamily, flow }];
    }),
  );
  if (asked.length === 0 && !insistsOnKernel(flags)) return undefined;
  const met = new Map<FlowStep, InstalledFlow[]>();
  for (const { step, inFamily, flow } of asked)
    met.set(step, [...(met.get(step) ?? []), compareFlow(installed, inFamily, flow)]);
  const warnings =
    asked.length === 0
      ? [`no pod of ${node} is at an end of this flow with a known address: its rules were not compared`]
      : warningsOf(agent, steps);
  return {
    finding: { node, met, open: false },
    found: { node, state: 'read', flows: [...met.values()].flat(), warnings },
    rules: installed,
    flows: asked.map(({ flow }) => flow),
  };
}

/** With a packet that was followed, if the flags ask for one: the first flow whose verdict is worst, else the first. */
async function traced(
  context: Context,
  found: Installed,
  rules: InstalledNode | undefined,
  flows: readonly Flow[],
  seconds: number | undefined,
): Promise<Installed> {
  if (seconds === undefined || rules === undefined) return found;
  const worst = found.flows.findIndex(
    ({ differences, verdict }: InstalledFlow) => differences.length > 0 || verdict === 'DENIED',
  );
  const flow = flows[Math.max(0, worst)];
  const trace = flow === undefined ? undefined : await followPacket(context, rules, flow, seconds);
  return trace === undefined ? found : { ...found, trace };
}

function passesNode(flow: Flow, node: NodeName): boolean {
  return [flow.from, flow.to].some((end) => end.kind === 'pod' && end.pod.node === node);
}

function recorded(denied: readonly DeniedFlow[], { from, to, protocol, port }: Flow): number | undefined {
  return denied.find(
    (entry) =>
      entry.from === from.address &&
      entry.to === to.address &&
      entry.protocol === protocol.toLowerCase() &&
      entry.port === port,
  )?.packets;
}

/** Why the rules may be older than the objects. */
function troubleOf({ report }: AgentAnswer): string | undefined {
  const { lastApply, refusals = [], problems = [] } = report ?? {};
  if (lastApply?.ok === false) {
    const seconds = Math.max(0, Math.round((Date.now() - Date.parse(lastApply.at)) / 1000));
    return `the last apply failed ${seconds} s ago: ${lastApply.error ?? 'no reason given'}`;
  }
  const refusal = refusals.find(({ severity }) => severity === 'refuse');
  if (refusal !== undefined) return `the agent refuses this node: ${refusal.why}`;
  const [problem] = problems;
  return problem === undefined ? undefined : `not in the kernel: ${problem.message}`;
}

function warningsOf({ report, problem }: AgentAnswer, steps: readonly FlowStep[]): readonly string[] {
  const warnings: string[] = [];
  if (problem !== undefined) warnings.push(`${problem}; these rules are what an agent left, and nobody renews them`);
  if (report !== undefined && report.state !== 'enforcing')
    warnings.push(`the agent is ${report.state}: its rules may be older than its objects`);
  const toNode = steps.some((step) => step.to.kind === 'Node');
  if (report?.options.policeNodeEgress === true && toNode)
    warnings.push('this agent polices egress to its own node: ask with --police-node-egress');
  return warnings;
}
