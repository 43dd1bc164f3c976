/** Elements as text: one spelling per value, used as key and for people. */
import type { Expression, MapEntry, SetElement } from './grammar.ts';
import { isList, isMapEntry } from './grammar.ts';

/**
 * The value of an element as nft writes it, without its options: `10.0.0.0/8 . tcp . 80-90`. Two elements with one
 * key are the same element, provided their addresses are spelled alike. Undefined for an unknown expression.
 */
export function elementKey(element: Expression): string | undefined {
  if (isList(element)) return undefined;
  if (typeof element === 'string') return element;
  if (typeof element !== 'object') return String(element);
  if ('elem' in element) return elementKey(element.elem.val);
  if ('concat' in element) return joined(element.concat, ' . ');
  if ('prefix' in element) {
    const addr = elementKey(element.prefix.addr);
    return addr === undefined ? undefined : `${addr}/${element.prefix.len}`;
  }
  if ('range' in element) return joined(element.range, '-');
  return undefined;
}

function joined(parts: readonly Expression[], separator: string): string | undefined {
  const keys: string[] = [];
  for (const part of parts) {
    const key = elementKey(part);
    if (key === undefined) return undefined;
    keys.push(key);
  }
  return keys.join(separator);
}

/** Key and value of a member of a set (no value) or map. */
export function splitMember(member: SetElement | MapEntry): { readonly key: SetElement; readonly value?: Expression } {
  return isMapEntry(member) ? { key: member[0], value: member[1] } : { key: member };
}
