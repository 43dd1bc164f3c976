import type { Diagnostic, Span } from '../../model/diagnostic.ts';
import type { ModelObject } from '../../model/snapshot.ts';
import { objectTitle } from '../object-name.ts';
import { inputDiagnostic } from './input-diagnostic.ts';

/** Says that an object is defined twice: `used` counts, `ignored` does not. The span is the place to look at. */
export function duplicateObject(used: ModelObject, ignored: ModelObject, span: Span): Diagnostic {
  const title = objectTitle(used);
  return {
    ...inputDiagnostic(
      'I005',
      'warning',
      `${title} is defined twice: at ${placeOf(used)} and at ${placeOf(ignored)}`,
      `the one at ${placeOf(used)} counts, the other is ignored; keep one`,
      span,
    ),
    object: title,
    source: used.source,
  };
}

/** `file:line:column` of an object from a manifest. */
function placeOf(object: ModelObject): string {
  const { source } = object;
  return source.kind === 'file' ? `${source.file}:${source.line}:${source.column}` : 'the cluster';
}
