import { distance } from 'fastest-levenshtein';

/** Longer texts are no typing mistake of a field name; comparing them would only cost time. */
const longestTypo = 40;

/** The known word that was probably meant: equal but for case, or a small edit away. */
export function suggest(text: string, known: readonly string[]): string | undefined {
  if (text.length > longestTypo) return undefined;
  const lower = text.toLowerCase();
  const limit = Math.min(2, Math.max(1, Math.floor(text.length / 2)));
  let best: { readonly word: string; readonly edits: number } | undefined;
  for (const word of known) {
    const edits = distance(lower, word.toLowerCase());
    if (edits <= limit && edits < (best?.edits ?? Infinity)) best = { word, edits };
  }
  return best?.word;
}
