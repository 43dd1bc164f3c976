import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Diagnostic } from '../../model/diagnostic.ts';
import { UnreadableText } from './input-diagnostic.ts';
import { parseWithLibrary } from './library-yaml.ts';
import type { Mark, ParsedTree } from './marks.ts';
import { parseSimpleItem, parseSimpleYaml } from './simple-yaml.ts';
import { SourceText } from './source-text.ts';

/** Every part of a tree with its place, as comparable lines. */
function placesOf(tree: ParsedTree): readonly string[] {
  const lines: string[] = [`root ${tree.start}-${tree.end}`];
  const visit = (value: unknown, path: string): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const key of Object.keys(value)) {
      const step = Array.isArray(value) ? Number(key) : key;
      const mark: Mark | undefined = tree.marks?.get(value, step);
      lines.push(`${path}/${key} ${mark?.keyStart},${mark?.keyEnd} ${mark?.start}-${mark?.end}`);
      visit((value as Record<string, unknown>)[key], `${path}/${key}`);
    }
  };
  visit(tree.value, '');
  return lines;
}

/** What the full parser makes of a text; the reason if it refuses or even warns. */
function byLibrary(text: string): { readonly tree: ParsedTree } | { readonly refusal: string } {
  const diagnostics: Diagnostic[] = [];
  try {
    const tree = parseWithLibrary(new SourceText('f', text), 0, text.length, diagnostics);
    return diagnostics.length > 0 ? { refusal: diagnostics[0]!.message } : { tree };
  } catch (error) {
    if (error instanceof UnreadableText) return { refusal: error.message };
    throw error;
  }
}

/** Whether the simple parser takes the text; if so, both parsers must agree in every value and place. */
function agrees(text: string): boolean {
  const simple = parseSimpleYaml(text, 0, text.length, { marks: true });
  if (simple === undefined) return false;
  const full = byLibrary(text);
  if ('refusal' in full) throw new Error(`the full parser refuses this text: ${full.refusal}\n${text}`);
  expect(simple.value).toEqual(full.tree.value);
  expect(placesOf(simple)).toEqual(placesOf(full.tree));
  return true;
}

const scalars = [
  'web',
  'a b',
  'a-b',
  '-1',
  '8080',
  'yes',
  'y',
  'true',
  'null',
  '~',
  '0x1F',
  '1.5',
  '0o17',
  '010',
  '1:30',
  '2020-01-01',
  'a:b',
  'a#b',
  'http://x/y?z',
  '10.0.0.0/8',
  '::1',
  'fe80::/10',
  '"q"',
  '"a: b"',
  '"a\\nb"',
  '"\\u00e9"',
  '"\\x41"',
  "'it''s'",
  "'# no'",
  '""',
  "''",
  '.5',
  '.',
  '-',
  '+',
  '<<',
  '*',
  '&a',
  '*a',
  '!x y',
  '!!str 1',
  '@x',
  '`x',
  '%x',
  'a: b',
  'a #c',
  '>',
  '|',
  '|-',
  '>-',
  '?',
  '? x',
  'é',
  '=',
  '$(X)',
  '"unterminated',
  "'unterminated",
  'a:',
  ':a',
  ': a',
  '- a',
  '-a',
  '--- a',
  '...',
  '.inf',
  '.nan',
  '1_000',
  '1e3',
  'e3',
  '[',
  ']',
  '{',
  '}',
  ',',
  'a,b',
  'a]b',
];
const keys = [
  'a',
  'b',
  'items',
  'app.kubernetes.io/name',
  'x y',
  '"q"',
  "'s'",
  'y',
  '1',
  '-k',
  '<<',
  'a#b',
  'a:b',
  '$k',
  '__proto__',
  'constructor',
];

const scalar = fc.constantFrom(...scalars);
const key = fc.oneof({ weight: 8, arbitrary: fc.constantFrom('a', 'b', 'c', 'items', 'd') }, fc.constantFrom(...keys));
const comment = fc.constantFrom('', '', '', '', ' # c', ' #', '#c');

