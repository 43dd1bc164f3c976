import { readFileSync } from 'node:fs';

import { Command, CommanderError, Help, Option } from 'commander';

import { ownVersion } from '../agent/version.ts';
import type { Context, Output } from './context.ts';
import { exitCode } from './exit-code.ts';
import type { ExitCode } from './exit-code.ts';
import { addExplain } from './explain-command.ts';
import { addFlowCommands } from './flow-commands.ts';
import { addNodeCommands } from './node-commands.ts';

/** The process's own streams, environment and signals. */
function processContext(): Context {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => controller.abort(name));
  return {
    stdout: output(process.stdout),
    stderr: output(process.stderr),
    env: process.env,
    cwd: process.cwd(),
    readStdin: () => readFileSync(0, 'utf8'),
    signal: controller.signal,
  };
}

function output(stream: NodeJS.WriteStream): Output {
  // A reader that went away (`policy ... | head`) is no failure of ours.
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  return {
    write: (text) => void stream.write(text),
    isTerminal: stream.isTTY,
    ...(stream.isTTY ? { columns: stream.columns } : {}),
  };
}

/** Runs one command line and sets the exit code of the process. */
export async function main(argv: readonly string[]): Promise<void> {
  process.exitCode = await run(argv, processContext());
}

/** Runs one command line in a context; answers the exit code. */
export async function run(argv: readonly string[], context: Context): Promise<ExitCode> {
  let code: ExitCode = exitCode.ok;
  const program = buildProgram(context, (result) => {
    code = result;
  });
  try {
    await program.parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.ok : exitCode.usage;
    const { renderFailure } = await import('./failure.ts');
    context.stderr.write(renderFailure(error, context.env));
    return exitCode.usage;
  }
  return code;
}

type Finish = (code: ExitCode) => void;

function buildProgram(context: Context, finish: Finish): Command {
  const program = new Command('policy')
    .description('Kubernetes NetworkPolicy on nftables: enforce it on a node, explain it, test it.')
    .option('-V, --version', 'print the version')
    .exitOverride()
    .configureHelp({ optionDescription: describeOption })
    .configureOutput({ writeOut: (text) => context.stdout.write(text), writeErr: (text) => context.stderr.write(text) })
    .showSuggestionAfterError()
    .showHelpAfterError('(run with --help for usage)')
    .addHelpText('after', '\nExit codes: 0 yes, 1 no (denied, failed), 2 usage or failure, 3 unknown.');
  addExplain(program, context, finish);
  addTest(program, context, finish);
  addFlowCommands(program, context, finish);
  addNodeCommands(program, context, finish);
  program.on('option:version', () => {
    context.stdout.write(`nftpolicy ${ownVersion()} (Node.js ${process.versions.node})\n`);
    throw new CommanderError(exitCode.ok, 'commander.version', '');
  });
  return program;
}

/** As commander does it, without defaults that say nothing: a flag that is not given, an empty list. */
function describeOption(option: Option): string {
  const defaultValue: unknown = option.defaultValue;
  const saysNothing = defaultValue === false || (Array.isArray(defaultValue) && defaultValue.length === 0);
  return saysNothing ? option.description : new Help().optionDescription(option);
}

function addTest(program: Command, context: Context, finish: Finish): void {
  program
    .command('test')
    .description('judge the flows of test folders by the policies in them')
    .argument(
      '<dir...>',
      'folders with cluster.yaml (and policies.yaml) and flows.yaml, or folders of such folders; .json too',
    )
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['text', 'json']).default('text'))
    .option('-q, --quiet', 'print nothing but failures', false)
    .action(async (directories: string[], options: { output: 'text' | 'json'; quiet: boolean }) => {
      const { testCommand } = await import('./commands/test.ts');
      finish(testCommand(context, { directories, ...options }));
    });
}
