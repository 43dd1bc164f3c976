import { placeText } from '../model/diagnostic.ts';
import type { Frame, Mark, Suggestion } from '../explain/explanation.ts';
import { cellWidth, cutCells, layOut } from './display-width.ts';
import type { Paint } from './style.ts';

/** How wide lines may be, and whether they have colour. */
export interface FrameStyle {
  readonly columns: number;
  readonly paint: Paint;
}

/** Least cells left for source text on a narrow terminal. */
const leastText = 20;

/** A frame as lines: place, source lines, marks under them; `...` where lines are left out. */
export function renderFrame(frame: Frame, style: FrameStyle): readonly string[] {
  const first = frame.marks.find(({ primary }) => primary) ?? frame.marks[0];
  if (first === undefined) return [];
  const width = gutterWidth(frame.lines.map(({ number }) => number));
  const { paint } = style;
  const lines = [
    `  ${paint('dim', '-->')} ${placeText(first.span)}${first.span.field === undefined ? `:${first.span.start.column}` : ''}`,
    gutter(width, undefined, '', paint),
  ];
  let previous: number | undefined;
  for (const { number, text } of frame.lines) {
    if (previous !== undefined && number > previous + 1) lines.push(paint('dim', '...'));
    previous = number;
    const marks = frame.marks.filter(({ span }) => span.start.line === number);
    lines.push(...renderLine(text, number, marks, width, style));
  }
  return lines;
}

/** Digits of the largest number: the width of the gutter. */
export function gutterWidth(numbers: readonly number[]): number {
  return String(Math.max(...numbers, 1)).length;
}

/** A line with its number, or without one, behind the gutter's bar. */
export function gutter(width: number, number: number | undefined, text: string, paint: Paint): string {
  const head = (number === undefined ? '' : String(number)).padStart(width);
  return `${paint('dim', `${head} |`)}${text === '' ? '' : ` ${text}`}`;
}

function renderLine(
  text: string,
  number: number,
  marks: readonly Mark[],
  width: number,
  { columns, paint }: FrameStyle,
): readonly string[] {
  const room = Math.max(leastText, columns - width - 3);
  const cells = layOut(text);
  const ranges = marks.map((mark) => ({ mark, ...cellRange(mark, cells.starts) }));
  return windows(ranges, cells.starts.at(-1) ?? 0, room).flatMap(({ left, ranges: shown }) => [
    gutter(width, number, cutCells(cells.text.trimEnd(), left, room), paint),
    ...markLines(shown, left, { width, room, paint }),
  ]);
}

interface Range {
  readonly mark: Mark;
  readonly from: number;
  readonly to: number;
}

/** The parts of a line in which its marks can be seen: one, unless they are further apart than the terminal is wide. */
function windows(
  ranges: readonly Range[],
  total: number,
  room: number,
): readonly { readonly left: number; readonly ranges: readonly Range[] }[] {
  const groups: Range[][] = [];
  for (const range of [...ranges].sort((a, b) => a.from - b.from)) {
    const group = groups.at(-1);
    if (group?.[0] !== undefined && (total <= room || range.to - group[0].from + 6 <= room)) group.push(range);
    else groups.push([range]);
  }
  if (groups.length === 0) groups.push([]);
  return groups.map((group) => ({ left: windowStart(group, total, room), ranges: group }));
}

function markLines(
  ranges: readonly Range[],
  left: number,
  { width, room, paint }: { readonly width: number; readonly room: number; readonly paint: Paint },
): readonly string[] {
  const lines: string[] = [];
  for (const { mark, from, to } of ranges) {
    const start = Math.max(0, from - left);
    const size = Math.max(1, Math.min(to - left, room) - start);
    const sign = mark.primary ? '^' : '-';
    const under = `${' '.repeat(start)}${paint('mark', sign.repeat(size))}`;
    if (start + size + 1 + cellWidth(mark.label) <= room) {
      lines.push(gutter(width, undefined, `${under} ${mark.label}`, paint));
    } else {
      lines.push(gutter(width, undefined, under, paint));
      const indent = Math.max(0, Math.min(start, room - cellWidth(mark.label)));
      for (const part of wrap(mark.label, room - indent))
        lines.push(gutter(width, undefined, ' '.repeat(indent) + part, paint));
    }
  }
  return lines;
}

function cellRange({ span }: Mark, starts: readonly number[]): { readonly from: number; readonly to: number } {
  const end = starts.at(-1) ?? 0;
  const from = starts[span.start.column - 1] ?? end;
  const to = span.end.line === span.start.line ? (starts[span.end.column - 1] ?? end) : end;
  return { from, to: Math.max(to, from + 1) };
}

/** Where a line that is too long begins to be shown, so that its marks can be seen. */
function windowStart(
  ranges: readonly { readonly from: number; readonly to: number }[],
  total: number,
  room: number,
): number {
  if (total <= room || ranges.length === 0) return 0;
  const from = Math.min(...ranges.map((range) => range.from));
  const to = Math.max(...ranges.map((range) => range.to));
  if (to + 3 <= room) return 0;
  const spare = Math.max(0, room - Math.min(to - from, room));
  return Math.max(0, Math.min(from - Math.floor(spare / 2), total - room));
}

/** A text in lines of at most `width` cells, broken at blanks. */
export function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && cellWidth(line) + 1 + cellWidth(word) > width) {
      lines.push(line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}

/** An edit as lines removed and added, with what it does. */
export function renderSuggestion(suggestion: Suggestion, { columns, paint }: FrameStyle): readonly string[] {
  const { help, diff, applicability, effectText } = suggestion;
  const title = `${paint('strong', 'help:')} ${help}`;
  if (diff.length === 0) return [title];
  const width = gutterWidth(diff.map(({ number }) => number));
  const room = Math.max(leastText, columns - width - 3);
  const shown = diff.map(({ number, sign, text }) => {
    const other = diff.find((line) => line.number === number && line.sign !== sign);
    const cut = other === undefined ? layOut(text).text : cutAround(text, other.text, room);
    const line = `${paint('dim', String(number).padStart(width))} ${sign} ${cut}`;
    return sign === '+' ? paint('good', line) : line;
  });
  const end = effectText === undefined ? applicability : `${applicability}; ${effectText}`;
  return [
    title,
    gutter(width, undefined, '', paint),
    ...shown,
    gutter(width, undefined, '', paint),
    fact(width, end, paint),
  ];
}

/** The part of a changed line in which it differs; a line that is new is shown whole, to be copied. */
function cutAround(text: string, other: string, room: number): string {
  const shorter = Math.min(text.length, other.length);
  let same = 0;
  while (same < shorter && text[same] === other[same]) same += 1;
  let tail = 0;
  while (tail < shorter - same && text.at(-1 - tail) === other.at(-1 - tail)) tail += 1;
  const cells = layOut(text);
  const from = cells.starts[same] ?? 0;
  const to = Math.max(from + 1, cells.starts[text.length - tail] ?? from);
  return cutCells(cells.text, windowStart([{ from, to }], cells.starts.at(-1) ?? 0, room), room);
}

/** A fact under a frame. */
export function fact(width: number, text: string, paint: Paint): string {
  return `${paint('dim', `${' '.repeat(width)} =`)} ${text}`;
}
