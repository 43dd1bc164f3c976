import type { Diagnostic } from '../../model/diagnostic.ts';
import { LocatedDocument } from './document.ts';
import type { ManifestDocument, Region } from './document.ts';
import { inputDiagnostic, UnreadableText } from './input-diagnostic.ts';
import { countMemberNames, endOfJsonValue, isJsonBlank, JsonWalker, measureJson } from './json.ts';
import { maxNesting, parseWithLibrary, tooDeep, tooDeepHelp } from './library-yaml.ts';
import { isMapping } from './marks.ts';
import type { ParsedTree } from './marks.ts';
import { parseSimpleItem, parseSimpleYaml } from './simple-yaml.ts';
import { SourceText } from './source-text.ts';
import { splitDocuments } from './split.ts';

/** What one file or stream holds. */
export interface ParsedManifests {
  readonly source: SourceText;
  /** Objects in the order of the text, lists flattened; what is no object at all is left to the decoder to refuse. */
  readonly documents: readonly ManifestDocument[];
  readonly diagnostics: readonly Diagnostic[];
}

/** Longest text that is read, in UTF-16 code units. */
export const maxTextLength: number = 256 * 1024 * 1024;

/**
 * Reads a text of YAML or JSON documents as kubectl reads it. Never throws on bad input: a document that cannot be
 * read becomes a diagnostic, and the other documents go on.
 */
export function parseManifests(text: string, file: string): ParsedManifests {
  const source = new SourceText(file, withoutMarks(text));
  const reader = new Reader(source);
  if (source.text.length > maxTextLength) {
    reader.diagnostics.push(
      inputDiagnostic('I001', 'error', 'the text is too large', `split it: the limit is ${maxTextLength} characters`),
    );
  } else reader.read();
  return { source, documents: reader.documents, diagnostics: reader.diagnostics };
}

/** Without byte order mark and carriage returns: lines and columns stay the same, and YAML reads both line breaks alike. */
function withoutMarks(text: string): string {
  const body = text.startsWith('\uFEFF') ? text.slice(1) : text;
  return body.includes('\r') ? body.replaceAll('\r\n', '\n') : body;
}

/** How to find the parts of one parsed document. */
interface Places {
  readonly whole: () => ParsedTree;
  /** The place of an item of the document's `items`. */
  readonly item: (index: number) => { readonly start: number; readonly region: Region };
}

function itemByMarks(tree: ParsedTree, index: number): { readonly start: number; readonly region: Region } {
  const items = isMapping(tree.value) ? tree.value['items'] : undefined;
  const mark = Array.isArray(items) ? tree.marks?.get(items, index) : undefined;
  return { start: mark?.start ?? tree.start, region: { tree: () => tree, path: ['items', index] } };
}

class Reader {
  readonly source: SourceText;
  readonly documents: ManifestDocument[] = [];
  readonly diagnostics: Diagnostic[] = [];
  #document = 0;

  constructor(source: SourceText) {
    this.source = source;
  }

