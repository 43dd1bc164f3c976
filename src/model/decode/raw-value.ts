/** A JSON object as it came. Read it with {@link field}: its keys are a stranger's text. */
export type RawObject = Readonly<Record<string, unknown>>;

/** Whether the value is a JSON object: neither null nor a list. */
export function isRawObject(value: unknown): value is RawObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** An own field, `undefined` if missing or null: the API reads both alike (semantics 72). */
export function field(object: RawObject, name: string): unknown {
  return Object.hasOwn(object, name) ? (object[name] ?? undefined) : undefined;
}

/** Whether the value is a list. Narrows to `unknown` entries, where `Array.isArray` gives `any`. */
export function isRawList(value: unknown): value is readonly unknown[] {
  return Array.isArray(value);
}

const shownLength = 60;

/** A text in quotes, cut to 60 characters, without control or direction characters that could disturb a terminal. */
export function showText(text: string): string {
  const cut = text.length > shownLength ? `${text.slice(0, shownLength)}...` : text;
  return JSON.stringify(cut).replaceAll(
    /[\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** The value for a message. Never looks inside lists and maps, so its cost is bounded whatever the nesting. */
export function showValue(value: unknown): string {
  if (typeof value === 'string') return showText(value);
  if (value === null || value === undefined) return 'null';
  if (isRawList(value)) return value.length === 1 ? 'a list of 1 entry' : `a list of ${value.length} entries`;
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') {
    return String(value).slice(0, shownLength);
  }
  return typeof value === 'object' ? 'a map' : `a ${typeof value}`;
}

/** What kind of value it is, for "a list is needed, this is ...". */
export function showType(value: unknown): string {
  if (typeof value === 'string') return `the text ${showText(value)}`;
  if (typeof value === 'number' || typeof value === 'bigint') return `the number ${showValue(value)}`;
  if (typeof value === 'boolean') return `the boolean ${value}`;
  return showValue(value);
}
