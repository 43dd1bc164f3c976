/** Characters that take two cells in a terminal: East Asian wide and full-width forms, and emoji. */
const wide =
  /[\u1100-\u115F\u2E80-\u303E\u3041-\u33FF\u3400-\u4DBF\u4E00-\u9FFF\uA000-\uA4CF\uA960-\uA97F\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF00-\uFF60\uFFE0-\uFFE6\u{1F300}-\u{1F64F}\u{1F680}-\u{1F6FF}\u{1F900}-\u{1F9FF}\u{20000}-\u{3FFFD}]/u;
const invisible = /[\p{Mn}\p{Me}\p{Cf}]/u;
const tabStop = 4;

/** A line as it can be shown: tabs as blanks, control characters as `?`, and the cell at which each code unit begins. */
export interface Cells {
  readonly text: string;
  /** One entry per UTF-16 code unit, and one for the end. */
  readonly starts: readonly number[];
}

/** Lays a source line out in terminal cells. */
export function layOut(line: string): Cells {
  const starts: number[] = [];
  let text = '';
  let cell = 0;
  for (const character of line) {
    for (let unit = 0; unit < character.length; unit++) starts.push(cell);
    const code = character.codePointAt(0) ?? 0;
    if (character === '\t') {
      const blanks = tabStop - (cell % tabStop);
      text += ' '.repeat(blanks);
      cell += blanks;
    } else if (code < 0x20 || (code >= 0x7f && code < 0xa0)) {
      text += '?';
      cell += 1;
    } else {
      text += character;
      cell += invisible.test(character) ? 0 : wide.test(character) ? 2 : 1;
    }
  }
  starts.push(cell);
  return { text, starts };
}

/** How many cells a text takes. */
export function cellWidth(text: string): number {
  return layOut(text).starts.at(-1) ?? 0;
}

/** The part of a text that lies in a range of cells; `...` stands at the ends where something is cut off. */
export function cutCells(text: string, from: number, width: number): string {
  const total = cellWidth(text);
  if (from === 0 && total <= width) return text;
  const [left, right] = [from > 0 ? '...' : '', from + width < total ? '...' : ''];
  let cell = 0;
  let shown = '';
  for (const character of text) {
    const size = cellWidth(character);
    if (cell >= from + left.length && cell + size <= from + width - right.length) shown += character;
    cell += size;
  }
  return left + shown + right;
}
