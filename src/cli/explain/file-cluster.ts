import { decodeObject } from '../../model/decode/object.ts';
import type { Diagnostic } from '../../model/diagnostic.ts';
import type { ModelObject } from '../../model/snapshot.ts';
import type { Cluster, TextEdit } from '../../explain/cluster.ts';
import type { LoadedObject } from '../../source/manifests/decode-documents.ts';
import type { ManifestDocument } from '../../source/manifests/document.ts';
import type { LoadedManifests } from '../../source/manifests/files.ts';
import { isMapping } from '../../source/manifests/marks.ts';
import type { SourceText } from '../../source/manifests/source-text.ts';
import { parseManifests } from '../../source/manifests/yaml.ts';
import { objectTitle } from '../../source/object-name.ts';
import { snapshotOf } from '../../source/store.ts';

/** What changes between the files and the question: `--what-if` and `--without`. */
export interface ClusterChange {
  /** Objects added or replaced. */
  readonly apply?: LoadedManifests;
  /** Titles of objects taken away: `NetworkPolicy shop/web`. */
  readonly remove?: ReadonlySet<string>;
}

/** A {@link Cluster} of loaded objects. `names` are what the footer calls them. */
export function fileCluster(
  loaded: LoadedManifests,
  names: readonly string[],
  change: ClusterChange = {},
  complete = false,
): Cluster {
  const documents = new Map<ModelObject, ManifestDocument>();
  for (const { object, document } of changedObjects(loaded.objects, change)) documents.set(object, document);
  return {
    snapshot: snapshotOf(documents.keys()),
    inputs: names,
    complete,
    others: [...loaded.others, ...(change.apply?.others ?? [])],
    written: (object) => documents.get(object),
    problems: (object) => problemsIn(documents.get(object)),
    edited: (object, edits) => {
      const document = documents.get(object);
      return document === undefined ? undefined : editedObject(document, edits);
    },
  };
}

function changedObjects(objects: readonly LoadedObject[], { apply, remove }: ClusterChange): Iterable<LoadedObject> {
  if (apply === undefined && remove === undefined) return objects;
  const kept = new Map<string, LoadedObject>();
  for (const entry of [...objects, ...(apply?.objects ?? [])]) kept.set(objectTitle(entry.object), entry);
  for (const title of remove ?? []) kept.delete(title);
  return kept.values();
}

/** Decodes the one document again: problems are asked for rarely, and only of policies near the question. */
function problemsIn(document: ManifestDocument | undefined): readonly Diagnostic[] {
  if (document === undefined) return [];
  return decodeObject(document.raw, document.source).diagnostics.map((diagnostic) => ({
    ...diagnostic,
    span: document.locateNearest(diagnostic.path ?? []).spans.value,
  }));
}

/** Reads the text of one object again with edits applied. */
function editedObject(document: ManifestDocument, edits: readonly TextEdit[]): ModelObject | undefined {
  const text = editedText(document, edits);
  const [again, second] = parseManifests(text, document.text.file).documents;
  if (again === undefined || second !== undefined || !isMapping(again.raw)) return undefined;
  const original = isMapping(document.raw) ? document.raw : {};
  const raw = { apiVersion: original['apiVersion'], kind: original['kind'], ...again.raw };
  return decodeObject(raw, document.source).object;
}

function editedText(document: ManifestDocument, edits: readonly TextEdit[]): string {
  const source = document.text;
  const { start, end } = document.locateNearest([]).spans.value;
  const from = offsetOf(source, start.line, start.column);
  const to = Math.max(from, offsetOf(source, end.line, end.column));
  // Blanks in place of what precedes on the first line keep the indentation of the rest meaningful.
  let result = ' '.repeat(start.column - 1) + source.text.slice(from, to);
  const shift = from - (start.column - 1);
  const sorted = [...edits].sort(
    (a, b) => b.span.start.line - a.span.start.line || b.span.start.column - a.span.start.column,
  );
  for (const { span, newText } of sorted) {
    const begin = Math.min(offsetOf(source, span.start.line, span.start.column) - shift, result.length);
    const finish = Math.min(offsetOf(source, span.end.line, span.end.column) - shift, result.length);
    const head = result.slice(0, begin);
    const joint = span.start.column === 1 && head !== '' && !head.endsWith('\n') ? '\n' : '';
    result = head + joint + newText + result.slice(finish);
  }
  return result;
}

/** The offset of a position; positions after the last line are the end of the text. */
function offsetOf(source: SourceText, line: number, column: number): number {
  const start = source.lineStarts[line - 1];
  return start === undefined ? source.text.length : Math.min(source.text.length, start + column - 1);
}
