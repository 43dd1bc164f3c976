import { NftError, NftProcess } from 'nftables-json';

import type { ListenAddress } from '../../agent/config.ts';
import type { StatusReport } from '../../controller/status-report.ts';
import { readDenied } from '../../enforcer/denied.ts';
import type { DeniedFlow } from '../../enforcer/denied.ts';
import { installedBindings } from '../../enforcer/installed-bindings.ts';
import { readInstalledRules } from '../../enforcer/installed-rules.ts';
import { traceFlow } from '../../enforcer/trace.ts';
import type { TraceFlow } from '../../enforcer/trace.ts';
import { tracedPath } from '../../enforcer/trace-text.ts';
import type { Cluster } from '../../explain/cluster.ts';
import { createDirectory } from '../../explain/ends.ts';
import type { EndRef, Explanation, FlowStep } from '../../explain/explanation.ts';
import {
  compareFlow,
  installedPath,
  runInstalled,
  withInstalled,
  withNothingInstalled,
} from '../../explain/installed.ts';
import type { InstalledNode } from '../../explain/installed.ts';
import type { Installed, InstalledFlow, InstalledStep, TracedPath } from '../../explain/installed-answer.ts';
import { flowOf, nodesOf } from '../../explain/installed-flow.ts';
import type { FlowPlace } from '../../explain/installed-flow.ts';
import { nodeCommands } from '../../host/commands.ts';
import type { Flow } from '../../model/flow.ts';
import { nodeName, podKey } from '../../model/names.ts';
import type { NodeName } from '../../model/names.ts';
import { AgentError, agentAddress, askAgent } from '../agent-client.ts';
import type { Context } from '../context.ts';
import { guessNode, insistsOnKernel } from '../explain/kernel-question.ts';
import type { KernelFlags } from '../explain/kernel-question.ts';

/** The flags that ask about the node this runs on. */
export interface InstalledFlags extends KernelFlags {
  /** Where the agent of this node answers. */
  readonly agent: string;
  /** Follow a real packet for at most this many seconds. */
  readonly trace?: number | undefined;
}

/** The kernel of this node could not be asked, and the question insisted. */
export class InstalledError extends Error {
  override readonly name = 'InstalledError';
  readonly code = 'kernel-unreadable';
}

/**
 * Adds what the kernel of this node does to an answer. Unless the flags insist it answers as before if it may not look. Throws {@link InstalledError} if it must and cannot.
 */
export async function askInstalled(
  context: Context,
  cluster: Cluster,
  explanation: Explanation,
  flags: InstalledFlags,
): Promise<Explanation> {
  const insists = insistsOnKernel(flags);
  const steps = explanation.steps.filter((step) => step.kind === 'flow');
  const status = await askStatus(context, flags.agent);
  const node = nodeName(flags.node ?? status.report?.node ?? guessNode(context, flags));
  let rules: Awaited<ReturnType<typeof readInstalledRules>>;
  let denied: readonly DeniedFlow[] = [];
  const executor = new NftProcess();
  try {
    rules = await readInstalledRules(executor, { signal: context.signal });
    if (rules !== undefined) denied = await readDenied(executor, { signal: context.signal });
  } catch (error) {
    if (!(error instanceof NftError)) throw error;
    if (!insists) return explanation;
    throw new InstalledError(`cannot read the kernel's rules: ${error.message}`, { cause: error });
  }
  const directory = createDirectory(cluster.snapshot);
  if (rules === undefined) {
    const here = steps.some((step) => nodesOf(cluster, step).includes(node));
    if (!here && flags.installed !== 'require') return explanation;
    const warnings = [
      `no agent enforces policy on ${node}: all its traffic passes${status.problem === undefined ? '' : `; ${status.problem}`}`,
    ];
    const absent: Installed = { node, state: 'absent', flows: [], warnings };
    const isHere = (end: EndRef): boolean =>
      end.kind === 'Pod' && cluster.snapshot.pods.get(podKey(end.namespace, end.name))?.node === node;
    return { ...withNothingInstalled(explanation, isHere), installed: absent };
  }
  const bindings = installedBindings(rules.ruleset, cluster.snapshot.pods.values(), status.report?.pods ?? []);
  const place: FlowPlace = { snapshot: cluster.snapshot, directory, node, bindings };
  const trouble = troubleOf(status.report);
  const installed: InstalledNode = {
    node,
    ruleset: rules.ruleset,
    bindings,
    strange: rules.strange,
    ...(trouble === undefined ? {} : { trouble }),
    denied: (flow) => recorded(denied, flow),
  };
  const asked = steps.flatMap((step) => {
    const flow = flowOf(place, step);
    return flow === undefined || !passesNode(flow, node) ? [] : [{ step, flow }];
  });
  if (asked.length === 0) {
    if (!insists) return explanation;
    const warnings = [`no pod of ${node} is at an end of this flow with a known address: its rules were not compared`];
    return { ...explanation, installed: { node, state: 'read', flows: [], warnings } };
  }
  const met = new Map(asked.map(({ step, flow }) => [step, compareFlow(installed, step, flow)]));
  const flows = [...met.values()];
  const trace =
    flags.trace === undefined ? undefined : await followPacket(context, installed, asked, flows, flags.trace);
  const found: Installed = {
    node,
    state: 'read',
    flows,
    warnings: warningsOf(status, explanation),
    ...(trace === undefined ? {} : { trace }),
  };
  return { ...withInstalled(explanation, met), installed: found };
}

