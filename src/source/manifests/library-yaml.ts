import { isAlias, isMap, isScalar, isSeq, parseAllDocuments, Scalar } from 'yaml';
import type { Pair, YAMLMap, YAMLSeq } from 'yaml';
import type { Diagnostic } from '../../model/diagnostic.ts';
import { inputDiagnostic, UnreadableText } from './input-diagnostic.ts';
import type { InputCode } from './input-diagnostic.ts';
import { isMapping, Marks, setEntry } from './marks.ts';
import type { ParsedTree } from './marks.ts';
import { readPlainScalar } from './plain-scalar.ts';
import type { SourceText } from './source-text.ts';

/** Deepest nesting that is read; API objects stay far below. */
export const maxNesting = 500;
/** What is said of deeper nesting. */
export const tooDeep: string = `nested more than ${maxNesting} levels deep`;
/** What to do about it. */
export const tooDeepHelp = 'no Kubernetes object is nested so deeply: write it flatter';
/** Longest document that is given to the library, in UTF-16 code units: it reads about 300,000 in a second. */
const maxLength = 8 * 1024 * 1024;
/** Brackets open at once, quoted ones included, that are too many for any reading. */
const maxOpenBrackets = 5_000;
/** Most nodes that aliases may add to one document. */
const maxAliasedNodes = 100_000;

const corePrefix = 'tag:yaml.org,2002:';

/**
 * Parses one YAML document with the `yaml` library. The library only finds the structure; scalars, keys, merges,
 * aliases and duplicates are read here, the way kubectl reads them.
 *
 * @throws UnreadableText if the document cannot be used.
 */
export function parseWithLibrary(
  source: SourceText,
  start: number,
  end: number,
  diagnostics: Diagnostic[],
): ParsedTree {
  const text = source.text.slice(start, end);
  if (text.length > maxLength) {
    const help = 'split the list into documents with "---", or write it as JSON';
    throw new UnreadableText('a document of unusual YAML is too large to be read', help, start, start + 1);
  }
  refuseDeepBrackets(text, start);
  const documents = parseAllDocuments(text, {
    version: '1.1',
    schema: 'failsafe',
    customTags: (tags) => tags,
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: 'silent',
  });
  if (!Array.isArray(documents)) return { value: null, start, end: start };
  const [document, second] = documents;
  if (document === undefined) return { value: null, start, end: start };
  const problem = document.errors[0] ?? second?.errors[0];
  if (problem !== undefined) {
    const [from, to] = problem.pos;
    throw new UnreadableText(
      problem.code === 'RESOURCE_EXHAUSTION' ? tooDeep : sentence(problem.message),
      helpFor(problem.code, source, start + from),
      start + from,
      start + Math.max(to, from + 1),
    );
  }
  if (second !== undefined && second.contents !== null) {
    const at = start + (second.range[0] ?? 0);
    diagnostics.push(
      inputDiagnostic(
        'I002',
        'error',
        'text after the end marker "..." is not read',
        'separate documents with "---"',
        source.span(at, at + 1),
      ),
    );
  }
  return new TreeReader(source, start, diagnostics).read(document.contents);
}

/** The library takes long over brackets that are nested by the thousand, only to fail. */
function refuseDeepBrackets(text: string, start: number): void {
  let depth = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === 0x5b || code === 0x7b) {
      depth += 1;
      if (depth > maxOpenBrackets) throw new UnreadableText(tooDeep, tooDeepHelp, start + at, start + at + 1);
    } else if ((code === 0x5d || code === 0x7d) && depth > 0) depth -= 1;
  }
}

function sentence(message: string): string {
  return message.replace(/\s+/g, ' ').trim();
}

function helpFor(code: string, source: SourceText, offset: number): string {
  const line = source.line(source.positionAt(offset).line);
  if (code === 'TAB_AS_INDENT' || line.includes('\t')) return 'YAML does not indent with tabs: use spaces';
  if (code === 'BAD_INDENT') return 'line up this entry with its neighbours';
  return 'nothing of this document is used until it can be read';
}

type Range = readonly [number, number];

interface Anchored {
  readonly value: unknown;
  readonly nodes: number;
  readonly range: Range;
}

class TreeReader {
  readonly #source: SourceText;
  readonly #base: number;
  readonly #diagnostics: Diagnostic[];
  readonly #marks = new Marks();
  readonly #anchors = new Map<string, Anchored | 'open'>();
  #nodes = 0;
  #aliased = 0;

  constructor(source: SourceText, base: number, diagnostics: Diagnostic[]) {
    this.#source = source;
    this.#base = base;
    this.#diagnostics = diagnostics;
  }

