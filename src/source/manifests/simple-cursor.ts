import type { Marks } from './marks.ts';

/** Thrown where a text leaves the simple subset; the document then goes to the full parser, whatever is wrong or fine with it. */
export class NotSimple extends Error {
  override readonly name = 'NotSimple';
}

/** Longest key, up to its colon; YAML ends at 1024. */
export const longestKey = 1000;

/** Deepest nesting the simple parser follows. */
export const maxSimpleDepth = 100;

/**
 * A place in a text that is parsed, and the place of the value parsed last. Knows lines, blanks and comments; texts with
 * tabs or carriage returns are not simple.
 */
export class Cursor {
  readonly text: string;
  readonly end: number;
  readonly marks: Marks | undefined;
  at: number;
  lineStart: number;
  /** Column of the next content after {@link Cursor.next}, from 0; -1 at the end. */
  column = -1;
  /** Whether {@link Cursor.next} passed a line that is only a comment. */
  passedComment = false;
  /** Where the value parsed last begins and ends. */
  valueStart = 0;
  valueEnd = 0;

  constructor(text: string, at: number, end: number, lineStart: number, marks: Marks | undefined) {
    this.text = text;
    this.at = at;
    this.end = end;
    this.lineStart = lineStart;
    this.marks = marks;
  }

  /** The code unit at an offset; NaN at and after the end. */
  code(at: number): number {
    return at < this.end ? this.text.charCodeAt(at) : Number.NaN;
  }

  /** Whether a blank, a line break or the end is at an offset. */
  isGap(at: number): boolean {
    if (at >= this.end) return true;
    const code = this.text.charCodeAt(at);
    return code === 0x20 || code === 0x0a;
  }

  skipSpaces(): void {
    while (this.at < this.end && this.text.charCodeAt(this.at) === 0x20) this.at += 1;
  }

  /** Whether nothing but a comment is left on the line. The cursor stands after spaces or a token. */
  atLineEnd(): boolean {
    if (this.at >= this.end) return true;
    const code = this.text.charCodeAt(this.at);
    return code === 0x0a || (code === 0x23 && this.commentMayStart());
  }

  /** Goes to the next content, which must be on a later line, and notes its column. */
  next(): void {
    this.skipSpaces();
    if (!this.atLineEnd()) this.bail();
    this.passedComment = false;
    while (this.at < this.end) {
      const newline = this.text.indexOf('\n', this.at);
      if (newline === -1 || newline >= this.end) break;
      this.at = newline + 1;
      this.lineStart = this.at;
      this.skipSpaces();
      const code = this.code(this.at);
      if (code === 0x23) this.passedComment = true;
      else if (code !== 0x0a && this.at < this.end) {
        this.column = this.at - this.lineStart;
        return;
      }
    }
    this.at = this.end;
    this.column = -1;
  }

  /** Notes where a value was. */
  found(start: number, end: number): void {
    this.valueStart = start;
    this.valueEnd = end;
  }

  bail(): never {
    throw new NotSimple();
  }

  commentMayStart(): boolean {
    const before = this.at === this.lineStart ? 0x20 : this.text.charCodeAt(this.at - 1);
    return before === 0x20 || before === 0x0a;
  }
}
