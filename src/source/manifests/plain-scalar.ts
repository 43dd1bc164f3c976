/** What a scalar without quotes and tag can stand for. */
export type ScalarValue = string | number | boolean | null;

const words: ReadonlyMap<string, boolean | number | null> = new Map<string, boolean | number | null>([
  ...['y', 'Y', 'yes', 'Yes', 'YES', 'true', 'True', 'TRUE', 'on', 'On', 'ON'].map((word) => [word, true] as const),
  ...['n', 'N', 'no', 'No', 'NO', 'false', 'False', 'FALSE', 'off', 'Off', 'OFF'].map((word) => [word, false] as const),
  ...['', '~', 'null', 'Null', 'NULL'].map((word) => [word, null] as const),
  ...['.nan', '.NaN', '.NAN'].map((word) => [word, Number.NaN] as const),
  ...['.inf', '.Inf', '.INF', '+.inf', '+.Inf', '+.INF'].map((word) => [word, Number.POSITIVE_INFINITY] as const),
  ...['-.inf', '-.Inf', '-.INF'].map((word) => [word, Number.NEGATIVE_INFINITY] as const),
]);

const longestWord = 5;
const decimalFloat = /^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$/;
const dottedFloat = /^\.[0-9]+(?:[eE][-+]?[0-9]+)?$/;
const integerForms: readonly (readonly [RegExp, number])[] = [
  [/^[-+]?0[xX]([0-9a-fA-F]+)$/, 16],
  [/^[-+]?0[bB]([01]+)$/, 2],
  [/^[-+]?0[oO]?([0-7]+)$/, 8],
  [/^[-+]?(0|[1-9][0-9]*)$/, 10],
];

/**
 * The value of a plain scalar as kubectl reads it: YAML 1.1 booleans, octal with `0` or `0o`, binary, hexadecimal,
 * underscores between digits; no base 60, no dates, both of which stay text. Numbers too large for a finite double stay text.
 */
export function readPlainScalar(text: string): ScalarValue {
  if (text.length <= longestWord) {
    const word = words.get(text);
    if (word !== undefined) return word;
  }
  const first = text.charCodeAt(0);
  if (first === 0x2e) return dottedFloat.test(text) ? finite(Number(text), text) : text;
  const digit = first >= 0x30 && first <= 0x39;
  return digit || first === 0x2b || first === 0x2d ? readNumber(text) : text;
}

function readNumber(text: string): string | number {
  const plain = text.includes('_') ? text.replaceAll('_', '') : text;
  for (const [form, radix] of integerForms) {
    const digits = form.exec(plain)?.[1];
    if (digits !== undefined) {
      const value = radix === 10 ? Number(digits) : Number.parseInt(digits, radix);
      return finite(plain.startsWith('-') && value !== 0 ? -value : value, text);
    }
  }
  return decimalFloat.test(plain) ? finite(Number(plain), text) : text;
}

function finite(value: number, text: string): string | number {
  return Number.isFinite(value) ? value : text;
}
