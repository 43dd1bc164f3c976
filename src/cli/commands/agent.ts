import { runAgent } from '../../agent/agent.ts';
import { readConfig } from '../../agent/config-layers.ts';
import { createLogger } from '../../agent/logger.ts';
import { openSource } from '../../agent/open-source.ts';
import type { AgentOptionName } from '../../agent/option-table.ts';
import { checkNft } from '../../agent/preflight.ts';
import { formatPlace, renderDiagnostics } from '../../report/diagnostics.ts';
import type { Context } from '../context.ts';
import { exitCode } from '../exit-code.ts';
import type { ExitCode } from '../exit-code.ts';

/** Flags of `policy agent`: those of the option table, and where the configuration file is. */
export type AgentFlags = Readonly<Partial<Record<AgentOptionName | 'config', string | boolean>>>;

/** Enforces policy for the pods of this node until the process is told to stop. */
export async function agentCommand(context: Context, flags: AgentFlags): Promise<ExitCode> {
  const { config: path, ...given } = flags;
  const file = path ?? context.env['NFTPOLICY_CONFIG'];
  const read = readConfig({ flags: given, env: context.env, ...(typeof file === 'string' && file !== '' && { file }) });
  if (!read.ok) {
    context.stderr.write(renderDiagnostics(read.error));
    return exitCode.usage;
  }
  const { config, warnings } = read.value;
  const logger = createLogger((line) => context.stderr.write(line), config.logLevel);
  logger.info({ config }, 'configuration');
  for (const warning of warnings) {
    const { code, message, help } = warning;
    const place = formatPlace(warning);
    logger.warn({ code, help }, place === undefined ? message : `${place}: ${message}`);
  }
  const capabilities = await checkNft(logger);
  const source = await openSource(config, context.env);
  await runAgent({ config, source, logger, capabilities }, context.signal);
  return exitCode.ok;
}
