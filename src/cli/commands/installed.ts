import { agentAddress } from '../agent-client.ts';
import type { Context } from '../context.ts';
import { exitCode } from '../exit-code.ts';
import type { ExitCode } from '../exit-code.ts';
import { askStatus, listTables, printNodeReport } from '../explain/node-report.ts';

/** Flags of `policy installed`. */
export interface InstalledCommandFlags {
  readonly address: string;
}

/** Prints the rules of this node and what its agent says, for `policy explain --installed require` on another machine. */
export async function installedCommand(context: Context, { address: text }: InstalledCommandFlags): Promise<ExitCode> {
  const address = agentAddress(text);
  if (address === undefined) {
    context.stderr.write(`policy: --address ${text} cannot be used: HOST:PORT is needed\n`);
    return exitCode.usage;
  }
  const agent = await askStatus(address, context.signal);
  context.stdout.write(printNodeReport(await listTables(context.signal), agent));
  return exitCode.ok;
}
