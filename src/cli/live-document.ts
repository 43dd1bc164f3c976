import type { Span } from '../model/diagnostic.ts';
import { formatFieldPath } from '../model/source-ref.ts';
import type { FieldPath } from '../model/source-ref.ts';
import type { Json } from '../report/explanation-json.ts';
import { renderYaml } from '../report/yaml-value.ts';
import type { ManifestDocument, NodeSpans } from '../source/manifests/document.ts';
import type { SourceText } from '../source/manifests/source-text.ts';
import { parseManifests } from '../source/manifests/yaml.ts';

/**
 * An object of a cluster as a text: rendered as YAML when somebody looks at it, with places that name fields. What only
 * the server writes for itself (`managedFields`) is left out.
 */
export class LiveDocument implements ManifestDocument {
  readonly raw: unknown;
  readonly source: ManifestDocument['source'];
  readonly #name: string;
  #rendered: ManifestDocument | undefined;

  /** `name` is what places are called by: `shop/web`, `node/a`. */
  constructor(raw: unknown, name: string) {
    this.raw = raw;
    this.#name = name;
    this.source = { kind: 'file', file: name, document: 0, line: 1, column: 1 };
  }

  get text(): SourceText {
    return this.#document().text;
  }

  locate(path: FieldPath): NodeSpans | undefined {
    const spans = this.#document().locate(path);
    return spans === undefined ? undefined : withField(spans, path);
  }

  locateNearest(path: FieldPath): { readonly path: FieldPath; readonly spans: NodeSpans } {
    const nearest = this.#document().locateNearest(path);
    return { path: nearest.path, spans: withField(nearest.spans, nearest.path) };
  }

  #document(): ManifestDocument {
    if (this.#rendered === undefined) {
      const [document] = parseManifests(renderYaml(withoutManagedFields(this.raw)), this.#name).documents;
      if (document === undefined) throw new Error(`${this.#name} cannot be rendered`);
      this.#rendered = document;
    }
    return this.#rendered;
  }
}

function withField({ key, value, pair }: NodeSpans, path: FieldPath): NodeSpans {
  const field = path.at(-1) === 'name' && path.length === 2 ? '' : formatFieldPath(path);
  const mark = (span: Span): Span => ({ ...span, field });
  return { ...(key === undefined ? {} : { key: mark(key) }), value: mark(value), pair: mark(pair) };
}

function withoutManagedFields(raw: unknown): Json {
  const object = raw as { readonly [key: string]: Json };
  const metadata = object['metadata'];
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata)) return object;
  const { managedFields: _managed, ...rest } = metadata as { readonly [key: string]: Json };
  return { ...object, metadata: rest };
}
