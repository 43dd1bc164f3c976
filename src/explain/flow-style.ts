import type { WrittenObject } from './cluster.ts';

/** A text as a YAML scalar inside braces. */
export function yamlScalar(text: string): string {
  const plain = /^[A-Za-z][\w./-]*$/.test(text) && !/^(?:true|false|yes|no|on|off|null|y|n)$/i.test(text);
  return plain || /^[\d.]+\/\d+$/.test(text) ? text : JSON.stringify(text);
}

/** Whether an object is written as JSON, so that edits have to be JSON too. */
export function isJson(written: WrittenObject): boolean {
  const key = (written.locate(['metadata']) ?? written.locate(['spec']))?.key;
  return key !== undefined && written.text.line(key.start.line)[key.start.column - 1] === '"';
}

/** A key or value as the object's text writes one. */
export function scalarIn(written: WrittenObject, text: string): string {
  return isJson(written) ? JSON.stringify(text) : yamlScalar(text);
}

/** `key: value` as the object's text writes one. */
export function pairIn(written: WrittenObject, key: string, value: string): string {
  return isJson(written) ? `${JSON.stringify(key)}: ${JSON.stringify(value)}` : `${key}: ${yamlScalar(value)}`;
}

/** The lines of a list entry, `- a: {}` and `  b: {}`, in braces on one line: `{a: {}, b: {}}`. */
export function inBraces(entry: readonly string[]): string {
  const parts = entry.map((line) => line.replace(/^(?:- | {2})/, ''));
  const text = parts.join(', ');
  return text.startsWith('{') || !text.includes(': ') ? text : `{${text}}`;
}

/** YAML in braces as the object's text writes it: in JSON every word is quoted. */
export function flowIn(written: WrittenObject, text: string): string {
  if (!isJson(written)) return text;
  return text.replaceAll(/"(?:[^"\\]|\\.)*"|[^\s{}[\],:"]+/g, (word) =>
    word.startsWith('"') || /^\d+$/.test(word) ? word : JSON.stringify(word),
  );
}
