/** The protocols a NetworkPolicy can name (semantics 35). */
export type Protocol = 'TCP' | 'UDP' | 'SCTP';

/** All of them, in the order used for output. */
export const protocols: readonly Protocol[] = ['TCP', 'UDP', 'SCTP'];

/** Narrows a text to a {@link Protocol}. */
export function isProtocol(text: unknown): text is Protocol {
  return text === 'TCP' || text === 'UDP' || text === 'SCTP';
}

/** A container port with a name: what a named policy port resolves to (semantics 39). */
export interface NamedPort {
  readonly name: string;
  readonly protocol: Protocol;
  /** 1 to 65535. */
  readonly port: number;
}

/** One entry of a policy rule's `ports`, after defaulting. */
export type PortMatch =
  | { readonly kind: 'protocol'; readonly index: number; readonly protocol: Protocol }
  | {
      readonly kind: 'range';
      readonly index: number;
      readonly protocol: Protocol;
      readonly from: number;
      readonly to: number;
    }
  | { readonly kind: 'named'; readonly index: number; readonly protocol: Protocol; readonly name: string }
  /** Refused by validation: matches nothing (semantics 85). */
  | { readonly kind: 'invalid'; readonly index: number };
