import type { Labels } from './labels.ts';
import type { NamespaceName } from './names.ts';
import type { SourceRef } from './source-ref.ts';

/** A Namespace. `labels` always hold `kubernetes.io/metadata.name` (semantics 24, KEP-2161). */
export interface Namespace {
  readonly kind: 'Namespace';
  readonly name: NamespaceName;
  readonly uid: string;
  readonly labels: Labels;
  /** `nftpolicy.dev/mode: audit` on the Namespace: every policy in it is in audit mode, whatever it says itself. */
  readonly mode?: 'audit';
  readonly source: SourceRef;
}

/** The label that carries a namespace's own name. */
export const namespaceNameLabel = 'kubernetes.io/metadata.name';