  read(): void {
    if (this.#jsonStream(0, this.source.text.length)) return;
    for (const part of splitDocuments(this.source, this.diagnostics)) {
      const before = this.#document;
      if (!this.#jsonStream(part.start, part.end)) this.#yaml(part.start, part.end);
      if (this.#document === before) this.#document += 1;
    }
  }

  /** JSON values one after another; false, and nothing taken, if the text is anything else. */
  #jsonStream(from: number, to: number): boolean {
    const { text } = this.source;
    let at = skipBlank(text, from, to);
    if (text[at] !== '{') return false;
    const values: { value: unknown; start: number; end: number }[] = [];
    while (at < to) {
      const whole = values.length === 0 ? parseJson(text.slice(at, to)) : undefined;
      const end = whole === undefined ? endOfJsonValue(text, at) : to;
      const parsed = whole ?? (end === undefined || end > to ? undefined : parseJson(text.slice(at, end)));
      if (parsed === undefined || end === undefined) return false;
      values.push({ value: parsed.value, start: at, end });
      at = skipBlank(text, end, to);
    }
    for (const { value, start, end } of values) this.#json(value, start, end);
    return true;
  }

  #json(value: unknown, start: number, end: number): void {
    const { text } = this.source;
    const measured = measureJson(value, maxNesting);
    if (measured.tooDeep) {
      this.#unreadable(new UnreadableText(tooDeep, tooDeepHelp, start, start + 1));
      this.#document += 1;
      return;
    }
    if (countMemberNames(text.slice(start, end)) !== measured.keys) this.#reportDuplicates(start);
    const ranges = isList(value) ? new JsonWalker(text, start).itemRanges('items') : [];
    const treeAt = (at: number): ParsedTree => new JsonWalker(text, at).tree();
    this.#emit(value, start, {
      whole: once(() => treeAt(start)),
      item: (index) => {
        const at = ranges[index]?.[0] ?? start;
        return { start: at, region: { tree: once(() => treeAt(at)), path: [] } };
      },
    });
  }

  #reportDuplicates(start: number): void {
    new JsonWalker(this.source.text, start).duplicates((name, from, to) => {
      this.diagnostics.push(
        inputDiagnostic(
          'I003',
          'warning',
          `duplicate key ${JSON.stringify(name)}`,
          'the last one counts, as it does for kubectl; remove the others',
          this.source.span(from, to),
        ),
      );
    });
  }

  #yaml(start: number, end: number): void {
    const { text } = this.source;
    const simple = parseSimpleYaml(text, start, end, { marks: false });
    if (simple === undefined) {
      this.#anyYaml(start, end);
      return;
    }
    const whole = once(() => parseSimpleYaml(text, start, end, { marks: true }) ?? simple);
    this.#emit(simple.value, simple.start, {
      whole,
      item: (index) => {
        const item = simple.items[index];
        if (item === undefined) return itemByMarks(whole(), index);
        return {
          start: item.start,
          region: { tree: once(() => parseSimpleItem(text, item, end) ?? simple), path: [] },
        };
      },
    });
  }

  #anyYaml(start: number, end: number): void {
    let tree: ParsedTree;
    try {
      tree = parseWithLibrary(this.source, start, end, this.diagnostics);
    } catch (error) {
      if (error instanceof UnreadableText) this.#unreadable(error);
      else if (error instanceof RangeError)
        this.#unreadable(new UnreadableText(tooDeep, tooDeepHelp, start, start + 1));
      else throw error;
      return;
    }
    if (tree.value !== null)
      this.#emit(tree.value, tree.start, { whole: () => tree, item: (index) => itemByMarks(tree, index) });
  }

  #emit(value: unknown, start: number, places: Places): void {
    const base = { kind: 'file', file: this.source.file, document: this.#document } as const;
    this.#document += 1;
    if (!isList(value)) {
      this.#add(value, { ...base, ...this.source.positionAt(start) }, { tree: places.whole, path: [] });
      return;
    }
    for (const [item, raw] of value.items.entries()) {
      const place = places.item(item);
      this.#item(value, raw, { ...base, item, ...this.source.positionAt(place.start) }, place.region);
    }
  }

  #item(list: ListObject, item: unknown, ref: ManifestDocument['source'], region: Region): void {
    if (!isList(item)) {
      this.#add(withKindOf(list, item), ref, region);
      return;
    }
    for (const [index, inner] of item.items.entries()) {
      this.#item(item, inner, ref, { tree: region.tree, path: [...region.path, 'items', index] });
    }
  }

  #add(raw: unknown, ref: ManifestDocument['source'], region: Region): void {
    this.documents.push(new LocatedDocument(raw, ref, this.source, region));
  }

  #unreadable(error: UnreadableText): void {
    const span = this.source.span(error.start, error.end);
    const template = /\{\{|\{%/.test(this.source.line(span.start.line));
    const help = template ? 'this looks like a template: render it first, and give the result' : error.help;
    this.diagnostics.push(inputDiagnostic('I002', 'error', error.message, help, span));
  }
}

interface ListObject extends Record<string, unknown> {
  readonly kind: string;
  readonly items: readonly unknown[];
}

function isList(value: unknown): value is ListObject {
  if (!isMapping(value) || !Object.hasOwn(value, 'items')) return false;
  return typeof value['kind'] === 'string' && value['kind'].endsWith('List') && Array.isArray(value['items']);
}

/** Items of a typed list carry no kind of their own: `PodList` holds Pods. */
function withKindOf(list: ListObject, item: unknown): unknown {
  const kind = list.kind.slice(0, -'List'.length);
  if (kind === '' || !isMapping(item) || (Object.hasOwn(item, 'kind') && Object.hasOwn(item, 'apiVersion')))
    return item;
  return { apiVersion: list['apiVersion'], kind, ...item };
}

function once(parse: () => ParsedTree): () => ParsedTree {
  let tree: ParsedTree | undefined;
  return () => (tree ??= parse());
}

function parseJson(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) return undefined;
    throw error;
  }
}

function skipBlank(text: string, from: number, to: number): number {
  let at = from;
  while (at < to && isJsonBlank(text.charCodeAt(at))) at += 1;
  return at;
}