interface AgentAnswer {
  readonly report?: StatusReport;
  /** Why there is none. */
  readonly problem?: string;
}

async function askStatus(context: Context, text: string): Promise<AgentAnswer> {
  const address: ListenAddress | undefined = agentAddress(text);
  if (address === undefined) throw new InstalledError(`--agent ${text} cannot be used: HOST:PORT is needed`);
  try {
    return { report: await askAgent<StatusReport>(address, '/status', context.signal) };
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    return { problem: error.message };
  }
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
function troubleOf(report: StatusReport | undefined): string | undefined {
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

function warningsOf({ report, problem }: AgentAnswer, explanation: Explanation): readonly string[] {
  const warnings: string[] = [];
  if (problem !== undefined) warnings.push(`${problem}; these rules are what an agent left, and nobody renews them`);
  if (report !== undefined && report.state !== 'enforcing')
    warnings.push(`the agent is ${report.state}: its rules may be older than its objects`);
  const toNode = explanation.steps.some((step) => step.kind === 'flow' && step.to.kind === 'Node');
  if (report?.options.policeNodeEgress === true && toNode)
    warnings.push('this agent polices egress to its own node: ask with --police-node-egress');
  return warnings;
}

/** Follows the first flow whose verdict is worst, else the first. */
async function followPacket(
  context: Context,
  installed: InstalledNode,
  asked: readonly { readonly step: FlowStep; readonly flow: Flow }[],
  flows: readonly InstalledFlow[],
  seconds: number,
): Promise<TracedPath | undefined> {
  const index = Math.max(
    0,
    flows.findIndex(({ differences, verdict }) => differences.length > 0 || verdict === 'DENIED'),
  );
  const flow = asked[index]?.flow;
  const packet = flow === undefined ? undefined : toTraceFlow(flow);
  if (flow === undefined || packet === undefined) return undefined;
  const target = packet.port === undefined ? packet.protocol : `${packet.protocol} ${packet.port}`;
  context.stderr.write(
    `tracing ${packet.from} -> ${packet.to} ${target} for up to ${seconds} s: waiting for real traffic\n`,
  );
  const { lines } = await traceFlow(packet, {
    commands: nodeCommands(),
    timeoutMs: seconds * 1000,
    bridge: installed.ruleset.has('bridge'),
    signal: context.signal,
  });
  const kernel = tracedPath(lines, 'nftpolicy') as readonly InstalledStep[];
  const run = runInstalled(installed, flow);
  const simulated = run.ok ? run.value.flatMap(installedPath) : [];
  const state = lines.length === 0 ? 'none' : kernel.some(({ chain }) => chain === 'prologue') ? 'established' : 'seen';
  return { state, waitedSeconds: seconds, kernel, simulated, same: samePath(kernel, simulated) };
}

function samePath(a: readonly InstalledStep[], b: readonly InstalledStep[]): boolean {
  return (
    a.length === b.length &&
    a.every((step, index) => step.chain === b[index]?.chain && step.handle === b[index]?.handle)
  );
}

function toTraceFlow({ from, to, family, protocol, port }: Flow): TraceFlow | undefined {
  if (from.address === undefined || to.address === undefined) return undefined;
  return { family, from: from.address, to: to.address, protocol, ...(port === undefined ? {} : { port }) };
}
