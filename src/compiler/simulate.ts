import type { Expression, Statement } from 'nftables-json';

import { BugError, invariant } from '../model/assert.ts';
import { parseIp, ipToBigInt, familyOf, familyBits } from '../model/ip.ts';
import type { IpAddress } from '../model/ip.ts';
import type { DesiredChain, DesiredRule, DesiredSet, DesiredTable } from './ruleset.ts';

/** A packet as the hooks see it: after DNAT and before SNAT. Names as in nft(8). */
export interface Packet {
  readonly iifname: string;
  readonly oifname: string;
  /** Kinds of the interfaces, as `ip -d link` names them; where absent, a rule that asks cannot be simulated. */
  readonly iifkind?: string;
  readonly oifkind?: string;
  /** The bridge of the frame, in the bridge family. */
  readonly ibrname?: string;
  readonly etherSource?: string;
  /** Absent for ARP. */
  readonly saddr?: IpAddress;
  readonly daddr?: IpAddress;
  /** `arp` only in the bridge family. */
  readonly protocol: 'tcp' | 'udp' | 'sctp' | 'icmp' | 'icmpv6' | 'arp' | 'other';
  readonly sport?: number;
  readonly dport?: number;
  readonly icmpType?: string;
  /** The address that a neighbour solicitation or advertisement is about. */
  readonly neighbourTarget?: IpAddress;
  readonly hopLimit: number;
  readonly ctDirection: 'original' | 'reply';
  readonly ctState: 'new' | 'established' | 'related' | 'invalid' | 'untracked';
}

/** A rule that took part: it matched to its end, or sent the packet on. */
export interface Step {
  readonly chain: string;
  /** Index of the rule in its chain. */
  readonly index: number;
  readonly rule: DesiredRule;
}

/** What became of the packet in one base chain. */
export interface Outcome {
  readonly verdict: 'accept' | 'drop' | 'reject';
  /** Every rule that gave a verdict, in order; the last one decided, none: the chain's policy (accept). */
  readonly path: readonly Step[];
}

/**
 * Runs a packet through one base chain, exactly as the kernel does for the part of nft we emit: a missing header ends
 * the rule, a lookup that misses ends the rule or falls through its verdict map, `goto` does not return.
 * Throws BugError for an expression it does not know: it never guesses.
 */
export function simulate(table: DesiredTable, baseChain: string, packet: Packet): Outcome {
  const path: Step[] = [];
  const chain = table.chains.get(baseChain);
  invariant(chain?.base !== undefined, `no base chain ${baseChain}`);
  const verdict = new Simulation(table, packet, path).run(chain, 0);
  return { verdict: verdict === 'continue' ? 'accept' : verdict, path };
}

/** What a rule looks up in one named set or map. */
export interface Lookup {
  readonly set: string;
  /** The packet's key, fields joined by ` . `. */
  readonly key: string;
  /** The element that holds the key: the key itself, or the interval around it. Absent: the lookup misses. */
  readonly element?: string;
}

/** The lookups a rule makes for a packet, in the order of its statements; those whose header the packet lacks are left out. */
export function lookups(table: DesiredTable, rule: DesiredRule, packet: Packet): readonly Lookup[] {
  return new Simulation(table, packet, []).lookups(rule);
}

type Final = Outcome['verdict'] | 'continue';
type Scalar = string | number;

class Simulation {
  readonly #table: DesiredTable;
  readonly #packet: Packet;
  readonly #path: Step[];

  constructor(table: DesiredTable, packet: Packet, path: Step[]) {
    this.#table = table;
    this.#packet = packet;
    this.#path = path;
  }

  /** `continue`: the end of the chain was reached. */
  run(chain: DesiredChain, depth: number): Final {
    invariant(depth < 16, `jumps nested too deeply at ${chain.name}`);
    for (const [index, rule] of chain.rules.entries()) {
      const verdict = this.#rule(chain, index, rule, depth);
      if (verdict === 'return') return 'continue';
      if (verdict !== 'next') return verdict;
    }
    return 'continue';
  }

  lookups(rule: DesiredRule): readonly Lookup[] {
    return rule.statements.flatMap((statement) => {
      const [left, data] =
        'match' in statement
          ? [statement.match.left, statement.match.right]
          : 'vmap' in statement
            ? [statement.vmap.key, statement.vmap.data]
            : [];
      if (left === undefined || typeof data !== 'string' || !data.startsWith('@')) return [];
      const fields = this.#load(left);
      if (fields === undefined) return [];
      const set = data.slice(1);
      const key = fields.join(' . ');
      const element = 'match' in statement ? elementOf(this.#set(set), fields) : this.#mapKey(set, key);
      return [{ set, key, ...(element === undefined ? {} : { element }) }];
    });
  }

  #mapKey(name: string, key: string): string | undefined {
    return this.#table.maps.get(name)?.elements.has(key) === true ? key : undefined;
  }

