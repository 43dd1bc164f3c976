import { accept, concat, goto, jump, match, meta, payload, prefix, range, setRef, anonymousSet } from 'nftables-json';
import type { Expression, Statement } from 'nftables-json';

import type { PodBinding } from '../model/binding.ts';
import { familyBits, familyOf, ipFamilies } from '../model/ip.ts';
import type { IpFamily } from '../model/ip.ts';
import type { Direction, IpBlock } from '../model/policy.ts';
import { directions } from '../model/policy.ts';
import { allPods } from '../selector/peer-selector.ts';
import { addressElements, blockElements } from './block-intervals.ts';
import type { EffectivePolicy, EffectiveSection, Provenance } from './effective-policy.ts';
import { mergeRules } from './merge.ts';
import type { MergedRule } from './merge.ts';
import { podChainName } from './object-names.ts';
import { isSinglePort, isWholeProtocol } from './port-set.ts';
import type { PortName, PortSet, ProtocolPorts } from './port-set.ts';
import type { DesiredChain, DesiredRule, DispatchVerdict } from './ruleset.ts';
import { intervalSpec, peersSpec, portNumbersSpec, portsSpec } from './set-spec.ts';
import type { SetPart, SetSpec } from './set-spec.ts';

/** More selector rules than this per family become one lookup of `address . protocol . port`. */
export const flattenAbove = 8;
/** More block rules than this per family become one concatenated interval lookup. */
export const intervalAbove = 16;
/** A rule with more port entries than this matches them by one lookup of `protocol . port`. */
export const portSetAbove = 8;
/** More single ports than this in one rule are not multiplied with its peers. */
const flatPortsUpTo = 32;
/** Entries `protocol . port` that one peer may bring to a flat set: beyond it peers and ports are not multiplied. */
export const flatEntriesUpTo = 1024;
/** A block with more exceptions than this is lowered to intervals even alone: each exception costs a comparison. */
const exceptionsAbove = 16;

/** Replies and neighbour discovery: what every pod chain lets pass first. */
export const prologueChain = 'prologue';
/** Chains that pod chains end in. */
export const denyChain = 'deny';
export const auditChain = 'audit';

/** One pod, ready to be put into the table. */
export interface LoweredEndpoint {
  readonly binding: PodBinding;
  /** At most one per direction; none if the pod is not isolated in it. */
  readonly chains: readonly DesiredChain[];
  /** Sets the chains refer to. */
  readonly sets: readonly SetSpec[];
  readonly verdicts: { readonly [D in Direction]: DispatchVerdict };
}

/**
 * Turns what decides one pod into its chains: the prologue, merged allow rules with the port match first, blocks as
 * plain rules, the own address (the rarest, so that others do not pay for it), and at the end `goto deny`. A family that
 * no rule names has no rule and stays denied (semantics 62).
 */
export function lowerEndpoint(policy: EffectivePolicy, binding: PodBinding): LoweredEndpoint {
  const chains: DesiredChain[] = [];
  const sets = new Map<string, SetSpec>();
  const verdicts: { [D in Direction]: DispatchVerdict } = { egress: { kind: 'accept' }, ingress: { kind: 'accept' } };
  for (const direction of directions) {
    const section = policy[direction];
    const deciding = section.isolated !== 'no' ? section.policies : section.audits;
    if (deciding.length === 0) continue;
    const name = podChainName(binding.interface, direction);
    const lowering = new SectionLowering(policy, section, binding, sets);
    chains.push({ name, rules: lowering.rules(section.isolated !== 'no' ? denyChain : auditChain) });
    verdicts[direction] = { kind: 'goto', chain: name };
  }
  return { binding, chains, sets: [...sets.values()], verdicts };
}

/**
 * The sets that the chains of a pod will refer to, before it has an interface: they can be in the kernel when it gets
 * one. A pod without an address is expected to get those of `families`.
 */
export function setsAhead(policy: EffectivePolicy, families: readonly IpFamily[]): readonly SetSpec[] {
  const { key, uid, addresses } = policy.subject;
  const binding = { pod: key, uid, addresses, interface: '', attachment: { kind: 'routed' } } as const;
  const expected = addresses.length === 0 ? families : ipFamilies;
  return lowerEndpoint(policy, binding).sets.filter(({ family }) => expected.includes(family));
}

