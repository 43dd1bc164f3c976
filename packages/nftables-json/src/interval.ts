/** Overlap of elements of interval sets, field by field. */
import { isIP } from 'node:net';
import type { Expression, SetElement } from './grammar.ts';
import { isList } from './grammar.ts';

type Interval = readonly [low: bigint, high: bigint];

/**
 * Whether `key` shares a value with another element; the kernel refuses such an element with EEXIST. An equal element
 * is not asked about. Fields other than addresses and numbers overlap when they are equal. O(elements).
 */
export function intervalOverlaps(key: SetElement, others: Iterable<{ readonly key: SetElement }>): boolean {
  const fields = fieldsOf(key);
  for (const other of others) {
    const theirs = fieldsOf(other.key);
    if (fields.length === theirs.length && fields.every((field, index) => overlap(field, theirs[index]))) return true;
  }
  return false;
}

function fieldsOf(key: SetElement): readonly Expression[] {
  if (typeof key !== 'object') return [key];
  if ('elem' in key) return isList(key.elem.val) ? key.elem.val : fieldsOf(key.elem.val);
  return 'concat' in key ? key.concat : [key];
}

function overlap(a: Expression, b: Expression | undefined): boolean {
  if (b === undefined) return false;
  const left = intervalOf(a);
  const right = intervalOf(b);
  if (left === undefined || right === undefined) return JSON.stringify(a) === JSON.stringify(b);
  return left[0] <= right[1] && right[0] <= left[1];
}

function intervalOf(field: Expression): Interval | undefined {
  if (typeof field === 'object') {
    if (isList(field)) return undefined;
    if ('range' in field) {
      const low = intervalOf(field.range[0]);
      const high = intervalOf(field.range[1]);
      return low === undefined || high === undefined ? undefined : [low[0], high[1]];
    }
    if ('prefix' in field) {
      const { addr, len } = field.prefix;
      const start = intervalOf(addr)?.[0];
      if (start === undefined) return undefined;
      const size = 1n << BigInt((typeof addr === 'string' && isIP(addr) === 6 ? 128 : 32) - len);
      const low = (start / size) * size;
      return [low, low + size - 1n];
    }
    return undefined;
  }
  const value = numberOf(field);
  return value === undefined ? undefined : [value, value];
}

function numberOf(value: string | number | boolean): bigint | undefined {
  if (typeof value === 'number') return BigInt(value);
  if (typeof value === 'boolean') return undefined;
  if (/^\d+$/.test(value)) return BigInt(value);
  const kind = isIP(value);
  if (kind === 4) return value.split('.').reduce((sum, part) => (sum << 8n) | BigInt(part), 0n);
  return kind === 6 ? ip6Number(value) : undefined;
}

function ip6Number(address: string): bigint {
  const [head = '', tail] = address.split('::');
  const left = groupsOf(head);
  const right = groupsOf(tail ?? '');
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => 0n);
  return [...left, ...zeros, ...right].reduce((sum, group) => (sum << 16n) | group, 0n);
}

function groupsOf(text: string): bigint[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [BigInt(`0x${group}`)];
    const embedded = numberOf(group) ?? 0n;
    return [embedded >> 16n, embedded & 0xffffn];
  });
}