  read(contents: unknown): ParsedTree {
    const { value, range } = this.#node(contents, 0, this.#base);
    return { value, start: range[0], end: range[1], marks: this.#marks };
  }

  #node(node: unknown, depth: number, fallback: number): { value: unknown; range: Range } {
    if (depth > maxNesting) {
      throw new UnreadableText(tooDeep, tooDeepHelp, fallback, fallback + 1);
    }
    this.#nodes += 1;
    if (isAlias(node)) return this.#alias(node.source, this.#rangeOf(node, fallback));
    const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
    if (anchor !== undefined) this.#anchors.set(anchor, 'open');
    const before = this.#nodes + this.#aliased;
    let read: { value: unknown; range: Range };
    if (isMap(node)) read = this.#map(node, depth);
    else if (isSeq(node)) read = this.#seq(node, depth);
    else if (isScalar(node)) read = { value: this.#scalar(node, fallback), range: this.#rangeOf(node, fallback) };
    else read = { value: null, range: [fallback, fallback] };
    if (anchor !== undefined) {
      this.#anchors.set(anchor, { ...read, nodes: this.#nodes + this.#aliased - before + 1 });
    }
    return read;
  }

  #alias(name: string, range: Range): { value: unknown; range: Range } {
    const anchored = this.#anchors.get(name);
    if (anchored === undefined || anchored === 'open') {
      throw new UnreadableText(
        anchored === undefined ? `the alias *${name} has no anchor before it` : `the anchor &${name} contains itself`,
        `define &${name} before it is used`,
        range[0],
        range[1],
      );
    }
    this.#aliased += anchored.nodes;
    if (this.#aliased > maxAliasedNodes) {
      throw new UnreadableText(
        `aliases expand to more than ${maxAliasedNodes} values`,
        'write the values out',
        range[0],
        range[1],
      );
    }
    return { value: anchored.value, range };
  }

