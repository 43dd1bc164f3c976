import { relative, resolve } from 'node:path';
import type { Diagnostic, Span } from '../../model/diagnostic.ts';
import { objectTitle } from '../object-name.ts';
import { decodeDocuments } from './decode-documents.ts';
import type { LoadedObject } from './decode-documents.ts';
import type { ManifestDocument } from './document.ts';
import { duplicateObject } from './duplicate-object.ts';
import { cannotRead, listManifestFiles } from './list-files.ts';
import { readTextFile } from './read-file.ts';
import type { SourceText } from './source-text.ts';
import { parseManifests } from './yaml.ts';

/** What to load. */
export interface ManifestInputs {
  /** Files, directories, and `-` for `stdin`. */
  readonly paths: readonly string[];
  /** Also directories below the given ones. */
  readonly recursive?: boolean;
  /** The text that `-` stands for. */
  readonly stdin?: string;
  /** Where relative paths begin; the working directory of the process if absent. Positions keep the relative names. */
  readonly cwd?: string;
}

/** What the inputs hold, in their order. */
export interface LoadedManifests {
  /** One per name; of two with one name the later counts. */
  readonly objects: readonly LoadedObject[];
  /** Objects of other kinds: workloads, endpoint slices, anything. */
  readonly others: readonly ManifestDocument[];
  readonly diagnostics: readonly Diagnostic[];
  /** Every text that was read, for source frames. */
  readonly files: readonly SourceText[];
}

/** The name under which standard input appears in positions. */
export const stdinName = '<stdin>';

/** Reads manifests. Never throws on bad input: what cannot be read is reported, and the rest is read. */
export function loadManifests(inputs: ManifestInputs): LoadedManifests {
  const listed = listManifestFiles(
    inputs.paths
      .filter((path) => path !== '-')
      .map((path) => (inputs.cwd === undefined ? path : resolve(inputs.cwd, path))),
    { recursive: inputs.recursive ?? false },
  );
  const diagnostics: Diagnostic[] = [...listed.diagnostics];
  const files: SourceText[] = [];
  const objects: LoadedObject[] = [];
  const others: ManifestDocument[] = [];
  const take = (text: string, file: string): void => {
    const parsed = parseManifests(text, file);
    const decoded = decodeDocuments(parsed.documents);
    files.push(parsed.source);
    for (const diagnostic of parsed.diagnostics) diagnostics.push(diagnostic);
    for (const diagnostic of decoded.diagnostics) diagnostics.push(diagnostic);
    for (const object of decoded.objects) objects.push(object);
    for (const other of decoded.others) others.push(other);
  };
  for (const path of listed.files) {
    const text = readTextFile(path);
    if (text.ok) take(text.value, inputs.cwd === undefined ? path : relative(inputs.cwd, path));
    else diagnostics.push(cannotRead(path, text.error));
  }
  if (inputs.paths.includes('-')) {
    if (inputs.stdin === undefined) diagnostics.push(cannotRead('-', 'there is no standard input'));
    else take(inputs.stdin, stdinName);
  }
  return { objects: lastOfEachName(objects, diagnostics), others, diagnostics, files };
}

function lastOfEachName(objects: readonly LoadedObject[], diagnostics: Diagnostic[]): readonly LoadedObject[] {
  const byName = new Map<string, LoadedObject>();
  for (const loaded of objects) {
    const title = objectTitle(loaded.object);
    const earlier = byName.get(title);
    if (earlier !== undefined) {
      diagnostics.push(duplicateObject(loaded.object, earlier.object, nameSpan(loaded.document)));
      byName.delete(title);
    }
    byName.set(title, loaded);
  }
  return byName.size === objects.length ? objects : [...byName.values()];
}

function nameSpan(document: ManifestDocument): Span {
  return (document.locate(['metadata', 'name']) ?? document.locateNearest([]).spans).value;
}