const flow = fc.letrec<{ node: string; list: string; map: string }>((tie) => ({
  node: fc.oneof({ maxDepth: 3, depthIdentifier: 'flow' }, scalar, tie('list'), tie('map')),
  list: fc
    .tuple(
      fc.array(tie('node'), { maxLength: 3, depthIdentifier: 'flow' }),
      fc.constantFrom(', ', ',', ' ,', ',\n  ', ',\n', ', # c\n      '),
      fc.constantFrom('', ' ', ','),
    )
    .map(([items, separator, end]) => `[${items.join(separator)}${end}]`),
  map: fc
    .tuple(
      fc.array(fc.tuple(key, fc.constantFrom(': ', ':', ' : ', ':\n      '), tie('node')), {
        maxLength: 3,
        depthIdentifier: 'flow',
      }),
      fc.constantFrom(', ', ',', ',\n      '),
      fc.constantFrom('', ' ', ', '),
    )
    .map(([pairs, separator, end]) => `{${pairs.map((pair) => pair.join('')).join(separator)}${end}}`),
})).node;

/** Lines of a block node, each relative to the node's own indentation. */
const block = fc.letrec<{ node: string[]; map: string[]; list: string[]; leaf: string[] }>((tie) => ({
  node: fc.oneof({ maxDepth: 4, depthIdentifier: 'block' }, tie('leaf'), tie('map'), tie('list')),
  leaf: fc.oneof(
    { weight: 6, arbitrary: fc.tuple(scalar, comment).map(([text, end]) => [text + end]) },
    { weight: 2, arbitrary: flow.map((text) => text.split('\n')) },
    {
      weight: 1,
      arbitrary: fc
        .tuple(
          fc.constantFrom('|', '|-', '|+', '>', '|2', '| # c'),
          fc.array(fc.constantFrom('x', '  y', '', '# z', 'k: v', ' '), { maxLength: 4 }),
        )
        .map(([head, lines]) => [head, ...lines.map((line) => `  ${line}`)]),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(
          fc.constantFrom('one', 'one # c', '"one', "'one"),
          fc.constantFrom('two', '- two', '# two', 'k: two', '', 'two"'),
        )
        .map(([a, b]) => [a, `  ${b}`]),
    },
  ),
  map: fc
    .array(
      fc.tuple(
        key,
        tie('node'),
        fc.constantFrom('inline', 'below', 'below', 'flush', 'none'),
        comment,
        fc.constantFrom(1, 2, 4),
      ),
      { minLength: 1, maxLength: 4, depthIdentifier: 'block' },
    )
    .map((entries) =>
      entries.flatMap(([name, node, style, end, indent]) => entryLines(`${name}:`, node, style, end, indent)),
    ),
  list: fc
    .array(
      fc.tuple(
        tie('node'),
        fc.constantFrom('inline', 'inline', 'inline', 'below', 'none'),
        comment,
        fc.constantFrom(2, 3),
      ),
      { minLength: 1, maxLength: 4, depthIdentifier: 'block' },
    )
    .map((entries) => entries.flatMap(([node, style, end, indent]) => entryLines('-', node, style, end, indent))),
}));

function entryLines(head: string, node: readonly string[], style: string, end: string, indent: number): string[] {
  const pad = ' '.repeat(indent);
  if (style === 'none') return [head + end];
  if (style === 'flush') return [head + end, ...node];
  if (style === 'below') return [head + end, ...node.map((line) => pad + line)];
  const [first = '', ...rest] = node;
  const gap = head === '-' ? ' '.repeat(indent - 1) : ' ';
  return [head + gap + first, ...rest.map((line) => pad + line)];
}

const noise = fc.array(
  fc.tuple(fc.nat(), fc.constantFrom('', '', ' ', '\n', '#', ' # x\n', '\n\n', ':', '-', '"', '  ', '\n# c\n')),
  { maxLength: 2 },
);

const document = fc
  .tuple(
    fc.oneof({ weight: 5, arbitrary: block.map }, block.node),
    noise,
    fc.constantFrom('', '\n', '\n\n', '\n# end\n', '\n  \n'),
  )
  .map(([lines, edits, end]) => {
    let text = lines.join('\n') + end;
    for (const [place, insert] of edits) {
      const at = place % (text.length + 1);
      text = text.slice(0, at) + insert + text.slice(insert === '' ? at + 1 : at);
    }
    return text;
  });