  #rule(chain: DesiredChain, index: number, rule: DesiredRule, depth: number): Final | 'next' | 'return' {
    for (const statement of rule.statements) {
      if ('match' in statement) {
        if (!this.#matches(statement.match.op, statement.match.left, statement.match.right)) return 'next';
        continue;
      }
      if ('counter' in statement || 'limit' in statement || 'set' in statement) continue;
      const verdict = 'vmap' in statement ? this.#lookupVerdict(statement.vmap.key, statement.vmap.data) : statement;
      if (verdict === undefined) return 'next';
      this.#path.push({ chain: chain.name, index, rule });
      if ('accept' in verdict) return 'accept';
      if ('drop' in verdict) return 'drop';
      if ('reject' in verdict) return 'reject';
      if ('return' in verdict) return 'return';
      if ('goto' in verdict) return this.run(this.#chain(verdict.goto.target), depth);
      if ('jump' in verdict) {
        const result = this.run(this.#chain(verdict.jump.target), depth + 1);
        if (result !== 'continue') return result;
        this.#path.pop();
        continue;
      }
      throw new BugError(`cannot simulate ${JSON.stringify(verdict)}`);
    }
    return 'next';
  }

  #chain(name: string): DesiredChain {
    const chain = this.#table.chains.get(name);
    invariant(chain !== undefined, `no chain ${name}`);
    return chain;
  }

  #lookupVerdict(key: Expression, data: Expression): Statement | undefined {
    invariant(typeof data === 'string', 'verdict maps are named');
    const map = this.#table.maps.get(data.slice(1));
    invariant(map !== undefined, `no map ${data}`);
    const fields = this.#load(key);
    const verdict = fields === undefined ? undefined : map.elements.get(fields.join(' . '));
    if (verdict === undefined) return undefined;
    return verdict.kind === 'accept' ? { accept: null } : { goto: { target: verdict.chain } };
  }

  /** A header that is not there ends the rule whatever the operator: `!=` does not match either. */
  #matches(op: string, left: Expression, right: Expression): boolean {
    const fields = this.#load(left);
    if (fields === undefined) return false;
    invariant(op === '==' || op === '!=' || op === 'in', `cannot simulate operator ${op}`);
    const equal =
      typeof right === 'string' && right.startsWith('@')
        ? inSet(this.#set(right.slice(1)), fields)
        : fields.length === 1 && fields[0] !== undefined && equals(fields[0], right);
    return op === '!=' ? !equal : equal;
  }

  #set(name: string): DesiredSet {
    const set = this.#table.sets.get(name);
    invariant(set !== undefined, `no set ${name}`);
    return set;
  }

  /** The fields of a key, or `undefined` if the packet does not have one of them. */
  #load(expression: Expression): Scalar[] | undefined {
    if (typeof expression === 'object' && !isList(expression) && 'concat' in expression) {
      const fields = expression.concat.map((part) => this.#load(part)?.[0]);
      return fields.some((field) => field === undefined) ? undefined : (fields as Scalar[]);
    }
    const field = this.#field(expression);
    return field === undefined ? undefined : [field];
  }

  #field(expression: Expression): Scalar | undefined {
    const packet = this.#packet;
    if (typeof expression === 'object' && 'meta' in expression) {
      switch (expression.meta.key) {
        case 'iifname':
          return packet.iifname;
        case 'oifname':
          return packet.oifname;
        case 'iifkind':
        case 'oifkind': {
          const kind = packet[expression.meta.key];
          invariant(kind !== undefined, `the packet does not say its ${expression.meta.key}`);
          return kind;
        }
        case 'ibrname':
          return packet.ibrname;
        case 'l4proto':
          return packet.protocol === 'arp' ? undefined : packet.protocol;
        case 'nfproto':
          return packet.saddr === undefined ? undefined : familyOf(packet.saddr).toLowerCase();
      }
    }
    if (typeof expression === 'object' && 'ct' in expression) {
      if (packet.ctState === 'untracked') return expression.ct.key === 'state' ? 'untracked' : undefined;
      if (expression.ct.key === 'direction') return packet.ctDirection;
      if (expression.ct.key === 'state') return packet.ctState;
    }
    if (typeof expression === 'object' && 'payload' in expression && 'field' in expression.payload) {
      return this.#header(expression.payload.protocol, expression.payload.field);
    }
    throw new BugError(`cannot simulate ${JSON.stringify(expression)}`);
  }

  #header(protocol: string, field: string): Scalar | undefined {
    const { saddr, daddr, sport, dport, ...packet } = this.#packet;
    const family = saddr === undefined ? undefined : familyOf(saddr);
    switch (`${protocol} ${field}`) {
      case 'ether saddr':
        return packet.etherSource;
      case 'ether type':
        return packet.protocol === 'arp' ? 'arp' : family === 'IPv4' ? 'ip' : 'ip6';
      case 'arp saddr ip':
        return packet.protocol === 'arp' ? saddr : undefined;
      case 'ip saddr':
        return family === 'IPv4' && packet.protocol !== 'arp' ? saddr : undefined;
      case 'ip daddr':
        return family === 'IPv4' && packet.protocol !== 'arp' ? daddr : undefined;
      case 'ip6 saddr':
        return family === 'IPv6' ? saddr : undefined;
      case 'ip6 daddr':
        return family === 'IPv6' ? daddr : undefined;
      case 'ip6 hoplimit':
        return family === 'IPv6' ? packet.hopLimit : undefined;
      case 'icmpv6 type':
        return packet.protocol === 'icmpv6' ? packet.icmpType : undefined;
      case 'icmpv6 taddr':
        return packet.protocol === 'icmpv6' ? packet.neighbourTarget : undefined;
      // The checksum of an ICMP packet stands where a port would: any number, none that an element names.
      case 'th dport':
        return dport ?? -1;
      case 'tcp dport':
      case 'udp dport':
      case 'sctp dport':
        return packet.protocol === protocol ? dport : undefined;
      case 'udp sport':
        return packet.protocol === 'udp' ? sport : undefined;
    }
    throw new BugError(`cannot simulate ${protocol} ${field}`);
  }
}

