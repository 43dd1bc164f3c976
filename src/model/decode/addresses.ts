import { parseIp } from '../ip.ts';
import type { IpAddress } from '../ip.ts';
import type { FieldPath } from '../source-ref.ts';
import type { Findings } from './findings.ts';
import { showText, showType } from './raw-value.ts';

/** A text that should be an address, with its place. */
export interface RawAddress {
  readonly raw: unknown;
  readonly path: FieldPath;
}

/** The addresses that can be read, without duplicates, in order. Others are reported and left out. */
export function decodeAddresses(entries: readonly RawAddress[], findings: Findings): IpAddress[] {
  const addresses = new Set<IpAddress>();
  for (const { raw, path } of entries) {
    const address = typeof raw === 'string' ? parseIp(raw) : undefined;
    if (address !== undefined) addresses.add(address);
    else {
      findings.error(
        'D201',
        path,
        `${typeof raw === 'string' ? showText(raw) : showType(raw)} is no IP address`,
        'The address is ignored: no traffic is attributed to it. Write a plain IPv4 or IPv6 address.',
      );
    }
  }
  return [...addresses];
}
