import { describe, expect, test } from 'vitest';

import type { Frame } from '../explain/explanation.ts';
import { cellWidth, cutCells, layOut } from './display-width.ts';
import { renderFrame, renderSuggestion } from './source-frame.ts';
import { plain } from './style.ts';

const mark = (line: number, from: number, to: number, label: string, primary = true): Frame['marks'][number] => ({
  span: { file: 'a.yaml', start: { line, column: from }, end: { line, column: to } },
  primary,
  label,
});

const render = (frame: Omit<Frame, 'file'>, columns = 80): readonly string[] =>
  renderFrame({ file: 'a.yaml', ...frame }, { columns, paint: plain });

describe('source frames', () => {
  test('point at the first mark that decides, and leave out what lies between', () => {
    const lines = [
      { number: 9, text: 'from:' },
      { number: 12, text: '  app: web' },
    ];
    expect(render({ lines, marks: [mark(9, 1, 6, 'here', false), mark(12, 3, 11, 'web has app=api')] })).toEqual([
      '  --> a.yaml:12:3',
      '   |',
      ' 9 | from:',
      '   | ----- here',
      '...',
      '12 |   app: web',
      '   |   ^^^^^^^^ web has app=api',
    ]);
  });

  test('marks stand under what they mark behind tabs and wide characters', () => {
    const text = '\t日本: web';
    const [, , line, under] = render({ lines: [{ number: 1, text }], marks: [mark(1, 6, 9, 'web')] });
    expect(line).toBe('1 |     日本: web');
    expect(under).toBe(`  | ${' '.repeat(10)}^^^ web`);
  });

  test('two marks on one line have a line each', () => {
    const lines = [{ number: 1, text: '{a: 1, b: 2}' }];
    const rendered = render({ lines, marks: [mark(1, 8, 12, 'b'), mark(1, 2, 6, 'a', false)] });
    expect(rendered.slice(3)).toEqual(['  |  ---- a', '  |        ^^^^ b']);
  });

  test('a long line is cut around its marks', () => {
    const text = `${'x'.repeat(300)}MARK${'y'.repeat(300)}`;
    const [, , line = '', under = ''] = render({ lines: [{ number: 1, text }], marks: [mark(1, 301, 305, 'm')] }, 60);
    expect(line.length).toBeLessThanOrEqual(60);
    expect(line.slice(under.indexOf('^'), under.lastIndexOf('^') + 1)).toBe('MARK');
  });

  test('a label that does not fit moves below its mark and wraps', () => {
    const lines = [{ number: 1, text: 'key: value' }];
    const rendered = render({ lines, marks: [mark(1, 6, 11, 'a label that is far too long for this terminal')] }, 32);
    expect(Math.max(...rendered.map(({ length }) => length))).toBeLessThanOrEqual(32);
    expect(
      rendered
        .slice(4)
        .map((line) => line.slice(3).trim())
        .join(' '),
    ).toBe('a label that is far too long for this terminal');
  });
});

describe('cells', () => {
  test('control characters are shown as question marks', () => {
    expect(layOut('a\u001B[31mb').text).toBe('a?[31mb');
  });

  test('combining marks take no cell', () => {
    expect(cellWidth('e\u0301')).toBe(1);
  });

  test.each([
    { from: 0, width: 20, is: 'abcdefghijklmnop' },
    { from: 0, width: 10, is: 'abcdefg...' },
    { from: 6, width: 10, is: '...jklmnop' },
  ])('cutting from $from, $width wide', ({ from, width, is }) => {
    expect(cutCells('abcdefghijklmnop', from, width)).toBe(is);
  });
});

describe('marks of one long line', () => {
  test('that are further apart than the terminal is wide get a part of the line each', () => {
    const text = `{"app":"wbe","z":"${'z'.repeat(90)}","port":8080}`;
    const at = text.indexOf('"port"') + 1;
    const marks = [mark(1, at, at + 11, 'TCP 8080', false), mark(1, 2, 13, 'web has app=web')];
    const lines = render({ lines: [{ number: 1, text }], marks }, 48).slice(2);
    expect(lines.map((line) => line.trim()).at(-1)).toMatch(/\| +TCP 8080$/);
    expect(lines[0]).toMatch(/^1 \| \{"app":"wbe",.*\.\.\.$/);
    expect(lines[1]).toBe('  |  ^^^^^^^^^^^ web has app=web');
    expect(lines[2]).toMatch(/^1 \| \.\.\.z.*"port":8080\}$/);
    expect(lines[3]?.indexOf('-----------')).toBe(lines[2]?.indexOf('"port"'));
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(48);
  });
});

describe('edits', () => {
  const suggestion = (
    diff: Parameters<typeof renderSuggestion>[0]['diff'],
  ): Parameters<typeof renderSuggestion>[0] => ({
    code: 'E012',
    applicability: 'likely',
    help: 'did you mean "web"?',
    edits: [],
    diff,
    effect: null,
  });
  const shown = (diff: Parameters<typeof renderSuggestion>[0]['diff']): readonly string[] =>
    renderSuggestion(suggestion(diff), { columns: 48, paint: plain }).slice(2, -2);

  test('of a long line show the part that changes', () => {
    const line = (value: string): string =>
      `{"metadata":{"a":"${'z'.repeat(200)}"},"app":"${value}","b":"${'y'.repeat(80)}"}`;
    const lines = shown([
      { number: 1, sign: '-', text: line('wbe') },
      { number: 1, sign: '+', text: line('web') },
    ]);
    expect(lines[0]).toMatch(/^1 - \.\.\..*"app":"wbe".*\.\.\.$/);
    expect(lines[1]).toMatch(/^1 \+ \.\.\..*"app":"web".*\.\.\.$/);
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(48);
  });

  test('show a new line whole, to be copied', () => {
    const text = '    - namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: tools}}';
    expect(shown([{ number: 7, sign: '+', text }])).toEqual([`7 + ${text}`]);
  });
});
