import type { Diagnostic, Severity, Span } from '../../model/diagnostic.ts';

/** Every code the readers of inputs report, with its short name. Codes are stable: they are never reused for another meaning. */
export const inputCodes = {
  I001: 'unreadable-input',
  I002: 'invalid-yaml',
  I003: 'duplicate-key',
  I004: 'surprising-yaml',
  I005: 'duplicate-object',
  I006: 'last-good-kept',
  I007: 'invalid-case',
  I008: 'source-differs',
} as const;

/** A code of {@link inputCodes}. */
export type InputCode = keyof typeof inputCodes;

/** A diagnostic about an input. */
export function inputDiagnostic(
  code: InputCode,
  severity: Severity,
  message: string,
  help: string,
  span?: Span,
): Diagnostic {
  return { code, severity, message, help, ...(span === undefined ? {} : { span }) };
}

/** Whether some text was not read, or only in part: what it holds is not known. */
export function isUnread({ code, severity }: Diagnostic): boolean {
  return severity === 'error' && (code === 'I001' || code === 'I002');
}

/** What is thrown inside a parser when a text cannot be read; never leaves the manifest reader. */
export class UnreadableText extends Error {
  override readonly name = 'UnreadableText';
  readonly start: number;
  readonly end: number;
  readonly help: string;

  constructor(message: string, help: string, start: number, end: number) {
    super(message);
    this.help = help;
    this.start = start;
    this.end = end;
  }
}
