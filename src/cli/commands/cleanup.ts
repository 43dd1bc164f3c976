import { NftProcess } from 'nftables-json';

import { removeState, stateFile } from '../../agent/state-file.ts';
import { cleanup } from '../../enforcer/cleanup.ts';
import type { Context } from '../context.ts';
import { exitCode } from '../exit-code.ts';
import type { ExitCode } from '../exit-code.ts';

/** Flags of `policy cleanup`. */
export interface CleanupFlags {
  /** Where the agent kept objects for a cold start. */
  readonly stateDir: string;
}

/** Removes our tables and the objects kept for a cold start, and nothing else. Idempotent. */
export async function cleanupCommand(context: Context, { stateDir }: CleanupFlags): Promise<ExitCode> {
  const removed = (await cleanup(new NftProcess())).map((family) => `table ${family} nftpolicy`);
  const file = stateFile(stateDir);
  if (stateDir !== 'off' && (await removeState(file))) removed.push(file);
  context.stdout.write(
    removed.length === 0 ? 'nothing to remove: there is no table nftpolicy\n' : `removed ${removed.join(', ')}\n`,
  );
  return exitCode.ok;
}
