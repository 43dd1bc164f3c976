import type { FieldPath, SourceRef } from './source-ref.ts';

/** A place in a text. Lines and columns are 1-based, the end is exclusive. */
export interface Span {
  readonly file: string;
  readonly start: { readonly line: number; readonly column: number };
  readonly end: { readonly line: number; readonly column: number };
  /** `spec.egress[1]`: the text is an object of a cluster, rendered; its lines mean nothing elsewhere. */
  readonly field?: string;
}

/** `policies.yaml:64` or `shop/web-egress#spec.egress[1]`: where a person finds the place. */
export function placeText({ file, start, field }: Span): string {
  return field === undefined ? `${file}:${start.line}` : field === '' ? file : `${file}#${field}`;
}

/** How much a diagnostic matters: an error changes what is enforced or cannot be used. */
export type Severity = 'error' | 'warning';

/** Something wrong with an input: what, where, why, and what to do. Data only; `report` renders it. */
export interface Diagnostic {
  readonly code: string;
  readonly severity: Severity;
  /** What is wrong, and with which value. */
  readonly message: string;
  /** What it does to enforcement, or what to do about it. */
  readonly help?: string;
  /** `NetworkPolicy default/database`, if an object is meant. */
  readonly object?: string;
  readonly path?: FieldPath;
  readonly source?: SourceRef;
  readonly span?: Span;
}
