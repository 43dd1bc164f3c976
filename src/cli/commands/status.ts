import { setTimeout as delay } from 'node:timers/promises';

import { NftProcess } from 'nftables-json';

import type { ListenAddress } from '../../agent/config.ts';
import type { StatusReport, UnattendedReport } from '../../controller/status-report.ts';
import { readDataplane } from '../../enforcer/readback.ts';
import { renderStatus } from '../../report/status-text.ts';
import { compareVersions } from '../../source/kubernetes/resource-version.ts';
import { AgentError, agentAddress, askAgent, askKernelInstead } from '../agent-client.ts';
import type { Context } from '../context.ts';
import { exitCode } from '../exit-code.ts';
import type { ExitCode } from '../exit-code.ts';

/** Flags of `policy status`. */
export interface StatusFlags {
  readonly address: string;
  readonly output: 'text' | 'json';
  /** A generation, or a policy. */
  readonly waitFor?: string;
  /** Seconds. */
  readonly timeout: string;
}

/** What is waited for. */
type Wanted =
  | { readonly kind: 'generation'; readonly generation: number }
  | { readonly kind: 'policy'; readonly policy: string; readonly resourceVersion?: string };

const pollMs = 250;

/** What this node enforces, since when, and what is wrong; or waits until something is enforced. */
export async function statusCommand(context: Context, flags: StatusFlags): Promise<ExitCode> {
  const refuse = (problem: string): ExitCode => {
    context.stderr.write(`policy status: ${problem}\n`);
    return exitCode.usage;
  };
  const address = agentAddress(flags.address);
  if (address === undefined) return refuse(`--address ${flags.address} cannot be used: HOST:PORT is needed`);
  const seconds = flags.timeout.trim() === '' ? Number.NaN : Number(flags.timeout);
  if (!Number.isFinite(seconds) || seconds < 0) {
    return refuse(`--timeout ${flags.timeout} cannot be used: a number of seconds is needed`);
  }
  if (flags.waitFor !== undefined) {
    const wanted = parseWanted(flags.waitFor);
    if (wanted !== undefined) return await waitFor(context, address, flags, wanted, seconds);
    return refuse(
      `--wait-for ${flags.waitFor} cannot be used: a generation, NAMESPACE/POLICY or NAMESPACE/POLICY@RESOURCEVERSION is needed`,
    );
  }
  try {
    const report = await askAgent<StatusReport>(address, '/status', context.signal);
    print(context, flags, report);
    return isFine(report) ? exitCode.ok : exitCode.no;
  } catch (error) {
    if (!(error instanceof AgentError) || error.code !== 'agent-unreachable') throw error;
    return await statusWithoutAgent(context, flags, error);
  }
}

function print(context: Context, flags: StatusFlags, report: StatusReport): void {
  const text = flags.output === 'json' ? `${JSON.stringify(report, undefined, 2)}\n` : renderStatus(report, Date.now());
  context.stdout.write(text);
}

function isFine({ state, problems, closedPods }: StatusReport): boolean {
  const closed = closedPods.some(({ code }) => code !== 'pod-without-address');
  return state === 'enforcing' && problems.length === 0 && !closed;
}

function parseWanted(text: string): Wanted | undefined {
  if (/^\d+$/.test(text)) return { kind: 'generation', generation: Number(text) };
  const match = /^(?:([a-z0-9][a-z0-9-]*)\/)?([a-z0-9][a-z0-9.-]*)(?:@(\d+))?$/.exec(text);
  if (match === null) return undefined;
  const [, namespace = 'default', name = '', resourceVersion] = match;
  return { kind: 'policy', policy: `${namespace}/${name}`, ...(resourceVersion !== undefined && { resourceVersion }) };
}

