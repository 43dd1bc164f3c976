import type { Endpoint, PodPhase } from '../endpoint.ts';
import { namespaceName, nodeName, podKey } from '../names.ts';
import type { SourceRef } from '../source-ref.ts';
import { decodeAddresses } from './addresses.ts';
import type { RawAddress } from './addresses.ts';
import { decodeContainerPorts, toNamedPorts } from './container-ports.ts';
import { wrongType } from './fields.ts';
import type { Findings } from './findings.ts';
import { decodeLabels } from './metadata.ts';
import type { Metadata } from './metadata.ts';
import { field, isRawList, isRawObject, showText } from './raw-value.ts';
import type { RawObject } from './raw-value.ts';

const ignored = 'The pod is ignored: it is unknown, so its traffic is not admitted by any selector.';
const phases: readonly PodPhase[] = ['Pending', 'Running', 'Succeeded', 'Failed', 'Unknown'];

/**
 * Reads a Pod. `undefined`: something that decides who the pod is (labels, node, host network, phase) cannot be read;
 * a pod nobody knows is closed (semantics 50). Unreadable ports and addresses only drop themselves.
 */
export function decodePod(
  raw: RawObject,
  metadata: Metadata,
  source: SourceRef,
  findings: Findings,
): Endpoint | undefined {
  const spec = part(raw, 'spec', findings);
  const status = part(raw, 'status', findings);
  const labels = decodeLabels(metadata.labels, findings);
  if (spec === undefined || status === undefined || labels === undefined) return undefined;
  const node = field(spec, 'nodeName') ?? '';
  const hostNetwork = field(spec, 'hostNetwork') ?? false;
  const phase = decodePhase(field(status, 'phase') ?? '', findings);
  if (typeof node !== 'string') wrongType(['spec', 'nodeName'], 'a text', node, ignored, findings);
  if (typeof hostNetwork !== 'boolean') {
    wrongType(['spec', 'hostNetwork'], 'true or false', hostNetwork, ignored, findings);
  }
  if (typeof node !== 'string' || typeof hostNetwork !== 'boolean' || phase === undefined) return undefined;
  const declaredPorts = decodeContainerPorts(spec, findings);
  const owner = controllerOf(metadata.ownerReferences);
  return {
    kind: 'Pod',
    key: podKey(metadata.namespace, metadata.name),
    namespace: namespaceName(metadata.namespace),
    name: metadata.name,
    uid: metadata.uid,
    labels,
    ...(node === '' ? {} : { node: nodeName(node) }),
    hostNetwork,
    phase,
    terminating: metadata.terminating,
    createdAtMs: metadata.createdAtMs,
    addresses: decodeAddresses(podAddresses(status, findings), findings),
    namedPorts: toNamedPorts(declaredPorts),
    ...(owner === undefined ? {} : { owner }),
    declaredPorts,
    source,
  };
}

function part(raw: RawObject, name: string, findings: Findings): RawObject | undefined {
  const value = field(raw, name) ?? {};
  if (isRawObject(value)) return value;
  wrongType([name], 'a map', value, ignored, findings);
  return undefined;
}

/** A pod without a phase was written by hand: it counts as running. Other texts count like Unknown (semantics 47). */
function decodePhase(raw: unknown, findings: Findings): PodPhase | undefined {
  if (raw === '') return 'Running';
  if (typeof raw !== 'string') {
    wrongType(['status', 'phase'], 'a text', raw, ignored, findings);
    return undefined;
  }
  const phase = phases.find((known) => known === raw);
  if (phase !== undefined) return phase;
  findings.warning(
    'D203',
    ['status', 'phase'],
    `unknown phase ${showText(raw)}`,
    `Phases are ${phases.join(', ')}. The pod counts as not finished.`,
  );
  return 'Unknown';
}

function podAddresses(status: RawObject, findings: Findings): RawAddress[] {
  const list = field(status, 'podIPs') ?? [];
  if (!isRawList(list)) {
    wrongType(['status', 'podIPs'], 'a list of maps with ip', list, 'The pod has no address.', findings);
    return [];
  }
  if (list.length === 0) {
    const single = field(status, 'podIP');
    return single === undefined || single === '' ? [] : [{ raw: single, path: ['status', 'podIP'] }];
  }
  const found: RawAddress[] = [];
  for (const [index, entry] of list.entries()) {
    const path = ['status', 'podIPs', index];
    if (isRawObject(entry)) found.push({ raw: field(entry, 'ip'), path: [...path, 'ip'] });
    else wrongType(path, 'a map with ip', entry, 'The address is ignored.', findings);
  }
  return found;
}

function controllerOf(raw: unknown): Endpoint['owner'] {
  if (!isRawList(raw)) return undefined;
  for (const reference of raw) {
    if (!isRawObject(reference) || field(reference, 'controller') !== true) continue;
    const kind = field(reference, 'kind');
    const name = field(reference, 'name');
    if (typeof kind === 'string' && typeof name === 'string') return { kind, name };
  }
  return undefined;
}
