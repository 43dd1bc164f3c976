import { findEnds } from '../../explain/end-filter.ts';
import type { EndClass } from '../../explain/flow-ends.ts';
import { mapFlows } from '../../explain/matrix.ts';
import { mapJson } from '../../report/map-json.ts';
import { renderMap } from '../../report/map-text.ts';
import { coloured, plain } from '../../report/style.ts';
import { snapshotOf } from '../../source/store.ts';
import type { Context } from '../context.ts';
import { exitCode } from '../exit-code.ts';
import type { ExitCode } from '../exit-code.ts';
import { hasColour } from '../has-colour.ts';
import { assembleStates, loadInputs } from '../load-state.ts';

/** Arguments of `policy map`. */
export interface MapOptions {
  readonly filename: readonly string[];
  readonly recursive: boolean;
  readonly namespace?: string;
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly layout: 'auto' | 'matrix' | 'list';
  readonly output: 'text' | 'json';
}

const defaultWidth = 120;

/** Prints who can talk to whom, by classes. */
export function mapCommand(context: Context, options: MapOptions): ExitCode {
  const refuse = (message: string): ExitCode => {
    context.stderr.write(`policy map: ${message}\n`);
    return exitCode.usage;
  };
  if (options.filename.length === 0) return refuse('no manifests: give files or directories with -f');
  const inputs = loadInputs(context, { paths: options.filename, recursive: options.recursive });
  if (inputs === undefined) return refuse('some input cannot be read: nothing is said about the rest');
  const [state = []] = assembleStates(context, [[inputs]]);
  const map = mapFlows(snapshotOf(state));
  if (!map.ends.some(({ kind }) => kind === 'pods')) return refuse('the manifests hold no pods with flows');

  const wanted: Record<'from' | 'to', Set<number> | undefined> = { from: undefined, to: undefined };
  for (const side of ['from', 'to'] as const) {
    for (const text of options[side]) {
      const found = findEnds(map.ends, text, options.namespace ?? 'default');
      if (found.length === 0) return refuse(`--${side} ${text}: the manifests hold no such pod, node or address`);
      wanted[side] = new Set([...(wanted[side] ?? []), ...found]);
    }
  }
  const { namespace } = options;
  const focus = wanted.from === undefined && wanted.to === undefined ? namespace : undefined;
  if (focus !== undefined && !map.ends.some((end) => isPodOf(end, focus))) return refuse(`there is no pod in ${focus}`);
  const chosen = (from: number, to: number): boolean =>
    (wanted.from?.has(from) ?? true) &&
    (wanted.to?.has(to) ?? true) &&
    (focus === undefined || isPodOf(map.ends[from], focus) || isPodOf(map.ends[to], focus)) &&
    (map.ends[from]?.kind === 'pods' || map.ends[to]?.kind === 'pods');
  const all = [...map.ends.keys()];
  const view = {
    rows: all.filter((from) => all.some((to) => chosen(from, to))),
    columns: all.filter((to) => all.some((from) => chosen(from, to))),
    chosen,
  };
  context.stdout.write(
    options.output === 'json'
      ? `${JSON.stringify(mapJson(map, view))}\n`
      : renderMap(map, {
          ...view,
          layout: options.layout,
          width: context.stdout.columns ?? defaultWidth,
          paint: hasColour(context) ? coloured : plain,
        }),
  );
  return exitCode.ok;
}

function isPodOf(end: EndClass | undefined, namespace: string): boolean {
  return end?.kind === 'pods' && end.namespace === namespace;
}
