import ipaddr from 'ipaddr.js';

import type { Brand } from './brand.ts';

/** An IP address in its one canonical text: dotted quad, or RFC 5952 for IPv6. Equal addresses are equal strings. */
export type IpAddress = Brand<string, 'IpAddress'>;
/** The two address families. They never mix: `0.0.0.0/0` holds no IPv6 address (semantics 32). */
export type IpFamily = 'IPv4' | 'IPv6';

/** Both families, IPv4 first: the order of every list that has one entry per family. */
export const ipFamilies: readonly IpFamily[] = ['IPv4', 'IPv6'];

/** Number of bits in an address of the family. */
export function familyBits(family: IpFamily): 32 | 128 {
  return family === 'IPv4' ? 32 : 128;
}

/** The family of a canonical address. */
export function familyOf(address: IpAddress): IpFamily {
  return address.includes(':') ? 'IPv6' : 'IPv4';
}

/** Six groups of four digits and an embedded IPv4 address. Nothing longer is worth a regular expression's time. */
const longestAddress = 45;

/**
 * Parses an address strictly: four decimal parts without leading zeros, or an IPv6 address without a zone.
 * IPv4-mapped IPv6 addresses are refused, as the API server does for new objects (semantics 79).
 * Answers `undefined` for anything else; never throws.
 */
export function parseIp(text: string): IpAddress | undefined {
  if (text.length > longestAddress) return undefined;
  // ipaddr.js throws and catches at every text that is none: names are told apart before.
  if (/^[\d.]+$/.test(text)) {
    if (!ipaddr.IPv4.isValidFourPartDecimal(text)) return undefined;
    return /(?:^|\.)0\d/.test(text) ? undefined : (text as IpAddress);
  }
  const embedded = /^::([\d.]+)$/.exec(text)?.[1];
  // ipaddr.js reads the deprecated ::1.2.3.4 as IPv4-mapped; it is the IPv6 address ::102:304.
  if (embedded?.includes('.') === true) {
    const low = parseIp(embedded);
    return low === undefined ? undefined : formatIp('IPv6', ipToBigInt(low));
  }
  if (!text.includes(':') || text.includes('%') || !ipaddr.IPv6.isValid(text)) return undefined;
  if (text.includes('.') && /[:.]0\d+(?:\.|$)/.test(text)) return undefined;
  const parsed = ipaddr.IPv6.parse(text);
  return parsed.isIPv4MappedAddress() ? undefined : formatIp('IPv6', bytesToBigInt(parsed.toByteArray()));
}

/** The address as an unsigned number of 32 or 128 bits. */
export function ipToBigInt(address: IpAddress): bigint {
  return bytesToBigInt(ipaddr.parse(address).toByteArray());
}

/** The canonical address with this number. */
export function formatIp(family: IpFamily, value: bigint): IpAddress {
  const size = familyBits(family) / 8;
  const bytes: number[] = [];
  for (let i = size - 1; i >= 0; i--) bytes.push(Number((value >> BigInt(8 * i)) & 0xffn));
  return ipaddr.fromByteArray(bytes).toString() as IpAddress;
}

function bytesToBigInt(bytes: readonly number[]): bigint {
  let value = 0n;
  for (const byte of bytes) value = (value << 8n) | BigInt(byte);
  return value;
}
