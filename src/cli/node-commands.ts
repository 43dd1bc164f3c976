import { Option } from 'commander';
import type { Command } from 'commander';

import { agentOptionNames, agentOptions, flagOf, variableOf } from '../agent/option-table.ts';
import type { AgentFlags } from './commands/agent.ts';
import type { CleanupFlags } from './commands/cleanup.ts';
import type { DeniedFlags } from './commands/denied.ts';
import type { StatusFlags } from './commands/status.ts';
import type { Context } from './context.ts';
import type { ExitCode } from './exit-code.ts';

type Finish = (code: ExitCode) => void;

/** Adds the commands that work on the node they run on. */
export function addNodeCommands(program: Command, context: Context, finish: Finish): void {
  addAgent(program, context, finish);
  addStatus(program, context, finish);
  addDenied(program, context, finish);
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

/** `--address` and `--output`, as both commands that ask the agent know them. */
function askingAgent(command: Command, context: Context): Command {
  const listen = context.env[variableOf('listen')];
  const address = listen === undefined || listen === '' || listen === 'off' ? agentOptions.listen.default : listen;
  return command
    .option('--address <host:port>', 'where the agent of this node answers', address)
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['text', 'json']).default('text'));
}

function addStatus(program: Command, context: Context, finish: Finish): void {
  askingAgent(program.command('status'), context)
    .description('what this node enforces, since when, and what is wrong')
    .option('--wait-for <generation|policy>', 'wait until this generation, or this NAMESPACE/POLICY, is in the kernel')
    .option('--timeout <seconds>', 'how long to wait', '60')
    .action(async (flags: StatusFlags) => {
      const { statusCommand } = await import('./commands/status.ts');
      finish(await statusCommand(context, flags));
    });
}

function addDenied(program: Command, context: Context, finish: Finish): void {
  askingAgent(program.command('denied'), context)
    .description('the recent denied flows of this node, with pods and the reason')
    .option('-w, --watch', 'go on and print what is new', false)
    .action(async (flags: DeniedFlags) => {
      const { deniedCommand } = await import('./commands/denied.ts');
      finish(await deniedCommand(context, flags));
    });
}

function addCleanup(program: Command, context: Context, finish: Finish): void {
  program
    .command('cleanup')
    .description('remove everything the agent ever made on this node: traffic is open afterwards')
    .option(
      '--state-dir <dir>',
      'where the agent kept objects',
      context.env[variableOf('stateDir')] ?? '/var/lib/nftpolicy',
    )
    .action(async (flags: CleanupFlags) => {
      const { cleanupCommand } = await import('./commands/cleanup.ts');
      finish(await cleanupCommand(context, flags));
    });
}
