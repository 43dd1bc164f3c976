import { setTimeout as delay } from 'node:timers/promises';

import { NftProcess } from 'nftables-json';

import type { ListenAddress } from '../../agent/config.ts';
import type { StatusReport } from '../../controller/status-report.ts';
import { readDataplane } from '../../enforcer/readback.ts';
import { renderStatus } from '../../report/status-text.ts';
import { AgentError, agentAddress, askAgent } from '../agent-client.ts';
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

const pollMs = 250;

/** What this node enforces, since when, and what is wrong; or waits until something is enforced. */
export async function statusCommand(context: Context, flags: StatusFlags): Promise<ExitCode> {
  const address = agentAddress(flags.address);
  const seconds = Number(flags.timeout);
  if (address === undefined || !Number.isFinite(seconds) || seconds < 0) {
    const wrong = address === undefined ? `--address ${flags.address}` : `--timeout ${flags.timeout}`;
    context.stderr.write(`policy: ${wrong} cannot be used: HOST:PORT and a number of seconds are needed\n`);
    return exitCode.usage;
  }
  if (flags.waitFor !== undefined) return await waitFor(context, address, flags, flags.waitFor, seconds);
  try {
    const report = await askAgent<StatusReport>(address, '/status', context.signal);
    print(context, flags, report);
    return isFine(report) ? exitCode.ok : exitCode.no;
  } catch (error) {
    if (!(error instanceof AgentError) || error.code !== 'agent-unreachable') throw error;
    return await statusWithoutAgent(context, flags, error.message);
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

async function waitFor(
  context: Context,
  address: ListenAddress,
  flags: StatusFlags,
  wanted: string,
  seconds: number,
): Promise<ExitCode> {
  const generation = /^\d+$/.test(wanted) ? Number(wanted) : undefined;
  const policy = wanted.includes('/') ? wanted : `default/${wanted}`;
  const path = generation === undefined ? `/status?policy=${encodeURIComponent(policy)}` : '/status';
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    let why: string;
    try {
      const report = await askAgent<StatusReport>(address, path, context.signal);
      const applied = report.generation.applied ?? -1;
      if (generation === undefined ? report.policy?.applied === true : applied >= generation) {
        print(context, flags, report);
        return exitCode.ok;
      }
      why =
        generation !== undefined
          ? `generation ${generation} is not in the kernel: ${applied < 0 ? 'none' : applied} is`
          : report.policy?.known === true
            ? `policy ${policy} is not in the kernel yet`
            : `policy ${policy} is not known to the agent`;
    } catch (error) {
      if (!(error instanceof AgentError)) throw error;
      why = error.message;
    }
    if (performance.now() >= deadline) {
      context.stderr.write(`policy: waited ${seconds} s: ${why}\n`);
      return exitCode.no;
    }
    await delay(pollMs, undefined, { signal: context.signal });
  }
}

/** Without an agent the tables are all there is to see: they are read, and it is said what that means. */
async function statusWithoutAgent(context: Context, flags: StatusFlags, why: string): Promise<ExitCode> {
  const dataplane = await readDataplane(new NftProcess(), { signal: context.signal });
  const tables = Array.from(dataplane, ([family, { chains, sets, maps }]) => ({
    family,
    chains: chains.size,
    podChains: [...chains.keys()].filter((name) => name.startsWith('pod-')).length,
    sets: sets.size,
    maps: maps.size,
  }));
  if (flags.output === 'json') {
    context.stdout.write(
      `${JSON.stringify({ schema: 'nftpolicy.dev/status/v1', agent: why, tables }, undefined, 2)}\n`,
    );
  } else if (tables.length === 0) {
    context.stdout.write(`NOT ENFORCING: ${why}, and there is no table nftpolicy in the kernel\n`);
  } else {
    const list = tables.map(
      ({ family, podChains, chains, sets }) =>
        `  table ${family} nftpolicy: ${chains} chains, ${podChains} of them for pods, ${sets} sets\n`,
    );
    context.stdout.write(
      `UNATTENDED: ${why}; the rules in the kernel still enforce what they were made for:\n${list.join('')}` +
        'New pods stay closed and changes of policies have no effect until the agent runs again.\n',
    );
  }
  return tables.length === 0 ? exitCode.no : exitCode.unknown;
}
