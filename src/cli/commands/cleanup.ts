import { NftProcess } from 'nftables-json';

import type { ListenAddress } from '../../agent/config.ts';
import { removeState, stateFile } from '../../agent/state-file.ts';
import { cleanup } from '../../enforcer/cleanup.ts';
import { AgentError, agentAddress, askAgent } from '../agent-client.ts';
import type { Context } from '../context.ts';
import { exitCode } from '../exit-code.ts';
import type { ExitCode } from '../exit-code.ts';

/** Flags of `policy cleanup`. */
export interface CleanupFlags {
  readonly address: string;
  /** Where the agent kept objects for a cold start. */
  readonly stateDir: string;
}

/**
 * Removes our tables and the objects kept for a cold start, and nothing else. Idempotent. Refuses while an agent runs:
 * it would put everything back, and traffic would be open until then.
 */
export async function cleanupCommand(context: Context, { address, stateDir }: CleanupFlags): Promise<ExitCode> {
  const place = agentAddress(address);
  if (place === undefined) {
    context.stderr.write(`policy cleanup: --address ${address} cannot be used: HOST:PORT is needed\n`);
    return exitCode.usage;
  }
  if (await agentRuns(place, context.signal)) {
    context.stderr.write(
      'policy cleanup: nothing was removed: the agent of this node runs, and would put everything back within a ' +
        'second. Stop it first; docs/guides/install.md says how to do it on a cluster.\n',
    );
    return exitCode.usage;
  }
  const removed = (await cleanup(new NftProcess())).map((family) => `table ${family} nftpolicy`);
  const file = stateFile(stateDir);
  if (stateDir !== 'off' && (await removeState(file))) removed.push(file);
  context.stdout.write(
    removed.length === 0 ? 'nothing to remove: there is no table nftpolicy\n' : `removed ${removed.join(', ')}\n`,
  );
  return exitCode.ok;
}

/** Whether an agent of ours answers, of whatever version. */
async function agentRuns(place: ListenAddress, signal: AbortSignal): Promise<boolean> {
  try {
    await askAgent(place, '/status', signal);
    return true;
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    return error.code === 'agent-version';
  }
}
