import { lstatSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';

import type { Diagnostic } from '../model/diagnostic.ts';
import type { LoadedObject } from '../source/manifests/decode-documents.ts';
import { loadManifests } from '../source/manifests/files.ts';
import { objectTitle } from '../source/object-name.ts';
import { sameContent } from '../source/same-content.ts';

/** Names the manifest an object was made from, relative to `--source-dir`: `policies/web.yaml`, also with `:LINE`. */
export const sourceAnnotation = 'nftpolicy.dev/source';

/** Live objects, shown as their manifests where those say the same. */
export interface SourcedObjects {
  readonly objects: readonly LoadedObject[];
  /** Manifests that say something else than the cluster, and manifests that cannot be read. */
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Replaces the text of live objects by the file they came from: found by kind, namespace and name in `sourceDirectory`,
 * or by their annotation below it (below `cwd` without one). The objects stay those of the cluster.
 */
export function withSources(
  objects: readonly LoadedObject[],
  cwd: string,
  sourceDirectory: string | undefined,
): SourcedObjects {
  const diagnostics: Diagnostic[] = [];
  const read = (path: string): ReadonlyMap<string, LoadedObject> => {
    const loaded = loadManifests({ paths: [path], recursive: true, cwd });
    diagnostics.push(...loaded.diagnostics.filter(({ code }) => code === 'I001' || code === 'I002'));
    return new Map(loaded.objects.map((entry) => [objectTitle(entry.object), entry]));
  };
  const inDirectory = sourceDirectory === undefined ? undefined : read(sourceDirectory);
  const files = new Map<string, ReadonlyMap<string, LoadedObject>>();
  const found = objects.map((live): LoadedObject => {
    const title = objectTitle(live.object);
    const path = annotatedFile(live, resolve(cwd, sourceDirectory ?? '.'));
    if (path !== undefined && !files.has(path)) files.set(path, read(path));
    const written = (path === undefined ? undefined : files.get(path)?.get(title)) ?? inDirectory?.get(title);
    if (written === undefined) return live;
    if (sameContent(asWritten(written), asWritten(live))) return { ...live, document: written.document };
    if (live.object.kind === 'NetworkPolicy') diagnostics.push(differs(title, written));
    return live;
  });
  return { objects: found, diagnostics };
}

/** Without the identity that the server gives. */
function asWritten({ object }: LoadedObject): unknown {
  return 'uid' in object ? { ...object, uid: '' } : object;
}

/** Only regular files below the directory: the annotation is written by whoever may write the object. */
function annotatedFile({ document }: LoadedObject, directory: string): string | undefined {
  const { metadata } = document.raw as { readonly metadata?: { readonly annotations?: Record<string, unknown> } };
  const text = metadata?.annotations?.[sourceAnnotation];
  if (typeof text !== 'string') return undefined;
  const path = text.replace(/:\d+$/, '');
  if (path === '' || isAbsolute(path) || path.split(/[\\/]/).includes('..')) return undefined;
  let at = directory;
  for (const part of path.split('/')) {
    at = resolve(at, part);
    const entry = lstatSync(at, { throwIfNoEntry: false });
    if (entry === undefined || entry.isSymbolicLink()) return undefined;
    if (!entry.isDirectory() && !entry.isFile()) return undefined;
  }
  return at;
}

function differs(title: string, { document }: LoadedObject): Diagnostic {
  return {
    code: 'I008',
    severity: 'warning',
    message: `${title} in the cluster differs from ${document.source.file}`,
    help: 'shown and judged as the cluster has it; apply the file, or look somewhere else with --source-dir',
    object: title,
    source: document.source,
  };
}
