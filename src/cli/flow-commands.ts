import { Option } from 'commander';
import type { Command } from 'commander';

import type { DiffOptions } from './commands/diff.ts';
import type { MapOptions } from './commands/map.ts';
import type { Context } from './context.ts';
import type { ExitCode } from './exit-code.ts';

type Finish = (code: ExitCode) => void;

const collect = (value: string, previous: readonly string[]): readonly string[] => [...previous, value];

/** Adds the commands that look at all flows of a cluster at once. */
export function addFlowCommands(program: Command, context: Context, finish: Finish): void {
  addMap(program, context, finish);
  addDiff(program, context, finish);
}

function addMap(program: Command, context: Context, finish: Finish): void {
  program
    .command('map')
    .description('who can talk to whom, exactly, by classes of pods')
    .option('-f, --filename <path>', 'manifests: a file, a directory or - (repeatable)', collect, [])
    .option('-R, --recursive', 'read directories recursively', false)
    .option('-n, --namespace <name>', 'only flows from and to pods of this namespace')
    .option('--from <end>', 'only flows from NAMESPACE/POD, NAMESPACE/*, node/NAME, an address or outside', collect, [])
    .option('--to <end>', 'only flows to these; like --from (repeatable)', collect, [])
    .addOption(
      new Option('--layout <layout>', 'a matrix where it fits').choices(['auto', 'matrix', 'list']).default('auto'),
    )
    .addOption(new Option('-o, --output <format>', 'how to print').choices(['text', 'json']).default('text'))
    .addHelpText('after', '\nExample: policy map -f cluster.yaml -f policies/ --to shop/db')
    .action(async (options: MapOptions) => {
      const { mapCommand } = await import('./commands/map.ts');
      finish(mapCommand(context, options));
    });
}

function addDiff(program: Command, context: Context, finish: Finish): void {
  program
    .command('diff')
    .description('which flows does a change of manifests open or close?')
    .argument('<old>', 'a file or a directory of manifests, or -')
    .argument('<new>', 'the same after the change')
    .option(
      '-f, --filename <path>',
      'manifests that are part of both: pods, namespaces, nodes (repeatable)',
      collect,
      [],
    )
    .option('--base <path>', 'the same as -f', collect, [])
    .option('-R, --recursive', 'read directories recursively', false)
    .addOption(
      new Option('--fail-on <change>', 'exit with 1 only for these changes')
        .choices(['opened', 'closed', 'any', 'never'])
        .default('any'),
    )
    .addOption(
      new Option('-o, --output <format>', 'how to print').choices(['text', 'json', 'markdown']).default('text'),
    )
    .addHelpText(
      'after',
      '\nExit codes: 0 no difference (as --fail-on asks), 1 differences, 2 trouble.\nExample: policy diff -f cluster.yaml old/ new/',
    )
    .action(async (before: string, after: string, options: Omit<DiffOptions, 'before' | 'after'>) => {
      const { diffCommand } = await import('./commands/diff.ts');
      finish(diffCommand(context, { before, after, ...options }));
    });
}
