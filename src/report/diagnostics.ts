import { placeText } from '../model/diagnostic.ts';
import type { Diagnostic } from '../model/diagnostic.ts';
import { formatFieldPath } from '../model/source-ref.ts';
import type { SourceRef } from '../model/source-ref.ts';

/** `file:line:column`, or the object's version in the cluster. */
export function formatPlace(diagnostic: Diagnostic): string | undefined {
  const { span, source } = diagnostic;
  if (span !== undefined) return `${placeText(span)}${span.field === undefined ? `:${span.start.column}` : ''}`;
  return source === undefined ? undefined : formatSource(source);
}

/** Where an object was read from, for people. */
export function formatSource(source: SourceRef): string {
  return source.kind === 'file'
    ? `${source.file}:${source.line}:${source.column}`
    : `cluster, resourceVersion ${source.resourceVersion}`;
}

/** One diagnostic as text: place, severity and code, what is wrong, where in the object, and what to do. */
export function renderDiagnostic(diagnostic: Diagnostic): string {
  const place = formatPlace(diagnostic);
  const object = [diagnostic.object, diagnostic.path && formatFieldPath(diagnostic.path)].filter(
    (part) => part !== undefined && part !== '',
  );
  const lines = [
    `${place === undefined ? '' : `${place}: `}${diagnostic.severity}[${diagnostic.code}]: ${diagnostic.message}`,
    ...(object.length === 0 ? [] : [`  in ${object.join(', ')}`]),
    ...(diagnostic.help === undefined ? [] : [`  ${diagnostic.help}`]),
  ];
  return `${lines.join('\n')}\n`;
}

/** All diagnostics, errors and warnings in the order given. */
export function renderDiagnostics(diagnostics: readonly Diagnostic[]): string {
  return diagnostics.map(renderDiagnostic).join('');
}
