import type { Diagnostic } from '../../model/diagnostic.ts';
import { inputDiagnostic } from './input-diagnostic.ts';
import type { SourceText } from './source-text.ts';

/** A part of a text, as offsets. */
export interface TextPart {
  readonly start: number;
  readonly end: number;
}

/** Characters that YAML refuses, or that kubectl takes for line breaks where other readers see a space. */
// oxlint-disable-next-line no-control-regex -- finding control characters is the point
const refused = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufffe\uffff]|\r(?!\n)/;

/**
 * Splits a text into YAML documents at lines of `---`, as kubectl does before it parses anything: three dashes at the
 * start of a line, followed by nothing but blanks and a comment. Documents of comments and blank lines alone are left out.
 */
export function splitDocuments(source: SourceText, diagnostics: Diagnostic[]): readonly TextPart[] {
  const { text } = source;
  const parts: TextPart[] = [];
  let start = 0;
  for (let at = text.startsWith('---') ? 0 : nextMarker(text, 0); ; at = nextMarker(text, start)) {
    const end = at === -1 ? text.length : at;
    if (hasContent(source, start, end, diagnostics)) parts.push({ start, end });
    if (at === -1) return parts.filter((part) => isClean(source, part, diagnostics));
    const after = text.indexOf('\n', at);
    const lineEnd = after === -1 ? text.length : after;
    const rest = text.slice(at + 3, lineEnd).trim();
    if (rest !== '' && !rest.startsWith('#')) {
      // Kept as content, so that the document shows up in full; the marker itself means the same to YAML.
      start = at + 3;
    } else start = Math.min(text.length, lineEnd + 1);
  }
}

function nextMarker(text: string, from: number): number {
  for (
    let at = from === 0 ? text.indexOf('\n---', 0) : text.indexOf('\n---', from - 1);
    at !== -1;
    at = text.indexOf('\n---', at + 4)
  ) {
    const next = text.charCodeAt(at + 4);
    if (Number.isNaN(next) || next === 0x0a || next === 0x0d || next === 0x20 || next === 0x09) return at + 1;
  }
  return -1;
}

/** Whether there is more than blank lines and comments; a directive is reported, kubectl does not read it. */
function hasContent(source: SourceText, start: number, end: number, diagnostics: Diagnostic[]): boolean {
  const { text } = source;
  let at = start;
  while (at < end) {
    const lineEnd = endOfLine(text, at, end);
    let first = at;
    while (first < lineEnd && (text[first] === ' ' || text[first] === '\t' || text[first] === '\r')) first += 1;
    if (first < lineEnd && text[first] === '%' && first === at) {
      diagnostics.push(
        inputDiagnostic(
          'I002',
          'warning',
          'YAML directives are not read',
          'remove this line: manifests are YAML 1.1, as for kubectl',
          source.span(at, lineEnd),
        ),
      );
    } else if (first < lineEnd && text[first] !== '#') return true;
    at = lineEnd + 1;
  }
  return false;
}

function endOfLine(text: string, from: number, end: number): number {
  const at = text.indexOf('\n', from);
  return at === -1 || at > end ? end : at;
}

function isClean(source: SourceText, part: TextPart, diagnostics: Diagnostic[]): boolean {
  const whole = part.start === 0 && part.end === source.text.length;
  const found = refused.exec(whole ? source.text : source.text.slice(part.start, part.end));
  if (found === null) return true;
  const at = part.start + found.index;
  const code = source.text.charCodeAt(at).toString(16).toUpperCase().padStart(4, '0');
  diagnostics.push(
    inputDiagnostic(
      'I002',
      'error',
      `the character U+${code} is not allowed in a manifest`,
      'remove it, or write it as an escape inside double quotes; kubectl refuses it or reads it as a line break',
      source.span(at, at + 1),
    ),
  );
  return false;
}
