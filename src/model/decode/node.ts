import { parseCidr } from '../cidr.ts';
import type { Cidr } from '../cidr.ts';
import { nodeName } from '../names.ts';
import type { Node } from '../node.ts';
import type { FieldPath, SourceRef } from '../source-ref.ts';
import { decodeAddresses } from './addresses.ts';
import type { RawAddress } from './addresses.ts';
import { wrongType } from './fields.ts';
import type { Findings } from './findings.ts';
import type { Metadata } from './metadata.ts';
import { field, isRawList, isRawObject, showText, showType } from './raw-value.ts';
import type { RawObject } from './raw-value.ts';

const noAddresses = 'The addresses are ignored.';

/** Reads a Node: its internal and external addresses (semantics 54), its pod blocks and taints. Unreadable ones are left out. */
export function decodeNode(raw: RawObject, metadata: Metadata, source: SourceRef, findings: Findings): Node {
  const taints = decodeTaints(field(raw, 'spec'), findings);
  return {
    kind: 'Node',
    name: nodeName(metadata.name),
    uid: metadata.uid,
    addresses: decodeAddresses(nodeAddresses(field(raw, 'status'), findings), findings),
    podCidrs: decodePodCidrs(field(raw, 'spec'), findings),
    ...(taints.length > 0 && { taints }),
    source,
  };
}

function nodeAddresses(status: unknown, findings: Findings): RawAddress[] {
  if (status === undefined) return [];
  if (!isRawObject(status)) {
    wrongType(['status'], 'a map', status, noAddresses, findings);
    return [];
  }
  const path: FieldPath = ['status', 'addresses'];
  const list = field(status, 'addresses') ?? [];
  if (!isRawList(list)) {
    wrongType(path, 'a list', list, noAddresses, findings);
    return [];
  }
  const found: RawAddress[] = [];
  for (const [index, entry] of list.entries()) {
    if (!isRawObject(entry)) {
      wrongType([...path, index], 'a map with type and address', entry, 'The address is ignored.', findings);
      continue;
    }
    const type = field(entry, 'type');
    if (type !== 'InternalIP' && type !== 'ExternalIP') continue;
    found.push({ raw: field(entry, 'address'), path: [...path, index, 'address'] });
  }
  return found;
}

function decodePodCidrs(spec: unknown, findings: Findings): Cidr[] {
  if (spec === undefined) return [];
  if (!isRawObject(spec)) {
    wrongType(['spec'], 'a map', spec, 'The pod blocks are ignored.', findings);
    return [];
  }
  const list = field(spec, 'podCIDRs') ?? [];
  if (!isRawList(list)) {
    wrongType(['spec', 'podCIDRs'], 'a list', list, 'The pod blocks are ignored.', findings);
    return [];
  }
  const single = field(spec, 'podCIDR');
  const texts =
    list.length > 0 || single === undefined || single === ''
      ? Array.from(list, (raw, index) => ({ raw, path: ['spec', 'podCIDRs', index] }))
      : [{ raw: single, path: ['spec', 'podCIDR'] }];
  const blocks = new Map<string, Cidr>();
  for (const { raw, path } of texts) {
    const parsed = typeof raw === 'string' ? parseCidr(raw) : undefined;
    if (parsed !== undefined) blocks.set(parsed.cidr.text, parsed.cidr);
    else {
      const shown = typeof raw === 'string' ? showText(raw) : showType(raw);
      findings.error('D107', path, `${shown} is no block of addresses`, 'The block is ignored. Write ADDRESS/PREFIX.');
    }
  }
  return [...blocks.values()];
}

/** One without a readable key keeps its place. */
function decodeTaints(spec: unknown, findings: Findings): readonly string[] {
  const list = isRawObject(spec) ? (field(spec, 'taints') ?? []) : [];
  if (!isRawList(list)) {
    wrongType(['spec', 'taints'], 'a list', list, 'The taints are ignored.', findings);
    return [];
  }
  return Array.from(list, (taint) => {
    const key = isRawObject(taint) ? field(taint, 'key') : undefined;
    return typeof key === 'string' ? key : '';
  });
}
