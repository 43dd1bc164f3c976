import { describe, expect, test } from 'vitest';
import type { Span } from '../../model/diagnostic.ts';
import type { FieldPath } from '../../model/source-ref.ts';
import type { ManifestDocument } from './document.ts';
import { parseManifests } from './yaml.ts';

const raws = (text: string): readonly unknown[] => parseManifests(text, 'f').documents.map(({ raw }) => raw);
const only = (text: string): ManifestDocument => {
  const { documents } = parseManifests(text, 'f');
  expect(documents).toHaveLength(1);
  return documents[0]!;
};
const textOf = (document: ManifestDocument, span: Span): string => {
  const lines = document.text.lines.slice(span.start.line - 1, span.end.line).map((line) => `${line}\n`);
  const last = lines.length - 1;
  lines[last] = lines[last]!.slice(0, span.end.column - 1);
  lines[0] = lines[0]!.slice(span.start.column - 1);
  return lines.join('');
};
const shown = (document: ManifestDocument, path: FieldPath): unknown => {
  const spans = document.locate(path);
  if (spans === undefined) return undefined;
  return {
    ...(spans.key === undefined ? {} : { key: textOf(document, spans.key) }),
    value: textOf(document, spans.value),
    pair: textOf(document, spans.pair),
  };
};

describe('documents', () => {
  test('are split at markers, with empty ones and comments left out', () => {
    const text = '# head\n---\na: 1\n--- # second\nb: 2\n---\n# nothing\n---\n---\nc: 3\n...\n';
    expect(raws(text)).toEqual([{ a: 1 }, { b: 2 }, { c: 3 }]);
    expect(parseManifests(text, 'f').documents.map(({ source }) => [source.document, source.line])).toEqual([
      [0, 3],
      [1, 5],
      [2, 10],
    ]);
  });

  test('a marker inside a literal block, indented, is text', () => {
    expect(raws('a: |\n  ---\n  x\n')).toEqual([{ a: '---\nx\n' }]);
  });

  test('a broken one does not hide the others, and says where, what and what to do', () => {
    const { documents, diagnostics } = parseManifests('a: 1\n---\nb: [\n---\nc: 3\n', 'f');
    expect(documents.map(({ raw }) => raw)).toEqual([{ a: 1 }, { c: 3 }]);
    expect(diagnostics).toHaveLength(1);
    expect(diagnostics[0]).toMatchObject({
      code: 'I002',
      severity: 'error',
      span: { file: 'f', start: { line: 4, column: 1 } },
    });
    expect(diagnostics[0]!.help).toBeTruthy();
  });

  test('byte order mark and Windows line breaks change nothing', () => {
    const document = only('\uFEFFa:\r\n  - x\r\n  - |\r\n    l\r\n');
    expect(document.raw).toEqual({ a: ['x', 'l\n'] });
    expect(shown(document, ['a', 0])).toEqual({ value: 'x', pair: 'x' });
    expect(document.locate(['a', 0])?.value.start).toEqual({ line: 2, column: 5 });
  });

  test('text after "..." is reported, as kubectl never reads it', () => {
    expect(parseManifests('a: 1\n...\nb: 2\n', 'f').diagnostics).toMatchObject([
      { code: 'I002', severity: 'error', span: { start: { line: 3, column: 1 } } },
    ]);
  });

  test('a template is named as such', () => {
    expect(parseManifests('a: {{ .Values.x }}\n', 'f').diagnostics[0]?.help).toContain('template');
  });

  test('tabs are named as such', () => {
    expect(parseManifests('a:\n\tb: 1\n', 'f').diagnostics).toMatchObject([
      { span: { start: { line: 2, column: 1 } }, help: expect.stringContaining('spaces') },
    ]);
  });

  test.each([
    ['\u2028', '2028'],
    ['\u0085', '0085'],
    ['\0', '0000'],
    ['\r', '000D'],
  ])('the character %j, which kubectl reads otherwise, is refused', (character, code) => {
    expect(parseManifests(`a: 1 # x${character}b: 2\n`, 'f').diagnostics).toMatchObject([
      { severity: 'error', message: expect.stringContaining(code), span: { start: { line: 1, column: 9 } } },
    ]);
  });
});

