/**
 * One text per rule, equal for what we wrote and for what nft lists of it. Every step keeps the meaning of the rule,
 * so two rules with one key do the same; two keys for one meaning only cost a rewrite of the chain.
 */
import type { Statement } from 'nftables-json';

import type { DesiredRule, TableFamily } from '../compiler/ruleset.ts';
import { canonicalAddress, canonicalAddressInterval, canonicalProtocol } from './elements.ts';

type JsonObject = { readonly [key: string]: unknown };

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** JSON with sorted object keys. */
function stableJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(stableJson).join(',')}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const fields = Object.keys(value)
    .filter((key) => value[key] !== undefined)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${stableJson(value[key])}`);
  return `{${fields.join(',')}}`;
}

function isAddress(value: unknown): value is string {
  return typeof value === 'string' && /^[0-9a-f.:]+$/i.test(value) && /[.:]/.test(value);
}

function expression(value: unknown): unknown {
  if (isAddress(value)) return canonicalAddress(value);
  if (Array.isArray(value)) return value.map(expression);
  if (!isObject(value)) return value;
  const block = value['prefix'];
  if (isObject(block) && isAddress(block['addr'])) {
    const address = canonicalAddress(block['addr']);
    const full = address.includes(':') ? 128 : 32;
    return block['len'] === full ? address : { prefix: { addr: address, len: block['len'] } };
  }
  const ends = value['range'];
  if (Array.isArray(ends) && ends.length === 2) {
    const [from, to] = ends as readonly unknown[];
    if (from === to) return expression(from);
    if (isAddress(from) && isAddress(to)) {
      const text = canonicalAddressInterval(from, to);
      const [address, length] = text.split('/');
      return length === undefined ? { range: text.split('-') } : { prefix: { addr: address, len: Number(length) } };
    }
  }
  const members = value['set'];
  if (Array.isArray(members)) {
    const sorted = members.map(expression).sort((a, b) => (stableJson(a) < stableJson(b) ? -1 : 1));
    return { set: sorted };
  }
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, expression(part)]));
}

/** Fields whose match is a test of bits: there `in` and `==` differ. */
function isBitmask(left: unknown): boolean {
  if (!isObject(left)) return true;
  if (isObject(left['meta'])) return false;
  const payload = left['payload'];
  if (isObject(payload)) return payload['field'] === 'flags' || payload['field'] === undefined;
  return !Array.isArray(left['concat']);
}

function isMeta(left: unknown, key: string): boolean {
  return isObject(left) && isObject(left['meta']) && left['meta']['key'] === key;
}

function match(value: JsonObject): JsonObject {
  const left = expression(value['left']);
  let right = expression(value['right']);
  if (isObject(right) && Array.isArray(right['set']) && right['set'].length === 1 && !isBitmask(left))
    right = right['set'][0] as unknown;
  if (isMeta(left, 'l4proto')) right = protocolValue(right);
  const op = value['op'] === 'in' && !isBitmask(left) ? '==' : value['op'];
  return { match: { left, op, right } };
}

function protocolValue(value: unknown): unknown {
  if (typeof value === 'string' && value.startsWith('@')) return value;
  if (typeof value === 'string' || typeof value === 'number') return canonicalProtocol(value);
  if (isObject(value) && Array.isArray(value['set']))
    return expression({ set: value['set'].map((member: unknown) => protocolValue(member)) });
  return value;
}

function limit(value: JsonObject): JsonObject {
  const { rate_unit: unit, burst_unit: burstUnit, inv, burst, ...rest } = value;
  const packets = unit === undefined || unit === 'packets';
  return {
    limit: {
      ...rest,
      ...(packets ? { burst: burst ?? 5 } : { rate_unit: unit, burst, burst_unit: burstUnit }),
      ...(inv === true ? { inv } : {}),
    },
  };
}

function statement(value: unknown): JsonObject {
  if (!isObject(value)) return { unknown: value };
  if ('counter' in value) return { counter: null };
  if (isObject(value['match'])) return match(value['match']);
  if (isObject(value['limit'])) return limit(value['limit']);
  if (isObject(value['set']) && Array.isArray(value['set']['stmt'])) {
    const { stmt, ...rest } = value['set'];
    return { set: { ...(expression(rest) as JsonObject), stmt: (stmt as unknown[]).map(statement) } };
  }
  if ('reject' in value && value['reject'] === null) return { reject: { type: 'icmpx', expr: 'port-unreachable' } };
  return expression(value) as JsonObject;
}

const networkProtocols: ReadonlyMap<unknown, string> = new Map([
  ['ipv4', 'ip'],
  ['ipv6', 'ip6'],
  ['ip', 'ip'],
  ['ip6', 'ip6'],
  ['arp', 'arp'],
]);

/** The header this match proves, where nft adds the same test by itself before a match on that header. */
function provenHeader(value: JsonObject, family: TableFamily): string | undefined {
  const test = value['match'];
  if (!isObject(test) || test['op'] !== '==') return undefined;
  const { left, right } = test;
  const isNetwork =
    family === 'inet'
      ? isMeta(left, 'nfproto')
      : isMeta(left, 'protocol') ||
        (isObject(left) &&
          isObject(left['payload']) &&
          left['payload']['protocol'] === 'ether' &&
          left['payload']['field'] === 'type');
  if (isNetwork) return networkProtocols.get(right);
  if (!isMeta(left, 'l4proto') || typeof right !== 'string') return undefined;
  return right === 'ipv6-icmp' ? 'icmpv6' : right;
}

/** The headers a match or map lookup reads. */
function headersRead(value: unknown, into: Set<string>): void {
  if (Array.isArray(value)) for (const part of value) headersRead(part, into);
  if (!isObject(value)) return;
  const payload = value['payload'];
  if (isObject(payload) && typeof payload['protocol'] === 'string') into.add(payload['protocol']);
  else for (const part of Object.values(value)) headersRead(part, into);
}

function left(value: JsonObject): unknown {
  if (isObject(value['match'])) return value['match']['left'];
  return isObject(value['vmap']) ? value['vmap']['key'] : undefined;
}

const portProtocols: ReadonlySet<string> = new Set(['tcp', 'udp', 'udplite', 'sctp', 'dccp']);

/** `th dport` behind `meta l4proto tcp` is `tcp dport`: nft prints it so. */
function nameTransport(value: unknown, protocol: string): unknown {
  if (Array.isArray(value)) return value.map((part) => nameTransport(part, protocol));
  if (!isObject(value)) return value;
  const payload = value['payload'];
  if (isObject(payload) && payload['protocol'] === 'th') return { payload: { ...payload, protocol } };
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, nameTransport(part, protocol)]));
}

/**
 * Leaves out the tests that nft leaves out of listings: a protocol test is dropped when a later match of the same
 * unbroken run of matches reads that header, because nft adds the very test to such a match.
 */
function withoutImplied(statements: readonly JsonObject[], family: TableFamily): JsonObject[] {
  const result = [...statements];
  for (let index = 0; index < result.length; index++) {
    const proven = provenHeader(result[index] ?? {}, family);
    if (proven === undefined) continue;
    const headers = new Set<string>();
    for (let next = index + 1; next < result.length; next++) {
      const read = left(result[next] ?? {});
      if (read === undefined) break;
      if (portProtocols.has(proven)) {
        result[next] = nameTransport(result[next], proven) as JsonObject;
        headersRead(left(result[next] ?? {}), headers);
      } else headersRead(read, headers);
      if ('vmap' in (result[next] ?? {})) break;
    }
    if (headers.has(proven)) result.splice(index--, 1);
  }
  return result;
}

/** The key of a listed rule. The part behind the first line break is the rule, before it stands its comment. */
export function ruleKey(family: TableFamily, statements: readonly Statement[], comment: string | undefined): string {
  return `${comment ?? ''}\n${stableJson(withoutImplied(statements.map(statement), family))}`;
}

const desiredKeys: Readonly<Record<TableFamily, WeakMap<DesiredRule, string>>> = {
  inet: new WeakMap(),
  bridge: new WeakMap(),
};

/** The key of a desired rule; computed once per rule value. */
export function desiredRuleKey(family: TableFamily, rule: DesiredRule): string {
  let key = desiredKeys[family].get(rule);
  if (key === undefined) {
    key = ruleKey(family, rule.statements, rule.comment);
    desiredKeys[family].set(rule, key);
  }
  return key;
}

/** Names of the sets and maps that the rule of a key names. */
export function setsNamed(key: string): readonly string[] {
  return [...key.slice(key.indexOf('\n') + 1).matchAll(/"@([^"]+)"/g)].map((found) => found[1] ?? '');
}

/** Names of the chains that the rule of a key jumps or goes to. */
export function chainsNamed(key: string): readonly string[] {
  return [...key.slice(key.indexOf('\n') + 1).matchAll(/"target":"([^"]+)"/g)].map((found) => found[1] ?? '');
}
