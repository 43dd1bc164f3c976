import type { Diagnostic, Severity } from '../diagnostic.ts';
import type { FieldPath, SourceRef } from '../source-ref.ts';
import type { DecodeCode } from './codes.ts';

/** Diagnostics kept per object; the rest is counted in one last diagnostic, so that a hostile object cannot flood a log. */
export const maxDiagnostics = 100;

/** A DNS prefix, a slash and a label name: the longest key with a meaning. At a longer one the path ends at its parent. */
const longestKey = 253 + 1 + 63;

/** Collects what is wrong with one object, in the order it is found. */
export class Findings {
  /** Number of errors, those beyond the limit included. */
  errors = 0;
  readonly #object: string | undefined;
  readonly #source: SourceRef;
  readonly #kept: Diagnostic[] = [];
  #dropped = 0;

  /** `object` is `Kind namespace/name`, as far as it is known. */
  constructor(source: SourceRef, object?: string) {
    this.#source = source;
    this.#object = object;
  }

  /** Something that is refused: it changes what is enforced, or cannot be used. */
  error(code: DecodeCode, path: FieldPath, message: string, help: string): void {
    this.errors += 1;
    this.#add('error', code, path, message, help);
  }

  /** Something that is read in a way its author may not expect. */
  warning(code: DecodeCode, path: FieldPath, message: string, help: string): void {
    this.#add('warning', code, path, message, help);
  }

  /** Nothing more is kept: costly hints are not worth computing. */
  get full(): boolean {
    return this.#kept.length >= maxDiagnostics;
  }

  /** Everything found, at most {@link maxDiagnostics} and one that counts the rest. */
  list(): Diagnostic[] {
    if (this.#dropped === 0) return [...this.#kept];
    const severity: Severity = this.errors > 0 ? 'error' : 'warning';
    const message = `and ${this.#dropped} more ${this.#dropped === 1 ? 'problem' : 'problems'} in this object`;
    const help = 'All of them are judged the same way; only the list is cut short. Fix those above first.';
    return [...this.#kept, this.#diagnostic(severity, 'D099', [], message, help)];
  }

  #add(severity: Severity, code: DecodeCode, path: FieldPath, message: string, help: string): void {
    if (this.full) this.#dropped += 1;
    else this.#kept.push(this.#diagnostic(severity, code, path, message, help));
  }

  #diagnostic(severity: Severity, code: DecodeCode, path: FieldPath, message: string, help: string): Diagnostic {
    const tooLong = path.findIndex((step) => typeof step === 'string' && step.length > longestKey);
    const shown = tooLong < 0 ? path : path.slice(0, tooLong);
    const object = this.#object === undefined ? {} : { object: this.#object };
    return { code, severity, message, help, ...object, path: shown, source: this.#source };
  }
}