describe('mappings', () => {
  test.each(['a: 1\nb: 0\na: 2\n', '{"a": 1, "b": 0, "a": 2}', '{"b": 0, "a": {"a": 1}, "a" : 2}'])(
    'the last of duplicate keys counts and is reported: %j',
    (text) => {
      const { documents, diagnostics } = parseManifests(text, 'f');
      expect(documents[0]!.raw).toEqual({ a: 2, b: 0 });
      expect(diagnostics).toMatchObject([{ code: 'I003', severity: 'warning' }]);
      expect(textOf(documents[0]!, diagnostics[0]!.span!)).toMatch(/^"?a"?$/);
      expect(shown(documents[0]!, ['a'])).toMatchObject({ value: '2' });
    },
  );

  test('quotes before colons inside JSON text are no keys', () => {
    expect(parseManifests('{"a": "\\":", "b": ":"}', 'f').diagnostics).toEqual([]);
  });

  test('merge keys insert, and keys after them win', () => {
    expect(raws('x: &x {a: 1, b: 1}\nw: {<<: *x, b: 2}\nz:\n  <<: [{a: 1}, {a: 2, c: 3}]\n')).toEqual([
      { x: { a: 1, b: 1 }, w: { a: 1, b: 2 }, z: { a: 1, c: 3 } },
    ]);
  });

  test('a merge key replaces what stands before it, as for kubectl, with a warning', () => {
    const { documents, diagnostics } = parseManifests('x: &x {a: 1}\nw: {a: 2, <<: *x}\n', 'f');
    expect(documents[0]!.raw).toEqual({ x: { a: 1 }, w: { a: 1 } });
    expect(diagnostics).toMatchObject([{ code: 'I004', severity: 'warning', span: { start: { line: 2 } } }]);
  });

  test('merged entries are located where they are written', () => {
    expect(shown(only('x: &x {a: 1}\nw: {<<: *x}\n'), ['w', 'a'])).toEqual({ key: 'a', value: '1', pair: 'a: 1' });
  });

  test('keys that are booleans or numbers become text, with a warning where it differs', () => {
    const { documents, diagnostics } = parseManifests('yes: 1\n010: 2\n80: 3\n', 'f');
    expect(documents[0]!.raw).toEqual({ true: 1, 8: 2, 80: 3 });
    expect(diagnostics.map(({ code, span }) => [code, span?.start.line])).toEqual([
      ['I004', 1],
      ['I004', 2],
    ]);
  });

  test.each([
    '{"__proto__": {"x": 1}, "constructor": 2}',
    '__proto__: {x: 1}\nconstructor: 2\n',
    '__proto__: &a {x: 1}\nconstructor: 2\n',
  ])('keys that objects inherit are own properties: %j', (text) => {
    const raw = only(text).raw as object;
    expect(Object.keys(raw)).toEqual(['__proto__', 'constructor']);
    expect(Object.getPrototypeOf(raw)).toBe(Object.prototype);
  });
});

describe('places', () => {
  const blockText = [
    'kind: NetworkPolicy',
    'spec:',
    '  ingress:',
    '    - from:',
    '        - podSelector:',
    '            matchLabels:',
    '              app: web # c',
    '      ports:',
    '        - {protocol: TCP, port: http}',
    '        - port: 80',
    '  egress:',
    '  note: |',
    '    one',
    '    two',
    '',
  ].join('\n');

  test.each([
    [['kind'], { key: 'kind', value: 'NetworkPolicy', pair: 'kind: NetworkPolicy' }],
    [
      ['spec', 'ingress', 0, 'from', 0, 'podSelector', 'matchLabels', 'app'],
      { key: 'app', value: 'web', pair: 'app: web' },
    ],
    [['spec', 'ingress', 0, 'ports', 0], { value: '{protocol: TCP, port: http}', pair: '{protocol: TCP, port: http}' }],
    [['spec', 'ingress', 0, 'ports', 0, 'port'], { key: 'port', value: 'http', pair: 'port: http' }],
    [['spec', 'ingress', 0, 'ports', 1], { value: 'port: 80', pair: 'port: 80' }],
    [['spec', 'egress'], { key: 'egress', value: '', pair: 'egress:' }],
    [['spec', 'note'], { key: 'note', value: '|\n    one\n    two', pair: 'note: |\n    one\n    two' }],
    [['spec', 'ingress', 0, 'ports', 2], undefined],
    [['nothing'], undefined],
  ] as const)('of %j in block style', (path, expected) => {
    expect(shown(only(blockText), path)).toEqual(expected);
    expect(shown(only(`${blockText}x: &a 1\n`), path)).toEqual(expected);
  });

  test('the whole object spans from its first key to its last value', () => {
    const spans = only('\n# c\na: 1\nb:\n  - x\n# end\n').locate([])!;
    expect(spans).toMatchObject({ value: { start: { line: 3, column: 1 }, end: { line: 5, column: 6 } } });
  });

  test('a path that leads nowhere is answered by its nearest ancestor', () => {
    const document = only(blockText);
    const nearest = document.locateNearest(['spec', 'ingress', 0, 'ports', 1, 'endPort', 3]);
    expect(nearest.path).toEqual(['spec', 'ingress', 0, 'ports', 1]);
    expect(textOf(document, nearest.spans.value)).toBe('port: 80');
  });

  test('in JSON', () => {
    const document = only('{"a": [1, {"b\\u0041": "x\\"y"}],\n "c": {}}');
    expect(shown(document, ['a', 1, 'bA'])).toEqual({
      key: '"b\\u0041"',
      value: '"x\\"y"',
      pair: '"b\\u0041": "x\\"y"',
    });
    expect(shown(document, ['a', 0])).toEqual({ value: '1', pair: '1' });
    expect(document.locate(['c'])?.key?.start).toEqual({ line: 2, column: 2 });
  });
});

