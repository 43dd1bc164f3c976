import type { Span } from '../../model/diagnostic.ts';
import type { FieldPath, SourceRef } from '../../model/source-ref.ts';
import type { Mark, ParsedTree } from './marks.ts';
import type { SourceText } from './source-text.ts';

/** Where a field is: its key (list items have none), its value, and both together. */
export interface NodeSpans {
  readonly key?: Span;
  readonly value: Span;
  readonly pair: Span;
}

/** One object of a manifest, as written. */
export interface ManifestDocument {
  /** Plain JavaScript data: `kind` and `apiVersion` are filled in for items of typed lists. */
  readonly raw: unknown;
  readonly source: SourceRef & { readonly kind: 'file' };
  readonly text: SourceText;
  /** Spans of the field at `path` inside the object; of the object itself for the empty path. Parses on first use. */
  locate(path: FieldPath): NodeSpans | undefined;
  /** Spans of the longest prefix of `path` that exists. */
  locateNearest(path: FieldPath): { readonly path: FieldPath; readonly spans: NodeSpans };
}

/** Parses the place of an object again, this time with marks. The path leads from the tree's root to the object. */
export interface Region {
  readonly tree: () => ParsedTree;
  readonly path: FieldPath;
}

/** A document whose positions are computed when they are asked for. */
export class LocatedDocument implements ManifestDocument {
  readonly raw: unknown;
  readonly source: SourceRef & { readonly kind: 'file' };
  readonly text: SourceText;
  readonly #region: Region;

  constructor(raw: unknown, source: SourceRef & { readonly kind: 'file' }, text: SourceText, region: Region) {
    this.raw = raw;
    this.source = source;
    this.text = text;
    this.#region = region;
  }

  locate(path: FieldPath): NodeSpans | undefined {
    const { mark, steps } = this.#walk(path);
    return steps === path.length ? this.#spans(mark) : undefined;
  }

  locateNearest(path: FieldPath): { readonly path: FieldPath; readonly spans: NodeSpans } {
    const { mark, steps } = this.#walk(path);
    return { path: path.slice(0, steps), spans: this.#spans(mark) };
  }

  #walk(path: FieldPath): { mark: Mark; steps: number } {
    const tree = this.#region.tree();
    let value = tree.value;
    let mark: Mark = { keyStart: -1, keyEnd: -1, start: tree.start, end: tree.end };
    const inner = this.#region.path.length;
    let done = 0;
    for (const step of [...this.#region.path, ...path]) {
      if (typeof value !== 'object' || value === null) break;
      const next = tree.marks?.get(value, step);
      if (next === undefined) break;
      mark = next;
      value = (value as Record<string | number, unknown>)[step];
      done += 1;
    }
    return { mark, steps: Math.max(0, done - inner) };
  }

  #spans(mark: Mark): NodeSpans {
    const value = this.text.span(mark.start, mark.end);
    if (mark.keyStart < 0) return { value, pair: value };
    const key = this.text.span(mark.keyStart, mark.keyEnd);
    return { key, value, pair: this.text.span(mark.keyStart, Math.max(mark.keyEnd, mark.end)) };
  }
}
