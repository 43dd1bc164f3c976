import { resolve } from 'node:path';

import { templatePods } from '../explain/template-pods.ts';
import type { ModelObject } from '../model/snapshot.ts';
import { renderDiagnostics } from '../report/diagnostics.ts';
import type { ManifestDocument } from '../source/manifests/document.ts';
import { loadManifests } from '../source/manifests/files.ts';
import { isUnread } from '../source/manifests/input-diagnostic.ts';
import { objectTitle } from '../source/object-name.ts';
import { snapshotOf } from '../source/store.ts';
import type { Context } from './context.ts';

/** Which files make up a state, or a part of it. */
export interface StateInputs {
  readonly paths: readonly string[];
  readonly recursive: boolean;
}

/** What was read. */
export interface LoadedInputs {
  readonly objects: readonly ModelObject[];
  readonly others: readonly ManifestDocument[];
}

/**
 * Reads manifests and reports what is wrong with them; `undefined` if some text cannot be read: an answer without it
 * might be wrong. Invalid policies are judged as the agent enforces them (semantics 84).
 */
export function loadInputs(context: Context, inputs: StateInputs): LoadedInputs | undefined {
  const stdin = inputs.paths.includes('-') ? { stdin: context.readStdin() } : {};
  const { objects, others, diagnostics } = loadManifests({ ...inputs, ...stdin, ...placeOf(context) });
  context.stderr.write(renderDiagnostics(diagnostics));
  if (diagnostics.some(isUnread)) return undefined;
  return { objects: objects.map(({ object }) => object), others };
}

/**
 * The objects of states, each of several parts: of two with one name the later counts, and workloads without live pods get
 * two from their template. Says which, once for all states, because nobody knows the addresses of those.
 */
export function assembleStates(
  context: Context,
  states: readonly (readonly LoadedInputs[])[],
): readonly (readonly ModelObject[])[] {
  const standIns = new Set<string>();
  const assembled = states.map((parts) => {
    const objects = lastOfEachName(parts.flatMap((part) => part.objects));
    const made = templatePods(
      snapshotOf(objects),
      parts.flatMap(({ others }) => others),
    );
    for (const { namespace, owner } of made) standIns.add(`${namespace}/${owner?.name ?? ''}`);
    return [...objects, ...made];
  });
  const names = [...standIns].sort();
  const shown = names.length > maxNames ? [...names.slice(0, maxNames), `${names.length - maxNames} more`] : names;
  if (names.length > 0)
    context.stderr.write(
      `note: two pods each stand for the templates of ${shown.join(', ')}; their addresses are unknown\n`,
    );
  return assembled;
}

/** Names in a note before they are only counted. */
const maxNames = 6;

/** Objects of which the later of two with one name counts. */
export function lastOfEachName(objects: readonly ModelObject[]): readonly ModelObject[] {
  return [...new Map(objects.map((object) => [objectTitle(object), object])).values()];
}

/** Where relative paths begin; names in messages stay as they were given. */
function placeOf({ cwd }: Context): { readonly cwd?: string } {
  return resolve(cwd) === process.cwd() ? {} : { cwd };
}
