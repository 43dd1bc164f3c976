import type { Family } from './question.ts';

/** An IP address as a number. */
export interface Address {
  readonly family: Family;
  readonly value: bigint;
}

/** A block of addresses, both ends included. */
export interface Block {
  readonly family: Family;
  readonly first: bigint;
  readonly last: bigint;
}

/** IPv4 or IPv6 text to a number; `undefined` if it is neither. Zones and leading zeros in IPv4 are refused. */
export function parseAddress(text: string): Address | undefined {
  if (text.includes(':')) {
    const value = parseIpv6(text);
    return value === undefined ? undefined : { family: 'IPv6', value };
  }
  const value = parseIpv4(text);
  return value === undefined ? undefined : { family: 'IPv4', value };
}

/** `address/prefix` with host bits masked (semantics 33), or `undefined` for what semantics 79 refuses. */
export function parseBlock(text: string): Block | undefined {
  const parts = text.split('/');
  if (parts.length !== 2) return undefined;
  const address = parseAddress(parts[0] ?? '');
  const prefix = parts[1] ?? '';
  if (address === undefined || !/^(0|[1-9][0-9]{0,2})$/.test(prefix)) return undefined;
  if (address.family === 'IPv6' && address.value >> 32n === 0xffffn) return undefined; // IPv4-mapped
  const width = address.family === 'IPv4' ? 32 : 128;
  const hostBits = BigInt(width - Number(prefix));
  if (hostBits < 0n) return undefined;
  const first = (address.value >> hostBits) << hostBits;
  return { family: address.family, first, last: first + (1n << hostBits) - 1n };
}

/** Families never mix (semantics 32). */
export function contains(block: Block, address: Address): boolean {
  return block.family === address.family && block.first <= address.value && address.value <= block.last;
}

/** Whether `inner` is a part of `outer` and not all of it. */
export function isStrictPart(inner: Block, outer: Block): boolean {
  const inside = inner.family === outer.family && outer.first <= inner.first && inner.last <= outer.last;
  return inside && !(inner.first === outer.first && inner.last === outer.last);
}

/** Whether two texts mean one address. */
export function isSame(a: Address, b: Address): boolean {
  return a.family === b.family && a.value === b.value;
}

function parseIpv4(text: string): bigint | undefined {
  const parts = text.split('.');
  if (parts.length !== 4) return undefined;
  let value = 0n;
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined;
    value = value * 256n + BigInt(part);
  }
  return value;
}

function parseIpv6(text: string): bigint | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = parseGroups(halves[0] ?? '', halves.length === 1);
  const tail = halves.length === 2 ? parseGroups(halves[1] ?? '', true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...Array.from({ length: missing }, () => 0n), ...tail];
  return groups.reduce((value, group) => value * 65536n + group, 0n);
}

/** Groups of 16 bits; the last may be dotted IPv4 if these groups end the address. */
function parseGroups(text: string, last: boolean): bigint[] | undefined {
  if (text === '') return [];
  const groups: bigint[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (part.includes('.')) {
      const value = parseIpv4(part);
      if (value === undefined || !last || index !== parts.length - 1) return undefined;
      groups.push(value >> 16n, value & 0xffffn);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      groups.push(BigInt(`0x${part}`));
    }
  }
  return groups;
}