async function waitFor(
  context: Context,
  address: ListenAddress,
  flags: StatusFlags,
  wanted: Wanted,
  seconds: number,
): Promise<ExitCode> {
  const path = wanted.kind === 'policy' ? `/status?policy=${encodeURIComponent(wanted.policy)}` : '/status';
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    let why: string;
    try {
      const report = await askAgent<StatusReport>(address, path, context.signal);
      const missing = whatIsMissing(report, wanted);
      if (missing === undefined) {
        print(context, flags, report);
        // It is enforced, but not as it is written.
        return (report.policy?.problems.length ?? 0) === 0 ? exitCode.ok : exitCode.no;
      }
      why = `${missing}${describeState(report)}`;
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      why = error.message;
    }
    if (performance.now() >= deadline) {
      context.stderr.write(`policy status: waited ${seconds} s: ${why}\n`);
      return exitCode.no;
    }
    await delay(pollMs, undefined, { signal: context.signal });
  }
}

/** Why what is wanted is not enforced; `undefined` if it is. */
function whatIsMissing({ generation, policy, problems }: StatusReport, wanted: Wanted): string | undefined {
  if (wanted.kind === 'generation') {
    const { applied } = generation;
    if (applied === undefined || applied < wanted.generation) {
      return `generation ${wanted.generation} is not in the kernel: ${applied ?? 'none'} is`;
    }
  } else {
    const { resourceVersion } = wanted;
    if (policy?.known !== true) return `policy ${wanted.policy} is not known to the agent`;
    if (resourceVersion !== undefined && policy.resourceVersion === undefined) {
      return `policy ${wanted.policy} comes from a file: it has no resourceVersion`;
    }
    if (policy.resourceVersion !== undefined && resourceVersion !== undefined) {
      const known = policy.resourceVersion;
      if (known !== resourceVersion && compareVersions(known, resourceVersion) <= 0) {
        return `resourceVersion ${resourceVersion} of policy ${wanted.policy} is not known to the agent: ${known} is`;
      }
    }
    if (!policy.applied) return `policy ${wanted.policy} is not in the kernel yet`;
  }
  const [problem] = problems;
  return problem === undefined ? undefined : `the kernel refused ${problem.object ?? 'rules'}: ${problem.message}`;
}

function describeState({ state, refusals, lastApply, policy }: StatusReport): string {
  if (policy !== undefined && policy.problems.length > 0) return `; ${policy.problems.join('; ')}`;
  const refusal = refusals.find(({ severity }) => severity === 'refuse');
  if (refusal !== undefined) return `; this node is refused: ${refusal.code}: ${refusal.seen}: ${refusal.why}`;
  if (state === 'failing') return `; the last attempt to write failed: ${lastApply?.error ?? ''}`;
  return state === 'syncing' ? '; objects are still being read' : '';
}

/** Without an agent the tables are all there is to see: they are read, and it is said what that means. */
async function statusWithoutAgent(context: Context, flags: StatusFlags, why: AgentError): Promise<ExitCode> {
  const dataplane = await askKernelInstead(why, () => readDataplane(new NftProcess(), { signal: context.signal }));
  const tables = Array.from(dataplane, ([family, { chains, sets, maps }]) => ({
    family,
    chains: chains.size,
    podChains: [...chains.keys()].filter((name) => name.startsWith('pod-')).length,
    sets: sets.size,
    maps: maps.size,
  }));
  const elsewhere = 'If an agent runs and listens elsewhere, name the place with --address.\n';
  if (flags.output === 'json') {
    const report: UnattendedReport = { schema: 'nftpolicy.dev/status/v1', agent: why.message, tables };
    context.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
  } else if (tables.length === 0) {
    context.stdout.write(
      `NOT ENFORCING: ${why.message}, and there is no table nftpolicy in the kernel\n` +
        `Traffic of pods is open until an agent runs: policy agent --help. ${elsewhere}`,
    );
  } else {
    const list = tables.map(
      ({ family, podChains, chains, sets }) =>
        `  table ${family} nftpolicy: ${chains} chains, ${podChains} of them for pods, ${sets} sets\n`,
    );
    context.stdout.write(
      `UNATTENDED: ${why.message}; the rules in the kernel still enforce what they were made for:\n${list.join('')}` +
        `New pods stay closed and changes of policies have no effect until the agent runs again. ${elsewhere}`,
    );
  }
  return tables.length === 0 ? exitCode.no : exitCode.unknown;
}
