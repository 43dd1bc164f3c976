import type { Direction, PolicyPeer, PolicyRule } from '../policy.ts';
import type { FieldPath } from '../source-ref.ts';
import { onlyKnownFields, wrongType } from './fields.ts';
import type { FieldSet } from './fields.ts';
import type { Findings } from './findings.ts';
import { decodeIpBlock } from './ip-block.ts';
import { decodeLabelSelector } from './label-selector.ts';
import { decodePort } from './ports.ts';
import { field, isRawList, isRawObject, showValue } from './raw-value.ts';

const ruleEffect = 'This rule matches nothing.';
const peerEffect = 'This peer matches nothing.';

const peerFields: FieldSet = {
  place: 'a peer',
  known: ['podSelector', 'namespaceSelector', 'ipBlock'],
  elsewhere: new Map([
    ['matchLabels', 'inside podSelector or namespaceSelector'],
    ['matchExpressions', 'inside podSelector or namespaceSelector'],
    ['cidr', 'inside ipBlock'],
    ['except', 'inside ipBlock'],
    ['ports', 'beside from or to, in the rule'],
  ]),
  effect: peerEffect,
};

const ruleFields: Readonly<Record<Direction, FieldSet>> = {
  ingress: ruleFieldsOf('from', 'to', 'an ingress rule', 'an egress rule'),
  egress: ruleFieldsOf('to', 'from', 'an egress rule', 'an ingress rule'),
};

function ruleFieldsOf(peers: string, otherPeers: string, place: string, otherPlace: string): FieldSet {
  const inPeer = `in an entry of "${peers}"`;
  return {
    place,
    known: [peers, 'ports'],
    elsewhere: new Map([
      [otherPeers, `in ${otherPlace}; here it is "${peers}"`],
      ['podSelector', inPeer],
      ['namespaceSelector', inPeer],
      ['ipBlock', inPeer],
      ['protocol', 'in an entry of "ports"'],
      ['endPort', 'in an entry of "ports"'],
    ]),
    effect: ruleEffect,
  };
}

/**
 * Reads one item of `spec.ingress` or `spec.egress`. A null item is an empty rule and admits everything
 * (semantics 72, 73). A rule with an unknown field or a list of the wrong type matches nothing (semantics 88, 89).
 */
export function decodeRule(
  raw: unknown,
  direction: Direction,
  index: number,
  path: FieldPath,
  findings: Findings,
): PolicyRule {
  const rule = raw ?? {};
  if (!isRawObject(rule)) {
    wrongType(path, 'a map', raw, ruleEffect, findings);
    return invalidRule(index);
  }
  const clean = onlyKnownFields(rule, ruleFields[direction], path, findings);
  const peersName = direction === 'ingress' ? 'from' : 'to';
  const peers = decodeList(field(rule, peersName), [...path, peersName], 'a list of peers', decodePeer, findings);
  const ports = decodeList(field(rule, 'ports'), [...path, 'ports'], 'a list of port entries', decodePort, findings);
  if (!clean || peers === undefined || ports === undefined) return invalidRule(index);
  return { index, peers, ports, invalid: false };
}

/** Its lists are empty and not `any`: a reader that overlooks `invalid` still admits nothing. */
function invalidRule(index: number): PolicyRule {
  return { index, peers: [], ports: [], invalid: true };
}

/** `any` for a missing, null or empty list (semantics 15, 16); `undefined` for another type (semantics 89). */
function decodeList<T>(
  raw: unknown,
  path: FieldPath,
  needed: string,
  decodeEntry: (raw: unknown, index: number, path: FieldPath, findings: Findings) => T,
  findings: Findings,
): 'any' | readonly T[] | undefined {
  if (raw === undefined) return 'any';
  if (!isRawList(raw)) {
    wrongType(path, needed, raw, ruleEffect, findings);
    return undefined;
  }
  if (raw.length === 0) return 'any';
  return Array.from(raw, (entry, index) => decodeEntry(entry, index, [...path, index], findings));
}

/** Reads one entry of `from` or `to`; whatever is refused makes it an `invalid` peer (semantics 85). */
function decodePeer(raw: unknown, index: number, path: FieldPath, findings: Findings): PolicyPeer {
  const invalid: PolicyPeer = { kind: 'invalid', index };
  if (raw !== null && raw !== undefined && !isRawObject(raw)) {
    wrongType(path, 'a map', raw, peerEffect, findings);
    return invalid;
  }
  const peer = raw ?? {};
  const clean = onlyKnownFields(peer, peerFields, path, findings);
  const podSelector = field(peer, 'podSelector');
  const namespaceSelector = field(peer, 'namespaceSelector');
  const ipBlock = field(peer, 'ipBlock');
  const selects = podSelector !== undefined || namespaceSelector !== undefined;
  if (ipBlock !== undefined) {
    const block = decodeIpBlock(ipBlock, [...path, 'ipBlock'], findings);
    if (selects) reportBlockWithSelectors(path, findings);
    return clean && block !== undefined && !selects ? { kind: 'block', index, block } : invalid;
  }
  if (!selects) {
    if (clean) reportEmptyPeer(raw, path, findings);
    return invalid;
  }
  const decode = (name: string, value: unknown) =>
    value === undefined ? undefined : decodeLabelSelector(value, [...path, name], peerEffect, findings);
  const pods = decode('podSelector', podSelector);
  const namespaces = decode('namespaceSelector', namespaceSelector);
  const refused =
    (podSelector !== undefined && pods === undefined) || (namespaceSelector !== undefined && namespaces === undefined);
  if (!clean || refused) return invalid;
  return {
    kind: 'pods',
    index,
    ...(namespaces === undefined ? {} : { namespaceSelector: namespaces }),
    ...(pods === undefined ? {} : { podSelector: pods }),
  };
}

function reportBlockWithSelectors(path: FieldPath, findings: Findings): void {
  findings.error(
    'D111',
    path,
    'the peer has an ipBlock and a selector',
    `One peer is either a block or a selection of pods; the API server refuses the object. ${peerEffect} Make two entries of it if either may match.`,
  );
}

function reportEmptyPeer(raw: unknown, path: FieldPath, findings: Findings): void {
  findings.error(
    'D110',
    path,
    `the peer names nobody (${raw === null || raw === undefined ? showValue(raw) : 'no podSelector, namespaceSelector or ipBlock'})`,
    `The API server refuses the object. ${peerEffect} For "anyone" leave the whole list out; for all pods write namespaceSelector: {}.`,
  );
}
