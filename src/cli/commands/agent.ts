import { join } from 'node:path';

import { runAgent } from '../../agent/agent.ts';
import { createLogger } from '../../agent/logger.ts';
import { nodeName } from '../../model/names.ts';
import { DirectorySource } from '../../source/directory.ts';
import type { Context } from '../context.ts';
import { exitCode } from '../exit-code.ts';
import type { ExitCode } from '../exit-code.ts';
import type { AgentFlags } from '../main.ts';

/** Enforces a directory of manifests until the process is told to stop. */
export async function agentCommand(context: Context, flags: AgentFlags): Promise<ExitCode> {
  await runAgent(
    {
      node: nodeName(flags.node),
      source: new DirectorySource(flags.manifests),
      host: {
        cniConfigDirectory: flags.cniConfDir,
        cniCacheDirectories: [join(flags.cniCacheDir, 'results'), join(flags.cniCacheDir, 'cache/results')],
        netnsDirectory: flags.netnsDir,
      },
      ...(flags.readyFile === undefined ? {} : { readyFile: flags.readyFile }),
      logger: createLogger((line) => context.stderr.write(line)),
    },
    context.signal,
  );
  return exitCode.ok;
}
