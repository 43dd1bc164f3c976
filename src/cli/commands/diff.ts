import { diffFlows, isEmptyDiff } from '../../explain/changes.ts';
import type { FlowDiff } from '../../explain/changes.ts';
import type { ModelObject } from '../../model/snapshot.ts';
import { diffJson } from '../../report/diff-json.ts';
import { renderDiffMarkdown } from '../../report/diff-markdown.ts';
import { renderDiff } from '../../report/diff-text.ts';
import { coloured, plain } from '../../report/style.ts';
import { snapshotOf } from '../../source/store.ts';
import type { Context } from '../context.ts';
import { exitCode } from '../exit-code.ts';
import type { ExitCode } from '../exit-code.ts';
import { hasColour } from '../has-colour.ts';
import { assembleStates, lastOfEachName, loadInputs } from '../load-state.ts';

/** Arguments of `policy diff`. */
export interface DiffOptions {
  readonly before: string;
  readonly after: string;
  readonly filename: readonly string[];
  readonly base: readonly string[];
  readonly recursive: boolean;
  readonly failOn: 'opened' | 'closed' | 'any' | 'never';
  readonly output: 'text' | 'json' | 'markdown';
}

/** Compares two sets of manifests flow by flow. */
export function diffCommand(context: Context, options: DiffOptions): ExitCode {
  const refuse = (message: string): ExitCode => {
    context.stderr.write(`policy diff: ${message}\n`);
    return exitCode.usage;
  };
  const { recursive } = options;
  if (options.before === '-' && options.after === '-') return refuse('only one of OLD and NEW can be standard input');
  const base = loadInputs(context, { paths: [...options.filename, ...options.base], recursive });
  const before = loadInputs(context, { paths: [options.before], recursive });
  const after = loadInputs(context, { paths: [options.after], recursive });
  if (base === undefined || before === undefined || after === undefined) {
    return refuse('some input cannot be read: nothing is said about the rest');
  }
  const [old = [], now = []] = assembleStates(context, [
    [base, before],
    [base, after],
  ]);
  const states = [borrow(context, 'OLD', old, now), borrow(context, 'NEW', now, old)] as const;
  if (!states.some((objects) => objects.some(({ kind }) => kind === 'Pod'))) {
    return refuse('there are no pods: give those of the cluster with -f');
  }
  const diff = diffFlows(snapshotOf(states[0]), snapshotOf(states[1]));
  context.stdout.write(render(context, diff, options.output));
  return fails(diff, options.failOn) ? exitCode.no : exitCode.ok;
}

/** Policies are judged against a cluster: a side that says nothing about pods, namespaces or nodes means the other's. */
function borrow(
  context: Context,
  name: string,
  own: readonly ModelObject[],
  other: readonly ModelObject[],
): readonly ModelObject[] {
  const kinds = new Set(own.map(({ kind }) => kind));
  const lent = other.filter(
    ({ kind }) => (kind === 'Pod' || kind === 'Namespace' || kind === 'Node') && !kinds.has(kind),
  );
  if (lent.length === 0) return own;
  const missing = [...new Set(lent.map(({ kind }) => kind))].join(', ');
  context.stderr.write(`note: ${name} holds no ${missing}: the other's are used for both\n`);
  return lastOfEachName([...own, ...lent]);
}

function render(context: Context, diff: FlowDiff, output: DiffOptions['output']): string {
  switch (output) {
    case 'json':
      return `${JSON.stringify(diffJson(diff))}\n`;
    case 'markdown':
      return renderDiffMarkdown(diff);
    case 'text':
      return renderDiff(diff, hasColour(context) ? coloured : plain);
  }
}

function fails(diff: FlowDiff, failOn: DiffOptions['failOn']): boolean {
  switch (failOn) {
    case 'never':
      return false;
    case 'any':
      return !isEmptyDiff(diff);
    case 'opened':
    case 'closed':
      return diff.flows.some(({ fact }) => fact.effect === failOn);
  }
}
