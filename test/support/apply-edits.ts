/** A place in a text; line and column count from 1. */
interface Place {
  readonly line: number;
  readonly column: number;
}

/** An edit as `policy explain -o json` suggests it. */
export interface Edit {
  readonly span: { readonly start: Place; readonly end: Place };
  readonly newText: string;
}

/** Applies edits as an editor does. Throws on places that the text does not have. */
export function applyEdits(text: string, edits: readonly Edit[]): string {
  const lines = text.split('\n');
  const offset = ({ line, column }: Place): number => {
    if (lines[line - 1] === undefined || column > (lines[line - 1]?.length ?? 0) + 1)
      throw new Error(`there is no place ${line}:${column}`);
    return lines.slice(0, line - 1).reduce((sum, { length }) => sum + length + 1, 0) + column - 1;
  };
  return [...edits]
    .sort((a, b) => offset(b.span.start) - offset(a.span.start))
    .reduce(
      (result, { span, newText }) => result.slice(0, offset(span.start)) + newText + result.slice(offset(span.end)),
      text,
    );
}
