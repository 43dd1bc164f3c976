import { Option } from 'commander';
import type { Command } from 'commander';

import { agentOptionNames, agentOptions, flagOf, variableOf } from '../agent/option-table.ts';
import type { AgentFlags } from './commands/agent.ts';
import type { Context } from './context.ts';
import type { ExitCode } from './exit-code.ts';

type Finish = (code: ExitCode) => void;

/** Adds the commands that work on the node they run on. */
export function addNodeCommands(program: Command, context: Context, finish: Finish): void {
  addAgent(program, context, finish);
  addCleanup(program, context, finish);
}

function addAgent(program: Command, context: Context, finish: Finish): void {
  const command = program
    .command('agent')
    .description('enforce policy for the pods of this node until stopped; the rules stay')
    .option('--config <path>', 'configuration file; flags and environment win over it [env: NFTPOLICY_CONFIG]');
  for (const name of agentOptionNames) {
    const { type, choices, placeholder, help, default: initial } = agentOptions[name];
    const value = type === 'boolean' ? '[true|false]' : `<${choices?.join('|') ?? placeholder ?? 'value'}>`;
    const initially = initial === undefined ? '' : ` (default: ${initial})`;
    command.addOption(new Option(`${flagOf(name)} ${value}`, `${help}${initially} [env: ${variableOf(name)}]`));
  }
  command.action(async (flags: AgentFlags) => {
    const { agentCommand } = await import('./commands/agent.ts');
    finish(await agentCommand(context, flags));
  });
}

function addCleanup(program: Command, context: Context, finish: Finish): void {
  program
    .command('cleanup')
    .description('remove everything the agent ever made on this node: traffic is open afterwards')
    .action(async () => {
      const { cleanupCommand } = await import('./commands/cleanup.ts');
      finish(await cleanupCommand(context));
    });
}