describe('lists', () => {
  const json =
    '{"kind": "List", "apiVersion": "v1",\n "items": [\n  {"kind": "Pod", "a": 1},\n  {"kind": "Pod", "a": 2}]}';
  const block = 'kind: List\napiVersion: v1\nitems:\n- kind: Pod\n  a: 1\n- kind: Pod\n  a: 2\n';
  test.each([
    ['JSON', json, 3],
    ['block style', block, 4],
    ['flow style', 'kind: List\nitems: [{kind: Pod, a: 1},\n  {kind: Pod, a: 2}]\n', 2],
    ['unusual YAML', `x: &x 1\n${block}`, 5],
  ])('are flattened into items with places: %s', (_, text, line) => {
    const { documents } = parseManifests(text, 'f');
    expect(documents.map(({ raw }) => raw)).toEqual([
      { kind: 'Pod', a: 1 },
      { kind: 'Pod', a: 2 },
    ]);
    expect(documents.map(({ source }) => [source.document, source.item])).toEqual([
      [0, 0],
      [0, 1],
    ]);
    expect(documents[0]!.source.line).toBe(line);
    expect(shown(documents[1]!, ['a'])).toMatchObject({ value: '2' });
    expect(documents[1]!.locate([])?.value.start).toEqual({
      line: documents[1]!.source.line,
      column: documents[1]!.source.column,
    });
  });

  test('of one kind give their items the kind and version', () => {
    expect(raws('apiVersion: networking.k8s.io/v1\nkind: NetworkPolicyList\nitems:\n- metadata: {name: a}\n')).toEqual([
      { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name: 'a' } },
    ]);
  });

  test('inside lists are flattened too', () => {
    const { documents } = parseManifests(
      'kind: List\nitems:\n- kind: PodList\n  apiVersion: v1\n  items:\n  - a: 1\n',
      'f',
    );
    expect(documents.map(({ raw }) => raw)).toEqual([{ apiVersion: 'v1', kind: 'Pod', a: 1 }]);
    expect(shown(documents[0]!, ['a'])).toEqual({ key: 'a', value: '1', pair: 'a: 1' });
  });

  test('JSON values one after another are documents', () => {
    expect(raws('{"a": 1}\n{"b": "}"} {"c": [3]}')).toEqual([{ a: 1 }, { b: '}' }, { c: [3] }]);
  });
});

describe('hostile inputs end in a diagnostic or a value', () => {
  const levels = 'abcdefghi';
  const bomb = `a: &a [x,x,x,x,x,x,x,x,x,x]\n${Array.from(levels)
    .slice(1)
    .map((name, at) => `${name}: &${name} [${Array.from({ length: 10 }, () => `*${levels[at]}`).join(',')}]`)
    .join('\n')}\n`;

  test.each([
    ['an alias bomb', bomb, 'expand'],
    ['an anchor inside itself', 'a: &a [*a]\n', 'contains itself'],
    ['an alias of nothing', 'a: *b\n', 'no anchor'],
    [
      '1,000 levels of blocks',
      `${Array.from({ length: 1000 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n')} 1\n`,
      'nested',
    ],
    ['1,000 levels of brackets', `a: ${'['.repeat(1000)}${']'.repeat(1000)}\n`, 'nested'],
    ['100,000 open brackets', `a: ${'['.repeat(100_000)}`, 'nested'],
    ['100,000 open JSON objects', '{"a":'.repeat(100_000), 'nested'],
    ['10,000 levels of JSON', `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`, 'nested'],
    ['10,000 dashes on a line', `${'- '.repeat(10_000)}x\n`, 'nested'],
    ['a key of 2,000 characters', `${'k'.repeat(2000)}: 1\n`, '1024'],
  ])('%s', (_, text, message) => {
    const { documents, diagnostics } = parseManifests(text, 'f');
    expect(documents).toEqual([]);
    expect(diagnostics).toMatchObject([{ code: 'I002', severity: 'error', message: expect.stringContaining(message) }]);
    expect(diagnostics[0]!.span).toBeDefined();
  });

  test('an annotation of a megabyte is read', () => {
    const raw = only(`metadata:\n  annotations:\n    a: "${'x'.repeat(1 << 20)}"\n    b: &b ${'y '.repeat(1 << 19)}\n`)
      .raw as { metadata: { annotations: { a: string } } };
    expect(raw.metadata.annotations.a).toHaveLength(1 << 20);
  });

  test('a list of 10,000 elements is read', () => {
    expect(parseManifests(`kind: List\nitems:\n${'- {a: 1}\n'.repeat(10_000)}`, 'f').documents).toHaveLength(10_000);
  });
});
