import { setTimeout as delay } from 'node:timers/promises';

import { NftProcess } from 'nftables-json';

import type { ListenAddress } from '../../agent/config.ts';
import type { DeniedEntry, DeniedReport } from '../../controller/denied-report.ts';
import { recordSeconds } from '../../controller/denied-report.ts';
import { readDenied } from '../../enforcer/denied.ts';
import type { DeniedFlow } from '../../enforcer/denied.ts';
import { renderDenied } from '../../report/denied-text.ts';
import { AgentError, agentAddress, askAgent, askKernelInstead } from '../agent-client.ts';
import type { Context } from '../context.ts';
import { exitCode } from '../exit-code.ts';
import type { ExitCode } from '../exit-code.ts';

/** Flags of `policy denied`. */
export interface DeniedFlags {
  readonly address: string;
  readonly output: 'text' | 'json';
  readonly watch: boolean;
}

const pollMs = 1_000;

/** The recent denied flows of this node, with pod names and the reason. */
export async function deniedCommand(context: Context, flags: DeniedFlags): Promise<ExitCode> {
  const address = agentAddress(flags.address);
  if (address === undefined) {
    context.stderr.write(`policy denied: --address ${flags.address} cannot be used: HOST:PORT is needed\n`);
    return exitCode.usage;
  }
  let seen = new Map<string, number>();
  let said = '';
  let watching = false;
  let last: readonly DeniedEntry[] = [];
  for (;;) {
    const { note, ...report } = await readReport(context, address).catch((error: unknown) => {
      // Who watches stays through a restart of the agent, and a failure of nft.
      if (!flags.watch || !watching || !(error instanceof AgentError)) throw error;
      return { schema: 'nftpolicy.dev/denied/v1', flows: last, note: error.message } as const;
    });
    watching = true;
    last = report.flows;
    if (note !== undefined && note !== said) context.stderr.write(`policy denied: ${note}\n`);
    said = note ?? '';
    const { flows } = report;
    if (!flags.watch) {
      const json = `${JSON.stringify(report, undefined, 2)}\n`;
      context.stdout.write(flags.output === 'json' ? json : flows.length === 0 ? nothing(report) : renderDenied(flows));
      return exitCode.ok;
    }
    const news = flows.filter((flow) => (flow.packets ?? 1) > (seen.get(keyOf(flow)) ?? 0)).reverse();
    seen = new Map(flows.map((flow) => [keyOf(flow), flow.packets ?? 1]));
    const text =
      flags.output === 'json' ? news.map((flow) => `${JSON.stringify(flow)}\n`).join('') : renderDenied(news);
    if (text !== '') context.stdout.write(text);
    try {
      await delay(pollMs, undefined, { signal: context.signal });
    } catch (error) {
      if (context.signal.aborted) return exitCode.ok;
      throw error;
    }
  }
}

function nothing({ recording }: DeniedReport): string {
  return recording === false ? '' : 'nothing was denied within the last five minutes\n';
}

/** From the agent; without one from the kernel, where there are addresses only. */
async function readReport(
  context: Context,
  address: ListenAddress,
): Promise<DeniedReport & { readonly note?: string }> {
  try {
    const report = await askAgent<DeniedReport>(address, '/denied', context.signal);
    const note = 'denied flows are not recorded on this node: the agent runs with --record-denied=false';
    return { ...report, ...(report.recording === false && { note }) };
  } catch (error) {
    if (!(error instanceof AgentError) || error.code !== 'agent-unreachable') throw error;
    const executor = new NftProcess();
    const signal = { signal: context.signal };
    return await askKernelInstead(error, async () => {
      const flows = [
        ...unexplained(await readDenied(executor, signal), 'denied'),
        ...unexplained(await readDenied(executor, { ...signal, record: 'audited' }), 'would-deny'),
      ].sort((a, b) => a.ageSeconds - b.ageSeconds);
      const note = `${error.message}; addresses only, from the kernel`;
      return { schema: 'nftpolicy.dev/denied/v1', flows, note };
    });
  }
}

function unexplained(flows: readonly DeniedFlow[], mode: DeniedEntry['mode']): DeniedEntry[] {
  return flows.map(({ from, to, protocol, port, packets, expiresSeconds }) => ({
    mode,
    from: { address: from },
    to: { address: to },
    protocol,
    port,
    ...(packets === undefined ? {} : { packets }),
    ageSeconds: Math.max(0, recordSeconds - expiresSeconds),
    reason: 'unexplained',
    policies: [],
  }));
}

function keyOf({ mode, from, to, protocol, port }: DeniedEntry): string {
  return [mode, from.address, to.address, protocol, port].join(' ');
}
