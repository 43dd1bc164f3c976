import type { FieldPath } from '../model/source-ref.ts';
import type { Span } from '../model/diagnostic.ts';
import type { WrittenObject } from './cluster.ts';
import type { Frame } from './explanation.ts';

/** A mark with the path it is written at, so that the keys around it can be shown. */
export interface PathMark {
  readonly path: FieldPath;
  readonly span?: Span;
  readonly primary: boolean;
  readonly label: string;
}

/**
 * Cuts a frame out of an object's text: the marked lines, the lines of every key from `base` down to them, and gaps of
 * one line. `undefined` if nothing has a place.
 */
export function makeFrame(
  written: WrittenObject | undefined,
  base: FieldPath,
  marks: readonly PathMark[],
): Frame | undefined {
  const placed = marks.flatMap((mark) => (mark.span === undefined ? [] : [{ ...mark, span: mark.span }]));
  if (written === undefined || placed.length === 0) return undefined;
  const numbers = new Set<number>();
  for (const { path, span } of placed) {
    numbers.add(span.start.line);
    for (let length = base.length; length < path.length; length++) {
      const spans = written.locate(path.slice(0, length));
      if (spans === undefined) break;
      const line = (spans.key ?? spans.value).start.line;
      if (line <= span.start.line) numbers.add(line);
    }
  }
  const sorted = [...numbers].sort((a, b) => a - b);
  const filled = sorted.flatMap((number, index) =>
    (sorted[index + 1] ?? 0) === number + 2 ? [number, number + 1] : [number],
  );
  return {
    file: placed[0]?.span.file ?? written.text.file,
    lines: filled.map((number) => ({ number, text: written.text.line(number) })),
    marks: placed.map(({ span, primary, label }) => ({ span, primary, label })),
  };
}
