/** Set and map elements: canonical text on our side, nft's JSON expressions on the other. */
import { concat, prefix, range } from 'nftables-json';
import type { PrefixExpression, RangeExpression, SetElement } from 'nftables-json';

import { formatIp } from '../model/ip.ts';
import type { IpAddress, IpFamily } from '../model/ip.ts';
import { ipToBigInt } from '../model/ip.ts';

/** Protocol names as nft prints them. Source: /etc/protocols of Debian; nft falls back to the number without it. */
const protocolNames: ReadonlyMap<number, string> = new Map([
  [1, 'icmp'],
  [2, 'igmp'],
  [4, 'ipencap'],
  [6, 'tcp'],
  [17, 'udp'],
  [33, 'dccp'],
  [41, 'ipv6'],
  [47, 'gre'],
  [50, 'esp'],
  [51, 'ah'],
  [58, 'ipv6-icmp'],
  [132, 'sctp'],
  [136, 'udplite'],
]);

/** The one text of a protocol: `tcp` for `tcp`, `6` and 6; a number without a name stays a number. */
export function canonicalProtocol(value: string | number): string {
  if (value === 'icmpv6') return 'ipv6-icmp';
  const number = typeof value === 'number' ? value : /^\d+$/.test(value) ? Number(value) : undefined;
  return number === undefined ? String(value) : (protocolNames.get(number) ?? String(number));
}

/** The one text of an address. nft prints some IPv6 addresses with a dotted tail; ours never have one. */
export function canonicalAddress(text: string): string {
  if (!text.includes(':') || !text.includes('.')) return text;
  const tail = text.slice(text.lastIndexOf(':') + 1);
  const bytes = tail.split('.').map(Number);
  const [a = 0, b = 0, c = 0, d = 0] = bytes;
  const groups = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  return addressText(addressNumber(text.slice(0, text.length - tail.length) + groups), 'IPv6');
}

function addressNumber(text: string): bigint {
  return ipToBigInt(text as IpAddress);
}

function addressText(value: bigint, family: IpFamily): string {
  return formatIp(family, value);
}

/** The one text of an interval of addresses: an address, a block where it is one, else `a-b`. */
export function canonicalAddressInterval(from: string, to: string): string {
  const first = canonicalAddress(from);
  const last = canonicalAddress(to);
  if (first === last) return first;
  const family: IpFamily = first.includes(':') ? 'IPv6' : 'IPv4';
  const low = addressNumber(first);
  const size = addressNumber(last) - low + 1n;
  const hostBits = size.toString(2).length - 1;
  if (size === 1n << BigInt(hostBits) && low % size === 0n)
    return `${first}/${(family === 'IPv6' ? 128 : 32) - hostBits}`;
  return `${first}-${last}`;
}

function canonicalBlock(address: string, length: number): string {
  const base = canonicalAddress(address);
  return length === (base.includes(':') ? 128 : 32) ? base : `${base}/${length}`;
}

function isAddressType(type: string): boolean {
  return type === 'ipv4_addr' || type === 'ipv6_addr';
}

function canonicalField(field: string, type: string): string {
  if (type === 'inet_proto') return canonicalProtocol(field);
  if (isAddressType(type)) {
    const slash = field.indexOf('/');
    if (slash >= 0) return canonicalBlock(field.slice(0, slash), Number(field.slice(slash + 1)));
    const dash = field.indexOf('-');
    return dash >= 0 ? canonicalAddressInterval(field.slice(0, dash), field.slice(dash + 1)) : canonicalAddress(field);
  }
  if (type === 'inet_service') {
    const [from = '', to = from] = field.split('-');
    return from === to ? from : `${from}-${to}`;
  }
  return field;
}

/** The canonical text of one element text; fields are joined by ` . `. */
export function canonicalElement(text: string, type: readonly string[]): string {
  if (type.length === 1) return canonicalField(text, type[0] ?? '');
  return text
    .split(' . ')
    .map((field, index) => canonicalField(field, type[index] ?? ''))
    .join(' . ');
}

/** Element texts of these types are canonical as they come: they have one spelling only. */
export function isPlainType(type: readonly string[], interval: boolean): boolean {
  return !interval && !type.includes('inet_proto');
}

function encodeField(
  field: string,
  type: string,
  interval: boolean,
): string | number | PrefixExpression | RangeExpression {
  if (type === 'inet_service' || type === 'mark' || type === 'integer') {
    const dash = field.indexOf('-');
    return dash >= 0 ? range(Number(field.slice(0, dash)), Number(field.slice(dash + 1))) : Number(field);
  }
  if (type === 'inet_proto') return /^\d+$/.test(field) ? Number(field) : field;
  if (interval && isAddressType(type)) {
    const slash = field.indexOf('/');
    if (slash >= 0) return prefix(field.slice(0, slash), Number(field.slice(slash + 1)));
    const dash = field.indexOf('-');
    if (dash >= 0) return range(field.slice(0, dash), field.slice(dash + 1));
  }
  return field;
}

/** The expression of an element text. */
export function encodeElement(text: string, type: readonly string[], interval: boolean): SetElement {
  if (type.length === 1) return encodeField(text, type[0] ?? '', interval);
  return concat(...text.split(' . ').map((field, index) => encodeField(field, type[index] ?? '', interval)));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function decodeScalar(value: unknown): string | undefined {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined;
}

function decodeField(value: unknown, type: string): string | undefined {
  const scalar = decodeScalar(value);
  if (scalar !== undefined) return canonicalField(scalar, isAddressType(type) || type === 'inet_proto' ? type : '');
  if (!isObject(value)) return undefined;
  const block = value['prefix'];
  if (isObject(block)) {
    const address = decodeScalar(block['addr']);
    const length = block['len'];
    if (address === undefined || typeof length !== 'number') return undefined;
    if (isAddressType(type)) return canonicalBlock(address, length);
    if (type !== 'inet_service') return undefined;
    const first = Number(address);
    return canonicalField(`${first}-${first + (1 << (16 - length)) - 1}`, type);
  }
  const ends = value['range'];
  if (!Array.isArray(ends) || ends.length !== 2) return undefined;
  const from = decodeScalar(ends[0]);
  const to = decodeScalar(ends[1]);
  if (from === undefined || to === undefined) return undefined;
  return isAddressType(type) ? canonicalAddressInterval(from, to) : canonicalField(`${from}-${to}`, type);
}

/**
 * The canonical text of a listed element, options (timeout, counter) left out. Undefined when it has a form this
 * file does not know: the caller must then treat the whole set as different, never as equal.
 */
export function decodeElement(value: unknown, type: readonly string[]): string | undefined {
  if (isObject(value) && isObject(value['elem'])) return decodeElement(value['elem']['val'], type);
  if (type.length === 1) return decodeField(value, type[0] ?? '');
  const fields = isObject(value) ? value['concat'] : undefined;
  if (!Array.isArray(fields) || fields.length !== type.length) return undefined;
  const texts: string[] = [];
  for (const [index, field] of fields.entries()) {
    const text = decodeField(field, type[index] ?? '');
    if (text === undefined) return undefined;
    texts.push(text);
  }
  return texts.join(' . ');
}
