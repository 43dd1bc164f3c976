import { assertNever } from '../assert.ts';
import type { Diagnostic } from '../diagnostic.ts';
import type { ModelObject } from '../snapshot.ts';
import type { SourceRef } from '../source-ref.ts';
import { wrongType } from './fields.ts';
import { Findings } from './findings.ts';
import { decodeMetadata, describeObject } from './metadata.ts';
import type { DecodedKind } from './metadata.ts';
import { decodeNamespace } from './namespace.ts';
import { decodeNode } from './node.ts';
import { decodePod } from './pod.ts';
import { decodePolicy } from './policy.ts';
import { field, isRawObject, showText, showType } from './raw-value.ts';
import type { RawObject } from './raw-value.ts';
import { decodeService } from './service.ts';
import { suggest } from './suggest.ts';

/** What became of one raw object. Without an object and without diagnostics: another kind, none of our business. */
export interface Decoded {
  readonly object?: ModelObject;
  readonly diagnostics: Diagnostic[];
}

const kinds: readonly DecodedKind[] = ['Namespace', 'Node', 'Pod', 'Service', 'NetworkPolicy'];

/** Kinds of `networking.k8s.io` that are no misspelt NetworkPolicy. */
const otherNetworkingKinds = ['Ingress', 'IngressClass', 'IPAddress', 'ServiceCIDR', 'NetworkPolicyList'];

/**
 * Reads any raw object, from the API server or from a file: the only way into the model (semantics 72). Never throws;
 * its cost is linear in the size of the input. A NetworkPolicy that is refused in part is still a policy that admits
 * less (semantics 84-90); other objects that cannot be trusted are left out. Lists are not unpacked here.
 */
export function decodeObject(raw: unknown, source: SourceRef): Decoded {
  if (!isRawObject(raw)) {
    const findings = new Findings(source);
    const help = 'Every document must be a map with apiVersion, kind and metadata. It is ignored.';
    findings.error('D001', [], `a Kubernetes object is needed, not ${showType(raw)}`, help);
    return { diagnostics: findings.list() };
  }
  const apiVersion = field(raw, 'apiVersion') ?? '';
  const kind = field(raw, 'kind') ?? '';
  const findings = new Findings(source, typeof kind === 'string' && kind !== '' ? describeKind(raw, kind) : undefined);
  if (!checkText(apiVersion, 'apiVersion', findings) || !checkText(kind, 'kind', findings)) {
    return { diagnostics: findings.list() };
  }
  const known = kinds.find((name) => name === kind);
  if (known === undefined) reportMisspelt(apiVersion, kind, findings);
  else if (isServed(apiVersion, known, findings)) {
    const object = decodeKind(raw, known, source, findings);
    return { ...(object === undefined ? {} : { object }), diagnostics: findings.list() };
  }
  return { diagnostics: findings.list() };
}

function describeKind(raw: RawObject, kind: string): string {
  return describeObject(raw, /^[A-Za-z]{1,63}$/.test(kind) ? kind : showText(kind));
}

function checkText(value: unknown, name: 'apiVersion' | 'kind', findings: Findings): value is string {
  if (typeof value === 'string' && value !== '') return true;
  const effect = 'The object is ignored.';
  if (value === '') findings.error('D002', [name], `the object has no ${name}`, `Set ${name}. ${effect}`);
  else wrongType([name], 'a text', value, effect, findings);
  return false;
}

function decodeKind(raw: RawObject, kind: DecodedKind, source: SourceRef, findings: Findings): ModelObject | undefined {
  const metadata = decodeMetadata(raw, kind, source, findings);
  if (metadata === undefined) return undefined;
  switch (kind) {
    case 'Namespace':
      return decodeNamespace(metadata, source, findings);
    case 'Node':
      return decodeNode(raw, metadata, source, findings);
    case 'Pod':
      return decodePod(raw, metadata, source, findings);
    case 'Service':
      return decodeService(raw, metadata, source, findings);
    case 'NetworkPolicy':
      return decodePolicy(raw, metadata, source, findings);
    default:
      return assertNever(kind);
  }
}

/** Other groups have kinds of the same name (`serving.knative.dev/v1 Service`): those are silently none of ours. */
function isServed(apiVersion: string, kind: DecodedKind, findings: Findings): boolean {
  const served = kind === 'NetworkPolicy' ? 'networking.k8s.io/v1' : 'v1';
  if (apiVersion === served) return true;
  const slash = apiVersion.indexOf('/');
  const group = slash < 0 ? '' : apiVersion.slice(0, slash);
  const ours = kind === 'NetworkPolicy' ? ['', 'networking.k8s.io', 'extensions'] : [''];
  if (ours.includes(group)) {
    findings.error(
      'D004',
      ['apiVersion'],
      `${kind} is not served as ${showText(apiVersion)}`,
      `No current API server accepts it. Write apiVersion: ${served}. The object is ignored${kind === 'NetworkPolicy' ? ': it isolates nothing' : ''}.`,
    );
  }
  return false;
}

function reportMisspelt(apiVersion: string, kind: string, findings: Findings): void {
  if (!apiVersion.startsWith('networking.k8s.io/') || otherNetworkingKinds.includes(kind)) return;
  if (suggest(kind, ['NetworkPolicy']) === undefined && !/^networkpolic/i.test(kind)) return;
  const help = 'Did you mean "NetworkPolicy"? The object is ignored: it isolates nothing.';
  findings.error('D007', ['kind'], `unknown kind ${showText(kind)}`, help);
}