const runs = Number(process.env['SIMPLE_YAML_RUNS'] ?? 3000);

describe('the simple parser', () => {
  test('reads the same values at the same places as the full parser, or leaves the text to it', () => {
    let accepted = 0;
    fc.assert(
      fc.property(document, (text) => {
        if (agrees(text)) accepted += 1;
      }),
      { numRuns: runs, ...(process.env['SIMPLE_YAML_RUNS'] === undefined ? { seed: 20 } : {}) },
    );
    expect(accepted).toBeGreaterThan(runs / 20);
  });

  test.each([
    ['block maps and lists', 'a:\n  b: 1\n  c:\n    - x\n    - e: 2\n      z: 3\n'],
    ['a list as deep as its key', 'a:\n- x\n- e: 1\nb: 2\n'],
    ['flow collections', 'a: {b: 1, c: [x, "y", {d: e}]}\nf: []\ng: {}\n'],
    ['flow collections over lines', 'a: [\n  x, # one\n  y,\n  ]\n'],
    ['comments and blank lines', '# head\n\na: 1 # one\n\n# between\nb: 2\n# end\n'],
    ['values that are missing', 'a:\nb:\n  c:\nd: # none\n'],
    ['plain text over lines', 'a: one\n  two\n\n  three\nb: 1\n'],
    ['literal blocks', 'a: |\n  one\n    two\n\n  three\nb: |-\n  x\nc: |+\n  y\n\nd: 1\n'],
    ['quoted keys', '"a b": 1\n\'c\': 2\n'],
    ['lists of lists', 'a:\n  - - x\n    - y\n  -   - z\n'],
    ['keys that objects inherit', '__proto__: 1\nconstructor: {toString: 2}\n'],
    ['a text without a last line break', 'a: b'],
  ])('reads %s itself', (_, text) => {
    expect(agrees(text)).toBe(true);
  });

  test.each([
    ['anchors', 'a: &x 1\n'],
    ['aliases', 'a: &x 1\nb: *x\n'],
    ['tags', 'a: !!str 1\n'],
    ['merges', '<<: {a: 1}\n'],
    ['duplicate keys', 'a: 1\na: 2\n'],
    ['tabs', 'a:\t1\n'],
    ['carriage returns', 'a: 1\r\n'],
    ['folded blocks', 'a: >\n  x\n'],
    ['quoted text over lines', 'a: "x\n  y"\n'],
    ['explicit keys', '? a\n: b\n'],
    ['roots that are no mapping', '- a\n'],
    ['keys that are no text', 'yes: 1\n'],
    ['a colon in a value', 'a: b: c\n'],
    ['wrong indentation', 'a: 1\n  b: 2\n'],
    ['infinity', 'a: .inf\n'],
    ['directives', '%YAML 1.1\n'],
    ['nothing', '# only this\n'],
    ['nesting without end', `a: ${'['.repeat(5000)}`],
  ])('leaves %s to the full parser', (_, text) => {
    expect(parseSimpleYaml(text, 0, text.length, { marks: true })).toBeUndefined();
  });

  test('parses an item of a list alone, at the same places', () => {
    const text = 'kind: List\nitems:\n- a: {b: [1, 2]}\n  c: x\n- d:\n  - e: |\n      f\n';
    const whole = parseSimpleYaml(text, 0, text.length, { marks: true })!;
    const items = (whole.value as { items: unknown[] }).items;
    expect(whole.items).toHaveLength(2);
    for (const [index, item] of whole.items.entries()) {
      const alone = parseSimpleItem(text, item, text.length)!;
      const mark = whole.marks!.get(items, index)!;
      expect(alone.value).toEqual(items[index]);
      expect([alone.start, alone.end]).toEqual([mark.start, mark.end]);
      const inside = placesOf({ ...whole, value: items[index], start: mark.start, end: mark.end });
      expect(placesOf(alone)).toEqual(inside);
    }
  });
});
