import { NftProcess } from 'nftables-json';

import { cleanup } from '../../enforcer/cleanup.ts';
import type { Context } from '../context.ts';
import { exitCode } from '../exit-code.ts';
import type { ExitCode } from '../exit-code.ts';

/** Removes our tables, and nothing else. Idempotent. */
export async function cleanupCommand(context: Context): Promise<ExitCode> {
  const removed = await cleanup(new NftProcess());
  context.stdout.write(
    removed.length === 0
      ? 'nothing to remove: there is no table nftpolicy\n'
      : `removed ${removed.map((family) => `table ${family} nftpolicy`).join(', ')}\n`,
  );
  return exitCode.ok;
}
