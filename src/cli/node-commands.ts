import { Option } from 'commander';
import type { Command } from 'commander';

import { agentOptionNames, agentOptions, flagOf, variableOf } from '../agent/option-table.ts';
import type { AgentFlags } from './commands/agent.ts';
import type { CleanupFlags } from './commands/cleanup.ts';
import type { DeniedFlags } from './commands/denied.ts';
import type { InstalledCommandFlags } from './commands/installed.ts';
import type { StatusFlags } from './commands/status.ts';
import type { Context } from './context.ts';
import type { ExitCode } from './exit-code.ts';

type Finish = (code: ExitCode) => void;

/** Adds the commands that work on the node they run on. */
export function addNodeCommands(program: Command, context: Context, finish: Finish): void {
  addAgent(program, context, finish);
  addStatus(program, context, finish);
  addDenied(program, context, finish);
  addInstalled(program, context, finish);
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
  command.addHelpText('after', agentNotes).action(async (flags: AgentFlags) => {
    const { agentCommand } = await import('./commands/agent.ts');
    finish(await agentCommand(context, flags));
  });
}

const statusNotes = `
Waiting:
  policy status --wait-for shop/database         a policy, as the agent of this node knows it
  policy status --wait-for shop/database@4711    this resourceVersion of it, or a later one
  policy status --wait-for 42 --timeout 10       a generation, as policy status prints it

Exit: 0 all is well; 1 something is wrong, or what is waited for is not enforced as written; 2 usage or failure;
3 no agent answers, and rules are in the kernel.`;

const deniedNotes = `
  policy denied -w                               goes on until interrupted
  policy denied -o json | jq '.flows[] | select(.to.pod == "shop/database")'

Kept for five minutes after the last packet; TCP, UDP and SCTP; at most 100 packets a second and family are recorded.
Without an agent the kernel is asked: addresses only.

Exit: 0 answered, also if nothing was denied; 2 usage or failure.`;

const cleanupNotes = `
Removes the tables inet nftpolicy and bridge nftpolicy and the kept objects, and nothing else. Stop the agent first.

Exit: 0 nothing of it is left; 2 an agent runs, usage or failure.`;

const agentNotes = `
  policy agent --node "$(hostname)" --manifests ./objects        a directory instead of an API server
  policy agent --node node-1 --kubeconfig ~/.kube/config         from outside the cluster
  policy agent --config /etc/nftpolicy.yaml                      options of schemas/config.json

Needs root or NET_ADMIN, and nft. The rules stay when it ends; policy cleanup removes them.

Exit: 0 it was told to stop; 2 it cannot start, or failed: the message says why.`;

/** Where the agent of this node answers, as far as the environment tells. */
function addressOption(context: Context): Option {
  const listen = context.env[variableOf('listen')];
  const address = listen === undefined || listen === '' || listen === 'off' ? agentOptions.listen.default : listen;
  return new Option('--address <host:port>', 'where the agent of this node answers').default(address);
}

/** `--address` and `--output`, as both commands that ask the agent for people know them. */
function askingAgent(command: Command, context: Context): Command {
  return command
    .addOption(addressOption(context))
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['text', 'json']).default('text'));
}

function addStatus(program: Command, context: Context, finish: Finish): void {
  askingAgent(program.command('status'), context)
    .description('what this node enforces, since when, and what is wrong')
    .option('--wait-for <generation|policy>', 'wait until this generation, or this NAMESPACE/POLICY, is in the kernel')
    .option('--timeout <seconds>', 'how long to wait', '60')
    .addHelpText('after', statusNotes)
    .action(async (flags: StatusFlags) => {
      const { statusCommand } = await import('./commands/status.ts');
      finish(await statusCommand(context, flags));
    });
}

function addDenied(program: Command, context: Context, finish: Finish): void {
  askingAgent(program.command('denied'), context)
    .description('the recent denied flows of this node, with pods and the reason')
    .option('-w, --watch', 'go on and print what is new', false)
    .addHelpText('after', deniedNotes)
    .action(async (flags: DeniedFlags) => {
      const { deniedCommand } = await import('./commands/denied.ts');
      finish(await deniedCommand(context, flags));
    });
}

function addInstalled(program: Command, context: Context, finish: Finish): void {
  program
    .command('installed')
    .addOption(addressOption(context))
    .description('the rules of this node as JSON: what policy explain --installed require asks every node for')
    .action(async (flags: InstalledCommandFlags) => {
      const { installedCommand } = await import('./commands/installed.ts');
      finish(await installedCommand(context, flags));
    });
}

function addCleanup(program: Command, context: Context, finish: Finish): void {
  program
    .command('cleanup')
    .description('remove everything the agent ever made on this node: traffic is open afterwards')
    .addOption(addressOption(context))
    .option(
      '--state-dir <dir>',
      'where the agent kept objects',
      context.env[variableOf('stateDir')] ?? '/var/lib/nftpolicy',
    )
    .addHelpText('after', cleanupNotes)
    .action(async (flags: CleanupFlags) => {
      const { cleanupCommand } = await import('./commands/cleanup.ts');
      finish(await cleanupCommand(context, flags));
    });
}