  #map(map: YAMLMap, depth: number): { value: unknown; range: Range } {
    this.#checkCollectionTag(map, ['map']);
    const value: Record<string, unknown> = {};
    const written = new Set<string>();
    const range = this.#rangeOf(map, this.#base);
    let end = map.flow === true ? range[1] : range[0];
    for (const pair of map.items) {
      const keyRange = this.#rangeOf(pair.key, range[0]);
      if (isMergeKey(pair)) {
        const merged = this.#node(pair.value, depth + 1, keyRange[1]);
        this.#merge(value, merged.value, merged.range, written);
        end = Math.max(end, merged.range[1]);
        continue;
      }
      const key = this.#key(pair.key, keyRange);
      if (written.has(key)) {
        this.#warn(
          'I003',
          `duplicate key ${JSON.stringify(key)}`,
          'the last one counts, as it does for kubectl; remove the others',
          keyRange,
        );
      }
      written.add(key);
      const entry = isAbsent(pair.value)
        ? { value: null, range: this.#afterColon(keyRange[1]) }
        : this.#node(pair.value, depth + 1, keyRange[1]);
      setEntry(value, key, entry.value);
      this.#marks.pair(value, key, keyRange[0], keyRange[1], entry.range[0], entry.range[1]);
      end = Math.max(end, keyRange[1], entry.range[1]);
    }
    return { value, range: [range[0], end] };
  }

  #seq(seq: YAMLSeq, depth: number): { value: unknown; range: Range } {
    this.#checkCollectionTag(seq, ['seq']);
    const value: unknown[] = [];
    const range = this.#rangeOf(seq, this.#base);
    let end = seq.flow === true ? range[1] : range[0] + 1;
    for (const item of seq.items) {
      const entry = this.#node(item, depth + 1, end);
      this.#marks.item(value, value.length, entry.range[0], entry.range[1]);
      value.push(entry.value);
      end = Math.max(end, entry.range[1]);
    }
    return { value, range: [range[0], end] };
  }

  #scalar(node: Scalar, fallback: number): unknown {
    const text = typeof node.value === 'string' ? node.value : '';
    const tag = node.tag?.startsWith(corePrefix) === true ? node.tag.slice(corePrefix.length) : node.tag;
    if (tag === undefined) {
      return node.type === Scalar.PLAIN || node.type === undefined ? this.#finite(readPlainScalar(text), node) : text;
    }
    const range = this.#rangeOf(node, fallback);
    switch (tag) {
      case 'str':
      case '!':
        return text;
      case 'int':
      case 'float':
      case 'bool':
      case 'null': {
        const value = this.#finite(readPlainScalar(text), node);
        if (fitsTag(tag, value)) return value;
        throw new UnreadableText(`${JSON.stringify(text)} is no !!${tag}`, 'remove the tag', range[0], range[1]);
      }
      case 'binary':
      case 'timestamp':
        throw new UnreadableText(
          `values tagged !!${tag} are refused`,
          'write the value as text; Kubernetes fields never need this tag',
          range[0],
          range[1],
        );
      default:
        this.#warn('I004', `the tag ${shortTag(node.tag)} means nothing here`, 'remove the tag', range);
        return text;
    }
  }

  #finite(value: string | number | boolean | null, node: Scalar): string | number | boolean | null {
    if (typeof value !== 'number' || Number.isFinite(value)) return value;
    const range = this.#rangeOf(node, this.#base);
    throw new UnreadableText(
      `${value} cannot be sent to an API server`,
      'quote it if text is meant',
      range[0],
      range[1],
    );
  }

  #key(key: unknown, range: Range): string {
    const node = isAlias(key)
      ? this.#alias(key.source, range).value
      : isScalar(key)
        ? this.#node(key, 0, range[0]).value
        : key;
    if (typeof node === 'string') return node;
    if (typeof node === 'number' || typeof node === 'boolean') {
      const text = String(node);
      if (isScalar(key) && key.source !== text) {
        this.#warn(
          'I004',
          `the key ${String(key.source)} is read as ${JSON.stringify(text)}`,
          'quote it if the text is meant',
          range,
        );
      }
      return text;
    }
    throw new UnreadableText('a key must be text', 'quote the key', range[0], Math.max(range[1], range[0] + 1));
  }

  #merge(target: Record<string, unknown>, merged: unknown, range: Range, written: ReadonlySet<string>): void {
    const sources: readonly unknown[] = Array.isArray(merged) ? merged.toReversed() : [merged];
    for (const from of sources) {
      if (!isMapping(from)) {
        throw new UnreadableText('"<<" merges mappings only', 'give an alias of a mapping', range[0], range[1]);
      }
      for (const [key, value] of Object.entries(from)) {
        if (written.has(key)) {
          this.#warn(
            'I004',
            `"<<" replaces the key ${JSON.stringify(key)} that stands before it`,
            'kubectl reads it so, other tools do not: move "<<" to the top of the mapping',
            range,
          );
        }
        setEntry(target, key, value);
        const mark = this.#marks.get(from, key);
        if (mark !== undefined) this.#marks.copy(target, key, mark);
      }
    }
  }

  #checkCollectionTag(node: YAMLMap | YAMLSeq, expected: readonly string[]): void {
    const tag = node.tag;
    if (tag === undefined || tag === '!' || expected.some((name) => tag === corePrefix + name)) return;
    this.#warn(
      'I002',
      `the tag ${shortTag(tag)} means nothing here`,
      'remove the tag',
      this.#rangeOf(node, this.#base),
    );
  }

  #warn(code: InputCode, message: string, help: string, range: Range): void {
    this.#diagnostics.push(inputDiagnostic(code, 'warning', message, help, this.#source.span(range[0], range[1])));
  }

  /** Where a value that is not written would stand. */
  #afterColon(keyEnd: number): Range {
    const { text } = this.#source;
    let at = keyEnd;
    while (text[at] === ' ') at += 1;
    const place = text[at] === ':' ? at + 1 : keyEnd;
    return [place, place];
  }

  #rangeOf(node: unknown, fallback: number): Range {
    const range = isAlias(node) || isScalar(node) || isMap(node) || isSeq(node) ? node.range : undefined;
    if (range === undefined || range === null) return [fallback, fallback];
    const start = this.#base + range[0];
    let end = this.#base + range[1];
    const text = this.#source.text;
    while (end > start && isBreakOrBlank(text.charCodeAt(end - 1))) end -= 1;
    return [start, end];
  }
}

function isBreakOrBlank(code: number): boolean {
  return code === 0x0a || code === 0x0d || code === 0x20 || code === 0x09;
}

function shortTag(tag: string | undefined): string {
  return (tag ?? '').replace(corePrefix, '!!');
}

function isAbsent(node: unknown): boolean {
  if (node === null) return true;
  return (
    isScalar(node) &&
    node.source === '' &&
    node.type === Scalar.PLAIN &&
    node.tag === undefined &&
    node.anchor === undefined
  );
}

function isMergeKey(pair: Pair): boolean {
  const key = pair.key;
  if (!isScalar(key) || key.value !== '<<') return false;
  return key.tag === `${corePrefix}merge` || (key.tag === undefined && key.type === Scalar.PLAIN);
}

function fitsTag(tag: 'int' | 'float' | 'bool' | 'null', value: unknown): boolean {
  if (tag === 'int') return Number.isInteger(value);
  if (tag === 'float') return typeof value === 'number';
  return tag === 'bool' ? typeof value === 'boolean' : value === null;
}
