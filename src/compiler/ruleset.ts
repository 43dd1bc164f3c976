import type { Statement } from 'nftables-json';

import type { Provenance } from './effective-policy.ts';

/** The families of our two tables; both are called {@link tableName}. */
export type TableFamily = 'inet' | 'bridge';

/** The only table name that is ever read, written or removed. */
export const tableName = 'nftpolicy';

/**
 * A set as it should be. Elements are canonical texts in nft notation: fields joined by ` . `, ranges as `a-b`,
 * blocks as `a/b`, interface names bare (`vethA . 10.244.1.10`).
 */
export interface DesiredSet {
  readonly name: string;
  /** nft data types, one per field, at most 5. */
  readonly type: readonly string[];
  /** Fields may be ranges or blocks. Only concatenated sets may be: single-field interval sets slow every writer down. */
  readonly interval: boolean;
  /** The kernel fills it (deny record): elements are never compared. */
  readonly dynamic?: { readonly timeoutSeconds: number; readonly size: number };
  /** May be an `ElementSet`: `elementChanges` then tells how it differs from an earlier version without comparing. */
  readonly elements: ReadonlySet<string>;
}

/** What a dispatch map does with a key. */
export type DispatchVerdict = { readonly kind: 'accept' } | { readonly kind: 'goto'; readonly chain: string };

/** A verdict map as it should be; keys like {@link DesiredSet.elements}. */
export interface DesiredMap {
  readonly name: string;
  readonly type: readonly string[];
  readonly elements: ReadonlyMap<string, DispatchVerdict>;
}

/** One rule. `provenance` names the policy rules it came from; empty for our own. */
export interface DesiredRule {
  readonly statements: readonly Statement[];
  /** At most 128 bytes. */
  readonly comment?: string;
  readonly provenance: readonly Provenance[];
}

/** A chain; with `base` it hangs on a hook (policy accept, the rules end closed). */
export interface DesiredChain {
  readonly name: string;
  readonly base?: {
    readonly type: 'filter';
    readonly hook: 'forward' | 'input' | 'prerouting' | 'postrouting';
    readonly priority: number;
  };
  readonly rules: readonly DesiredRule[];
}

/** One of our tables. */
export interface DesiredTable {
  readonly family: TableFamily;
  readonly sets: ReadonlyMap<string, DesiredSet>;
  readonly maps: ReadonlyMap<string, DesiredMap>;
  readonly chains: ReadonlyMap<string, DesiredChain>;
}

/** Everything we want in the kernel. A family that is absent has no table. */
export type Ruleset = ReadonlyMap<TableFamily, DesiredTable>;
