import { familyBits, familyOf, formatIp, ipToBigInt, parseIp } from './ip.ts';
import type { IpAddress, IpFamily } from './ip.ts';
import type { AddressInterval } from './interval.ts';

/** A block of addresses with its host bits cleared. `text` is canonical: equal blocks have equal texts. */
export interface Cidr {
  readonly family: IpFamily;
  /** The first address. */
  readonly base: IpAddress;
  /** 0 to 32, or 0 to 128. */
  readonly prefix: number;
  readonly first: bigint;
  readonly last: bigint;
  readonly text: string;
}

/** What a parsed block was before it was made canonical. */
export interface ParsedCidr {
  readonly cidr: Cidr;
  /** The text had bits set behind the prefix; they are masked (semantics 33, KEP-4858). */
  readonly hostBits: boolean;
}

/** Parses `ADDRESS/PREFIX` strictly: no short forms, no leading zeros, no IPv4-mapped blocks. Never throws. */
export function parseCidr(text: string): ParsedCidr | undefined {
  const match = /^([^/]+)\/(0|[1-9]\d{0,2})$/.exec(text);
  const address = match?.[1] === undefined ? undefined : parseIp(match[1]);
  if (address === undefined || match?.[2] === undefined) return undefined;
  const family = familyOf(address);
  const prefix = Number(match[2]);
  if (prefix > familyBits(family)) return undefined;
  const value = ipToBigInt(address);
  const cidr = toCidr(family, value, prefix);
  return { cidr, hostBits: cidr.first !== value };
}

/** The block of this prefix length that holds the address with number `value`. */
export function toCidr(family: IpFamily, value: bigint, prefix: number): Cidr {
  const hostBits = BigInt(familyBits(family) - prefix);
  const first = (value >> hostBits) << hostBits;
  const base = formatIp(family, first);
  return { family, base, prefix, first, last: first | ((1n << hostBits) - 1n), text: `${base}/${prefix}` };
}

/** The block holding exactly one address. */
export function hostCidr(address: IpAddress): Cidr {
  const family = familyOf(address);
  return toCidr(family, ipToBigInt(address), familyBits(family));
}

/** Whether the block holds the address. Addresses of the other family are in no block (semantics 32). */
export function cidrContains(cidr: Cidr, address: IpAddress): boolean {
  if (familyOf(address) !== cidr.family) return false;
  const value = ipToBigInt(address);
  return cidr.first <= value && value <= cidr.last;
}

/** Whether `inner` lies strictly inside `outer`: the API server's condition for an `except` entry (semantics 79). */
export function isStrictlyInside(inner: Cidr, outer: Cidr): boolean {
  return (
    inner.family === outer.family &&
    inner.prefix > outer.prefix &&
    outer.first <= inner.first &&
    inner.last <= outer.last
  );
}

/** The addresses of the block as an interval. */
export function cidrInterval(cidr: Cidr): AddressInterval {
  return { first: cidr.first, last: cidr.last };
}
