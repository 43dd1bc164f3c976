import { namespaceNameLabel } from '../namespace.ts';
import type { Namespace } from '../namespace.ts';
import { namespaceName } from '../names.ts';
import type { SourceRef } from '../source-ref.ts';
import type { Findings } from './findings.ts';
import { decodeLabels } from './metadata.ts';
import type { Metadata } from './metadata.ts';
import { decodeMode } from './mode.ts';

/** Reads a Namespace. Its name label is always set to its name, as the API server does (semantics 24). */
export function decodeNamespace(metadata: Metadata, source: SourceRef, findings: Findings): Namespace | undefined {
  const labels = decodeLabels(metadata.labels, findings);
  if (labels === undefined) return undefined;
  const mode = decodeMode(metadata.annotations, 'Its policies are enforced as they say themselves.', findings);
  return {
    kind: 'Namespace',
    name: namespaceName(metadata.name),
    uid: metadata.uid,
    labels: new Map([...labels, [namespaceNameLabel, metadata.name]]),
    ...(mode === 'audit' && { mode }),
    source,
  };
}
