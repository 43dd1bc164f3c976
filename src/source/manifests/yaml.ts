import type { Diagnostic } from '../../model/diagnostic.ts';
import type { FieldPath } from '../../model/source-ref.ts';
import { LocatedDocument } from './document.ts';
import type { ManifestDocument } from './document.ts';
import { inputDiagnostic, UnreadableText } from './input-diagnostic.ts';
import { endOfJsonValue, isJsonBlank, JsonWalker, measureJson } from './json.ts';
import { maxNesting, parseWithLibrary } from './library-yaml.ts';
import { isMapping } from './marks.ts';
import type { ParsedTree } from './marks.ts';
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
  const source = new SourceText(file, text.startsWith('\uFEFF') ? text.slice(1) : text);
  const reader = new Reader(source);
  if (source.text.length > maxTextLength) {
    reader.diagnostics.push(
      inputDiagnostic('I001', 'error', 'the text is too large', `split it: the limit is ${maxTextLength} characters`),
    );
  } else reader.read();
  return { source, documents: reader.documents, diagnostics: reader.diagnostics };
}

/** Where the items of a list are, if the parser knows without building marks for everything. */
interface ListRanges {
  itemTree(index: number): ParsedTree;
  start(index: number): number;
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
    for (const { value, start } of values) this.#json(value, start);
    return true;
  }

  #json(value: unknown, start: number): void {
    const { text } = this.source;
    const { tooDeep } = measureJson(value, maxNesting);
    if (tooDeep) {
      this.#unreadable(
        new UnreadableText(
          `nested more than ${maxNesting} levels deep`,
          'no Kubernetes object is nested so deeply',
          start,
          start + 1,
        ),
      );
      this.#document += 1;
      return;
    }
    new JsonWalker(text, start).duplicates((name, from, to) => {
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
    const ranges = isList(value) ? new JsonWalker(text, start).itemRanges('items') : [];
    const treeAt = (at: number): ParsedTree => new JsonWalker(text, at).tree();
    const startOf = (index: number): number => ranges[index]?.[0] ?? start;
    this.#emit(value, start, () => treeAt(start), {
      start: startOf,
      itemTree: (index) => treeAt(startOf(index)),
    });
  }

  #yaml(start: number, end: number): void {
    let tree: ParsedTree;
    try {
      tree = parseWithLibrary(this.source, start, end, this.diagnostics);
    } catch (error) {
      if (error instanceof UnreadableText) this.#unreadable(error);
      else if (error instanceof RangeError)
        this.#unreadable(new UnreadableText('nested too deeply to be read', 'flatten it', start, start + 1));
      else throw error;
      return;
    }
    if (tree.value === null) return;
    const again = (): ParsedTree => parseWithLibrary(this.source, start, end, []);
    const items = isList(tree.value) ? tree.value.items : undefined;
    const { marks } = tree;
    this.#emit(tree.value, tree.start, again, undefined, (index) =>
      items === undefined ? tree.start : (marks?.get(items, index)?.start ?? tree.start),
    );
  }

  #emit(
    value: unknown,
    start: number,
    parse: () => ParsedTree,
    ranges?: ListRanges,
    startOf?: (index: number) => number,
  ): void {
    const document = this.#document;
    this.#document += 1;
    const tree = once(parse);
    if (!isList(value)) {
      this.documents.push(
        new LocatedDocument(
          value,
          { kind: 'file', file: this.source.file, document, ...this.source.positionAt(start) },
          this.source,
          { tree, path: [] },
        ),
      );
      return;
    }
    for (const [index, item] of value.items.entries()) {
      const at = ranges?.start(index) ?? startOf?.(index) ?? start;
      this.#item(
        value,
        item,
        { kind: 'file', file: this.source.file, document, item: index, ...this.source.positionAt(at) },
        at,
        ranges === undefined
          ? { tree, path: ['items', index] }
          : { tree: once(() => ranges.itemTree(index)), path: [] },
      );
    }
  }

  #item(
    list: ListObject,
    item: unknown,
    ref: ManifestDocument['source'],
    start: number,
    region: { tree: () => ParsedTree; path: FieldPath },
  ): void {
    if (isList(item)) {
      for (const [index, inner] of item.items.entries())
        this.#item(item, inner, ref, start, { tree: region.tree, path: [...region.path, 'items', index] });
      return;
    }
    this.documents.push(new LocatedDocument(withKindOf(list, item), ref, this.source, region));
  }

  #unreadable(error: UnreadableText): void {
    this.diagnostics.push(
      inputDiagnostic('I002', 'error', error.message, error.help, this.source.span(error.start, error.end)),
    );
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
