import { placeText } from '../model/diagnostic.ts';
import type { Diagnostic, Span } from '../model/diagnostic.ts';
import type { ClusterSnapshot, ModelObject } from '../model/snapshot.ts';
import type { FieldPath } from '../model/source-ref.ts';

/** Where a field is written: its key (list items have none), its value, and both together. */
export interface FieldSpans {
  readonly key?: Span;
  readonly value: Span;
  readonly pair: Span;
}

/** A text with lines: a file, or an object of a cluster rendered as YAML. Lines count from 1. */
export interface WrittenText {
  readonly file: string;
  line(number: number): string;
  /** How many lines begin: one more than there are if the text ends in a line break. */
  readonly lineStarts: { readonly length: number };
}

/** One object as somebody wrote it, or as it was rendered. */
export interface WrittenObject {
  readonly raw: unknown;
  readonly text: WrittenText;
  locate(path: FieldPath): FieldSpans | undefined;
  locateNearest(path: FieldPath): { readonly path: FieldPath; readonly spans: FieldSpans };
}

/** Text that takes the place of a span; an empty span is an insertion. */
export interface TextEdit {
  readonly span: Span;
  readonly newText: string;
}

/**
 * Everything a question is answered from. Files and a live cluster both build one: explain knows no difference.
 * The snapshot must not change while it is used.
 */
export interface Cluster {
  readonly snapshot: ClusterSnapshot;
  /** Names of what was read, for the footer. */
  readonly inputs: readonly string[];
  /** Objects of kinds the engine does not know: workloads, endpoint slices. */
  readonly others: readonly WrittenObject[];
  /** All pods of the namespaces asked about are here: one that is not found does not exist. */
  readonly complete?: boolean;
  written(object: ModelObject): WrittenObject | undefined;
  /** What the decoder found in an object, with spans. */
  problems(object: ModelObject): readonly Diagnostic[];
  /** The object after edits of its text, read again; `undefined` if the edited text holds no such object. */
  edited(object: ModelObject, edits: readonly TextEdit[]): ModelObject | undefined;
}

/** `file:line` of a field, or of the nearest ancestor that is written. */
export function placeOf(cluster: Cluster, object: ModelObject, path: FieldPath): string | undefined {
  const span = cluster.written(object)?.locateNearest(path).spans.value;
  return span === undefined ? undefined : placeText(span);
}

/** The span of an object's name, else of the object. */
export function nameSpan(written: WrittenObject | undefined): Span | undefined {
  return written === undefined
    ? undefined
    : (written.locate(['metadata', 'name']) ?? written.locateNearest([]).spans).value;
}
