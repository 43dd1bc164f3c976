/** Builders of expressions; each returns exactly the JSON that libnftables-json(5) describes. */
import type {
  AndExpression,
  ConcatExpression,
  CounterValue,
  CtExpression,
  ElemExpression,
  Expression,
  MapEntry,
  MetaExpression,
  OrExpression,
  PayloadExpression,
  PrefixExpression,
  RangeExpression,
  RawPayload,
  SetElement,
  SetExpression,
} from './grammar.ts';

/** A header field by name: `payload('ip', 'saddr')`. */
export function payload(protocol: string, field: string): PayloadExpression {
  return { payload: { protocol, field } };
}

/** A header field by place, in bits: `rawPayload('nh', 96, 32)` is the IPv4 source. */
export function rawPayload(base: RawPayload['base'], offset: number, len: number): PayloadExpression {
  return { payload: { base, offset, len } };
}

/** Packet metadata: `meta('iifname')`. */
export function meta(key: string): MetaExpression {
  return { meta: { key } };
}

/** Conntrack data: `ct('state')`. nft 1.0.6 cannot read its own form with `dir` for protocol ports. */
export function ct(key: string, dir?: 'original' | 'reply'): CtExpression {
  return { ct: dir === undefined ? { key } : { key, dir } };
}

/** The block `addr/len`. */
export function prefix(addr: string, len: number): PrefixExpression {
  return { prefix: { addr, len } };
}

/** Everything from `from` to `to`, both included. */
export function range(from: Expression, to: Expression): RangeExpression {
  return { range: [from, to] };
}

/** Fields side by side. */
export function concat(...fields: readonly Expression[]): ConcatExpression {
  return { concat: fields };
}

/** The named set or map `name`. */
export function setRef(name: string): string {
  return `@${name}`;
}

/** An anonymous set or, with pairs as members, an anonymous map. */
export function anonymousSet(members: readonly (SetElement | MapEntry)[]): SetExpression {
  return { set: members };
}

/** Options of {@link elem}; `timeout` in seconds. */
export interface ElemOptions {
  readonly timeout?: number;
  readonly expires?: number;
  readonly comment?: string;
  readonly counter?: CounterValue | null;
}

/** An element with options. */
export function elem(val: Expression, options: ElemOptions = {}): ElemExpression {
  return { elem: { val, ...options } };
}

/** `left & right`. */
export function and(left: Expression, right: Expression): AndExpression {
  return { '&': [left, right] };
}

/** `a | b | ...`. */
export function or(...operands: readonly Expression[]): OrExpression {
  return { '|': operands };
}
