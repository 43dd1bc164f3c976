import { decodeObject } from '../../model/decode/object.ts';
import type { Diagnostic, Span } from '../../model/diagnostic.ts';
import type { ModelObject } from '../../model/snapshot.ts';
import type { ManifestDocument } from './document.ts';

/** An object of the model and the text it was read from. */
export interface LoadedObject {
  readonly object: ModelObject;
  readonly document: ManifestDocument;
  /** Nothing in it was refused. */
  readonly clean: boolean;
}

/** What documents turned out to be. */
export interface DecodedDocuments {
  readonly objects: readonly LoadedObject[];
  /** Objects of kinds the model does not know, as written. */
  readonly others: readonly ManifestDocument[];
  /** Documents meant for the model that gave no object. */
  readonly refused: readonly ManifestDocument[];
  /** What the decoder found, each with the span of the field it is about. */
  readonly diagnostics: readonly Diagnostic[];
}

/** Decodes documents in their order. */
export function decodeDocuments(documents: readonly ManifestDocument[]): DecodedDocuments {
  const objects: LoadedObject[] = [];
  const others: ManifestDocument[] = [];
  const refused: ManifestDocument[] = [];
  const diagnostics: Diagnostic[] = [];
  for (const document of documents) {
    const decoded = decodeObject(document.raw, document.source);
    for (const diagnostic of decoded.diagnostics) diagnostics.push(withSpan(diagnostic, document));
    const clean = decoded.diagnostics.every((diagnostic) => diagnostic.severity !== 'error');
    if (decoded.object !== undefined) objects.push({ object: decoded.object, document, clean });
    else if (decoded.diagnostics.length === 0) others.push(document);
    else refused.push(document);
  }
  return { objects, others, refused, diagnostics };
}

/** Adds the span of the field a diagnostic is about, or of its nearest ancestor that is written. */
export function withSpan(diagnostic: Diagnostic, document: ManifestDocument): Diagnostic {
  if (diagnostic.span !== undefined) return diagnostic;
  return { ...diagnostic, span: spanFor(diagnostic, document) };
}

/** One line where possible: the value if it fits on its line, else its key, else where it begins. */
function spanFor(diagnostic: Diagnostic, document: ManifestDocument): Span {
  const path = diagnostic.path ?? [];
  const nearest = document.locateNearest(path);
  const { key, value } = nearest.spans;
  if (nearest.path.length === path.length && value.start.line === value.end.line && !isEmpty(value)) return value;
  if (key !== undefined) return key;
  if (value.start.line === value.end.line) return value;
  const { line } = value.start;
  return { ...value, end: { line, column: Math.max(document.text.line(line).length + 1, value.start.column) } };
}

function isEmpty(span: Span): boolean {
  return span.start.line === span.end.line && span.start.column === span.end.column;
}
