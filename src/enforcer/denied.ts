/** Recent denials: the bounded record that the `deny` chain keeps. Evidence, not accounting: it is rate limited. */
import type { CallOptions, TableReader, Expression, SetElement } from 'nftables-json';

import { canonicalAddress, canonicalProtocol } from './elements.ts';
import { objectRef } from './encode.ts';

/** One denied flow. */
export interface DeniedFlow {
  readonly from: string;
  readonly to: string;
  /** `tcp`, `udp`, `sctp`. */
  readonly protocol: string;
  /** Destination port. */
  readonly port: number;
  /** Seconds until the kernel forgets it; each further packet that is recorded starts the five minutes anew. */
  readonly expiresSeconds: number;
  /** Recorded packets; undefined when this nft does not print element counters. */
  readonly packets: number | undefined;
}

/** Options of {@link readDenied}. */
export interface ReadDeniedOptions extends CallOptions {
  /** `audited`: what policies in audit mode would have denied. Default `denied`. */
  readonly record?: 'denied' | 'audited';
}

/**
 * Lists the recorded flows of both families, most recent first.
 * @throws NftError as `Executor.listSet`. Sets that do not exist hold nothing.
 */
export async function readDenied(reader: TableReader, options: ReadDeniedOptions = {}): Promise<readonly DeniedFlow[]> {
  const { record = 'denied', ...call } = options;
  const flows: DeniedFlow[] = [];
  for (const digit of ['4', '6']) {
    const set = await reader.listSet(objectRef('inet', `${record}-${digit}`), call);
    for (const element of set?.elem ?? []) {
      const flow = decodeFlow(element);
      if (flow !== undefined) flows.push(flow);
    }
  }
  return flows.sort((a, b) => b.expiresSeconds - a.expiresSeconds);
}

/** Undefined for an element that is no record of ours. */
function decodeFlow(element: SetElement): DeniedFlow | undefined {
  if (typeof element !== 'object' || !('elem' in element)) return undefined;
  const { val, expires, timeout, counter } = element.elem;
  if (typeof val !== 'object' || !('concat' in val)) return undefined;
  const [from, to, protocol, port] = val.concat as readonly Expression[];
  if (typeof from !== 'string' || typeof to !== 'string' || typeof port !== 'number') return undefined;
  if (typeof protocol !== 'string' && typeof protocol !== 'number') return undefined;
  return {
    from: canonicalAddress(from),
    to: canonicalAddress(to),
    protocol: canonicalProtocol(protocol),
    port,
    expiresSeconds: expires ?? timeout ?? 0,
    packets: counter?.packets,
  };
}
