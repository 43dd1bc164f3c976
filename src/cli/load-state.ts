import { templatePods } from '../explain/template-pods.ts';
import type { ModelObject } from '../model/snapshot.ts';
import { renderDiagnostics } from '../report/diagnostics.ts';
import type { ManifestDocument } from '../source/manifests/document.ts';
import { loadManifests } from '../source/manifests/files.ts';
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

/** Codes of inputs that were not read at all or only in part. */
const unreadable: ReadonlySet<string> = new Set(['I001', 'I002', 'I003']);

/**
 * Reads manifests and reports what is wrong with them; `undefined` if some text cannot be read: an answer without it
 * might be wrong. Invalid policies are judged as the agent enforces them (semantics 84).
 */
export function loadInputs(context: Context, inputs: StateInputs): LoadedInputs | undefined {
  const stdin = inputs.paths.includes('-') ? { stdin: context.readStdin() } : {};
  const { objects, others, diagnostics } = loadManifests({ ...inputs, ...stdin });
  context.stderr.write(renderDiagnostics(diagnostics));
  if (diagnostics.some(({ code, severity }) => severity === 'error' && unreadable.has(code))) return undefined;
  return { objects: objects.map(({ object }) => object), others };
}

/**
 * The objects of a state: of two with one name the later counts, and workloads without live pods get two from their
 * template. Says which, because nobody knows the addresses of those.
 */
export function assembleState(context: Context, ...parts: readonly LoadedInputs[]): readonly ModelObject[] {
  const objects = lastOfEachName(parts.flatMap((part) => part.objects));
  const made = templatePods(
    snapshotOf(objects),
    parts.flatMap(({ others }) => others),
  );
  if (made.length > 0) {
    const names = [...new Set(made.map(({ namespace, owner }) => `${namespace}/${owner?.name ?? ''}`))].sort();
    context.stderr.write(
      `note: two pods each stand for the templates of ${names.join(', ')}; their addresses are unknown\n`,
    );
  }
  return [...objects, ...made];
}

/** Objects of which the later of two with one name counts. */
export function lastOfEachName(objects: readonly ModelObject[]): readonly ModelObject[] {
  return [...new Map(objects.map((object) => [objectTitle(object), object])).values()];
}