/** The families of pods that have an interface: those to come get the same. Both, as long as there is none. */
export function familiesOf(bindings: readonly PodBinding[]): readonly IpFamily[] {
  const seen = new Set(bindings.flatMap(({ addresses }) => addresses.map(familyOf)));
  return seen.size === 0 ? ipFamilies : ipFamilies.filter((family) => seen.has(family));
}

/** One direction of one pod. */
class SectionLowering {
  readonly #direction: Direction;
  readonly #binding: PodBinding;
  readonly #families: readonly IpFamily[];
  readonly #merged: readonly MergedRule[];
  readonly #sets: Map<string, SetSpec>;

  constructor(policy: EffectivePolicy, section: EffectiveSection, binding: PodBinding, sets: Map<string, SetSpec>) {
    this.#direction = section.direction;
    this.#binding = binding;
    this.#sets = sets;
    this.#families = familiesOf([binding]);
    const deciding = section.isolated !== 'no' ? section.policies : section.audits;
    const namedPorts = section.direction === 'ingress' ? policy.subject.namedPorts : undefined;
    this.#merged = mergeRules(
      deciding.flatMap(({ rules }) => rules),
      namedPorts,
    );
  }

  rules(tail: string): readonly DesiredRule[] {
    const anyone = this.#merged.flatMap((rule) => this.#anyoneRules(rule));
    const selected = this.#families.flatMap((family) => this.#selectorRules(family));
    const blocks = this.#families.flatMap((family) => this.#blockRules(family));
    const allPorts = ({ statements }: DesiredRule): boolean => statements.length <= 2 && !hasPortMatch(statements);
    const peers = [...anyone, ...selected];
    return [
      { statements: [jump(prologueChain)], provenance: [] },
      ...peers.filter(allPorts),
      ...peers.filter((rule) => !allPorts(rule)),
      ...blocks,
      ...this.#ownAddressRules(),
      { statements: [goto(tail)], provenance: [] },
    ];
  }

  /**
   * A pod always reaches itself, also through a Service (semantics 56, 57). The interface belongs to it: on a bridge the
   * guard vouches for the source, but a packet from outside may bear any.
   */
  #ownAddressRules(): readonly DesiredRule[] {
    const key = this.#direction === 'ingress' ? 'iifname' : 'oifname';
    const { attachment } = this.#binding;
    const name = attachment.kind === 'routed' ? this.#binding.interface : attachment.bridge;
    return this.#binding.addresses.map((address) => ({
      statements: [match(meta(key), name), match(this.#peerAddress(familyOf(address)), address), accept()],
      comment: 'own address',
      provenance: [],
    }));
  }

  #anyoneRules(rule: MergedRule): readonly DesiredRule[] {
    if (rule.peers.kind !== 'any') return [];
    const plain = this.#portMatches(rule.ports).map((ports) => toRule([...ports, accept()], rule.provenance));
    const names = portNames(rule.ports);
    if (names.length === 0) return plain;
    const named = this.#families.map((family) => {
      const spec = portsSpec('named', [{ selector: allPods, numbers: [], names }], family);
      return toRule([this.#portLookup(spec), accept()], rule.provenance);
    });
    return [...plain, ...named];
  }

  #selectorRules(family: IpFamily): readonly DesiredRule[] {
    const rules = this.#merged.flatMap((rule) => {
      const selectors = rule.peers.kind === 'some' ? rule.peers.selectors : [];
      return selectors.length === 0 ? [] : [{ rule, selectors }];
    });
    const count = rules.reduce(
      (sum, { rule }) => sum + portMatches(rule.ports).matches.length + Math.sign(portNames(rule.ports).length),
      0,
    );
    const flatten = count > flattenAbove;
    let flatEntries = 0;
    const flatParts: SetPart[] = [];
    const flatProvenance: Provenance[] = [];
    const lowered: DesiredRule[] = [];
    for (const { rule, selectors } of rules) {
      const split = splitSinglePorts(rule.ports);
      const entries = split.flat.length * selectors.length;
      const fits = flatten && flatEntries + entries <= flatEntriesUpTo;
      if (fits) flatEntries += entries;
      const { flat, rest } = fits ? split : { flat: [], rest: rule.ports };
      const names = portNames(rule.ports);
      const matchesLeft = this.#portMatches(rest);
      if (matchesLeft.length > 0) {
        const spec = this.#use(peersSpec(selectors, family));
        for (const ports of matchesLeft) {
          lowered.push(
            toRule([...ports, match(this.#peerAddress(family), setRef(spec.name)), accept()], rule.provenance),
          );
        }
      }
      const parts = selectors.map((selector): SetPart => ({ selector, numbers: flat, names }));
      if (fits && (flat.length > 0 || names.length > 0)) {
        flatParts.push(...parts);
        flatProvenance.push(...rule.provenance);
      } else if (names.length > 0) {
        const spec = portsSpec('named', parts, family);
        lowered.push(toRule([this.#portLookup(spec), accept()], rule.provenance));
      }
    }
    if (flatParts.length > 0) {
      lowered.push(toRule([this.#portLookup(portsSpec('flat', flatParts, family)), accept()], flatProvenance));
    }
    return lowered;
  }

  #blockRules(family: IpFamily): readonly DesiredRule[] {
    const rules = this.#merged.flatMap((rule) => {
      const blocks = rule.peers.kind === 'some' ? rule.peers.blocks.filter(({ cidr }) => cidr.family === family) : [];
      return blocks.length === 0 ? [] : [{ rule, blocks, ports: rule.ports }];
    });
    const count = rules.reduce((sum, { blocks, ports }) => sum + blocks.length * portMatches(ports).matches.length, 0);
    const asIntervals =
      count > intervalAbove || rules.some(({ blocks }) => blocks.some(({ except }) => except.length > exceptionsAbove));
    const lowered: DesiredRule[] = [];
    const boxes = asIntervals ? blockElements(rules, family) : undefined;
    if (boxes !== undefined) {
      const provenance = rules.flatMap(({ rule }) => rule.provenance);
      const { anyPort, withPorts } = boxes;
      if (anyPort.length > 0) {
        const spec = this.#use(intervalSpec(anyPort, false, family));
        const key = concat(this.#peerAddress(family), meta('nfproto'));
        lowered.push(toRule([match(key, setRef(spec.name)), accept()], provenance));
      }
      if (withPorts.length > 0) {
        const spec = intervalSpec(withPorts, true, family);
        lowered.push(toRule([this.#portLookup(spec), accept()], provenance));
      }
    }
    for (const { rule, blocks, ports } of rules) {
      const names = portNames(ports);
      const together = asIntervals && blocks.length > intervalAbove;
      const places = together ? [this.#addressLookup(blocks)] : blocks.map((block) => this.#addressMatches(block));
      for (const place of places) {
        if (boxes === undefined) {
          for (const match of this.#portMatches(ports))
            lowered.push(toRule([...match, ...place, accept()], rule.provenance));
        }
        if (names.length > 0) {
          const spec = portsSpec('named', [{ selector: allPods, numbers: [], names }], family);
          lowered.push(toRule([...place, this.#portLookup(spec), accept()], rule.provenance));
        }
      }
    }
    return lowered;
  }

  /** A block with many exceptions is one lookup: a chain of comparisons would pass the kernel's limit. */
  #addressMatches(block: IpBlock): readonly Statement[] {
    return block.except.length > exceptionsAbove ? this.#addressLookup([block]) : this.#blockMatches(block);
  }

  /** Blocks of one family. */
  #addressLookup(blocks: readonly IpBlock[]): readonly Statement[] {
    const family = blocks[0]?.cidr.family ?? 'IPv4';
    const intervals = this.#use(intervalSpec(addressElements(blocks, family), false, family));
    return [match(concat(this.#peerAddress(family), meta('nfproto')), setRef(intervals.name))];
  }

  #blockMatches({ cidr, except }: IpBlock): readonly Statement[] {
    const address = this.#peerAddress(cidr.family);
    const inside =
      cidr.prefix === 0
        ? match(meta('nfproto'), cidr.family === 'IPv4' ? 'ipv4' : 'ipv6')
        : match(address, blockExpression(cidr.base, cidr.prefix, cidr.family));
    return [
      inside,
      ...except.map((hole) =>
        match(address, blockExpression(hole.cidr.base, hole.cidr.prefix, hole.cidr.family), '!='),
      ),
    ];
  }

  #peerAddress(family: IpFamily): Expression {
    return payload(family === 'IPv4' ? 'ip' : 'ip6', this.#direction === 'ingress' ? 'saddr' : 'daddr');
  }

  /** One list of matches per rule needed. */
  #portMatches(ports: PortSet): readonly (readonly Statement[])[] {
    const { matches, spec } = portMatches(ports);
    if (spec !== undefined) this.#use(spec);
    return matches;
  }

  #portLookup(spec: SetSpec): Statement {
    const used = this.#use(spec);
    return match(concat(this.#peerAddress(used.family), meta('l4proto'), payload('th', 'dport')), setRef(used.name));
  }

  #use(spec: SetSpec): SetSpec {
    this.#sets.set(spec.name, spec);
    return spec;
  }
}

/** How a rule matches its ports: not at all for any port, inline for a few entries, by one lookup for many. */
function portMatches(ports: PortSet): {
  readonly matches: readonly (readonly Statement[])[];
  readonly spec?: SetSpec;
} {
  if (ports.kind === 'any') return { matches: [[]] };
  const inline = ports.numbers.flatMap(protocolMatches);
  const entries = ports.numbers.reduce((sum, { intervals }) => sum + intervals.length, 0);
  if (inline.length <= portSetAbove && entries <= flatPortsUpTo) return { matches: inline };
  const spec = portNumbersSpec(ports.numbers);
  return { matches: [[match(concat(meta('l4proto'), payload('th', 'dport')), setRef(spec.name))]], spec };
}

/** Per protocol its single ports together and each range alone. */
function protocolMatches({ protocol, intervals }: ProtocolPorts): readonly (readonly Statement[])[] {
  const name = protocol.toLowerCase();
  if (intervals.some(isWholeProtocol)) return [[match(meta('l4proto'), name)]];
  const dport = payload(name, 'dport');
  const singles = intervals.filter(isSinglePort).map(({ from }) => from);
  const ranges = intervals.filter((interval) => !isSinglePort(interval));
  const [first] = singles;
  return [
    ...(first === undefined ? [] : [[match(dport, singles.length === 1 ? first : anonymousSet(singles))]]),
    ...ranges.map(({ from, to }) => [match(dport, range(from, to))]),
  ];
}

function splitSinglePorts(ports: PortSet): { readonly flat: SetPart['numbers']; readonly rest: PortSet } {
  if (ports.kind === 'any') return { flat: [], rest: ports };
  const singles = ports.numbers.reduce((sum, { intervals }) => sum + intervals.filter(isSinglePort).length, 0);
  if (singles > flatPortsUpTo) return { flat: [], rest: { ...ports, names: [] } };
  const flat = ports.numbers.flatMap(({ protocol, intervals }) =>
    intervals.filter(isSinglePort).map(({ from }) => ({ protocol, port: from })),
  );
  const numbers = ports.numbers
    .map(({ protocol, intervals }) => ({
      protocol,
      intervals: intervals.filter((interval) => !isSinglePort(interval)),
    }))
    .filter(({ intervals }) => intervals.length > 0);
  return { flat, rest: { kind: 'some', numbers, names: [] } };
}

function portNames(ports: PortSet): readonly PortName[] {
  return ports.kind === 'any' ? [] : ports.names;
}

function hasPortMatch(statements: readonly Statement[]): boolean {
  return statements.some(
    (statement) =>
      'match' in statement &&
      typeof statement.match.left === 'object' &&
      ('concat' in statement.match.left ||
        ('meta' in statement.match.left && statement.match.left.meta.key === 'l4proto') ||
        ('payload' in statement.match.left &&
          'field' in statement.match.left.payload &&
          statement.match.left.payload.field === 'dport')),
  );
}

function blockExpression(base: string, length: number, family: IpFamily): Expression {
  return length === familyBits(family) ? base : prefix(base, length);
}

function toRule(statements: readonly Statement[], provenance: readonly Provenance[]): DesiredRule {
  return { statements, comment: formatProvenance(provenance), provenance };
}

const commentBytes = 128;

/** `namespace/policy ingress[0]`, as many as fit into a rule comment, then how many more. */
export function formatProvenance(provenance: readonly Provenance[]): string {
  const texts = provenance.map(({ policy, direction, index }) => `${policy} ${direction}[${index}]`);
  let comment = '';
  for (const [i, text] of texts.entries()) {
    const next = comment === '' ? text : `${comment}, ${text}`;
    const more = texts.length - i - 1;
    const reserve = more > 0 ? ` +${more}`.length : 0;
    if (next.length + reserve > commentBytes) {
      const rest = texts.length - i;
      return comment === ''
        ? `${text.slice(0, commentBytes - ` +${rest - 1}`.length - 1)}~${rest > 1 ? ` +${rest - 1}` : ''}`
        : `${comment} +${rest}`;
    }
    comment = next;
  }
  return comment;
}
