import type { Span } from '../../model/diagnostic.ts';

/** A text that was read, with its lines, each ending in one line feed. Offsets are UTF-16 code units from 0; lines and columns count from 1. */
export class SourceText {
  readonly file: string;
  readonly text: string;
  #starts: number[] | undefined;

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
  }

  /** Offsets at which lines begin. */
  get lineStarts(): readonly number[] {
    if (this.#starts === undefined) {
      const starts = [0];
      for (let at = this.text.indexOf('\n'); at !== -1; at = this.text.indexOf('\n', at + 1)) starts.push(at + 1);
      this.#starts = starts;
    }
    return this.#starts;
  }

  /** How many lines there are; a text that ends in a line break has no empty last line. */
  get lineCount(): number {
    const starts = this.lineStarts;
    return starts.length > 1 && starts.at(-1) === this.text.length ? starts.length - 1 : starts.length;
  }

  /** The text of one line without its line break; empty beyond the end. */
  line(number: number): string {
    const start = this.lineStarts[number - 1];
    if (start === undefined) return '';
    const next = this.lineStarts[number];
    return this.text.slice(start, next === undefined ? this.text.length : next - 1);
  }

  /** Every line, without line breaks. */
  get lines(): readonly string[] {
    return Array.from({ length: this.lineCount }, (_, index) => this.line(index + 1));
  }

  /** The place of an offset. O(log lines). */
  positionAt(offset: number): { readonly line: number; readonly column: number } {
    const starts = this.lineStarts;
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  }

  /** The span of a range of offsets; the end is exclusive. */
  span(start: number, end: number): Span {
    return { file: this.file, start: this.positionAt(start), end: this.positionAt(Math.max(start, end)) };
  }
}