function equals(value: Scalar, expected: Expression): boolean {
  if (typeof expected === 'number') return value === expected;
  if (typeof expected === 'string') {
    return expected.endsWith('*') ? String(value).startsWith(expected.slice(0, -1)) : value === expected;
  }
  if (typeof expected === 'object') {
    if (Array.isArray(expected)) return expected.some((one: Expression) => equals(value, one));
    if ('set' in expected) {
      return Array.isArray(expected.set) && expected.set.some((one) => equals(value, one as Expression));
    }
    if ('range' in expected) {
      const [from, to] = expected.range;
      invariant(typeof from === 'number' && typeof to === 'number', 'ranges are of numbers');
      return typeof value === 'number' && from <= value && value <= to;
    }
    if ('prefix' in expected) {
      invariant(typeof expected.prefix.addr === 'string', 'prefixes are of addresses');
      return inInterval(value, parseInterval(`${expected.prefix.addr}/${expected.prefix.len}`));
    }
  }
  throw new BugError(`cannot simulate ${JSON.stringify(expected)}`);
}

function inSet(set: DesiredSet, fields: readonly Scalar[]): boolean {
  if (!set.interval) return set.elements.has(fields.join(' . '));
  return boxes(set).some((box) => box.every((interval, i) => inInterval(fields[i] ?? '', interval)));
}

/** The element of a set that holds these fields. */
function elementOf(set: DesiredSet, fields: readonly Scalar[]): string | undefined {
  if (!inSet(set, fields)) return undefined;
  if (!set.interval) return fields.join(' . ');
  const index = boxes(set).findIndex((box) => box.every((interval, i) => inInterval(fields[i] ?? '', interval)));
  return [...set.elements][index];
}

type Interval = { readonly from: bigint; readonly to: bigint } | { readonly text: string };

const boxCache = new WeakMap<DesiredSet, readonly (readonly Interval[])[]>();

function boxes(set: DesiredSet): readonly (readonly Interval[])[] {
  const known = boxCache.get(set);
  if (known !== undefined) return known;
  const parsed = [...set.elements].map((element) => element.split(' . ').map(parseInterval));
  boxCache.set(set, parsed);
  return parsed;
}

const protocolNumbers = new Map([
  ['icmp', 1n],
  ['tcp', 6n],
  ['udp', 17n],
  ['icmpv6', 58n],
  ['sctp', 132n],
  ['other', 253n],
]);

function inInterval(value: Scalar, interval: Interval): boolean {
  if ('text' in interval) return value === interval.text;
  const number = toNumber(value);
  return number !== undefined && interval.from <= number && number <= interval.to;
}

function toNumber(value: Scalar): bigint | undefined {
  if (typeof value === 'number') return BigInt(value);
  if (/^\d+$/.test(value)) return BigInt(value);
  const address = parseIp(value);
  return address === undefined ? protocolNumbers.get(value) : ipToBigInt(address);
}

function parseInterval(text: string): Interval {
  const [base, length] = text.split('/');
  const address = base === undefined ? undefined : parseIp(base);
  if (length !== undefined && address !== undefined) {
    const host = BigInt(familyBits(familyOf(address)) - Number(length));
    const from = (ipToBigInt(address) >> host) << host;
    return { from, to: from | ((1n << host) - 1n) };
  }
  const dash = text.indexOf('-');
  const from = toNumber(dash < 0 ? text : text.slice(0, dash));
  const to = toNumber(dash < 0 ? text : text.slice(dash + 1));
  return from === undefined || to === undefined ? { text } : { from, to };
}

function isList(expression: Expression): expression is readonly Expression[] {
  return Array.isArray(expression);
}
