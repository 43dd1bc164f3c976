/**
 * The part of the libnftables-json(5) grammar this package speaks. Values of these types serialise to nft's JSON
 * as they are: `JSON.stringify(value)` needs no translation.
 */

/** A JSON value, as nft prints it. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json };

/** Address families of libnftables-json(5), TABLE. */
export type Family = 'ip' | 'ip6' | 'inet' | 'arp' | 'bridge' | 'netdev';

declare const unknownTag: unique symbol;

/**
 * A statement of a listing that this package does not know. The value is nft's JSON, verbatim; the tag exists in
 * the type only. It can be kept, compared and sent back, never interpreted.
 */
export interface UnknownStatement {
  readonly [unknownTag]: 'statement';
}

/** An expression of a listing that this package does not know; see {@link UnknownStatement}. */
export interface UnknownExpression {
  readonly [unknownTag]: 'expression';
}

// ---- expressions -------------------------------------------------------------------------------------------------

/** A header field by name: `{"payload":{"protocol":"tcp","field":"dport"}}`. */
export interface NamedPayload {
  readonly protocol: string;
  readonly field: string;
}

/** A header field by place: `offset` and `len` in bits from `base`. */
export interface RawPayload {
  readonly base: 'll' | 'nh' | 'th' | 'ih';
  readonly offset: number;
  readonly len: number;
}

/** {@link NamedPayload} or {@link RawPayload}. */
export interface PayloadExpression {
  readonly payload: NamedPayload | RawPayload;
}

/** Packet metadata, for example `iifname`, `l4proto`, `nfproto`. */
export interface MetaExpression {
  readonly meta: { readonly key: string };
}

/** Conntrack data, for example `state`, `direction`. */
export interface CtExpression {
  readonly ct: { readonly key: string; readonly dir?: 'original' | 'reply'; readonly family?: 'ip' | 'ip6' };
}

/** An address block: `addr/len`. */
export interface PrefixExpression {
  readonly prefix: { readonly addr: Expression; readonly len: number };
}

/** A closed interval, both ends included. */
export interface RangeExpression {
  readonly range: readonly [Expression, Expression];
}

/** An anonymous set, or an anonymous map when its members are pairs. */
export interface SetExpression {
  readonly set: Expression | readonly (SetElement | MapEntry)[];
}

/** Fields side by side, at most {@link maxConcatFields}. */
export interface ConcatExpression {
  readonly concat: readonly Expression[];
}

/** A lookup that yields data: `key map @data`. */
export interface MapExpression {
  readonly map: { readonly key: Expression; readonly data: Expression };
}

/** Packets and bytes a counter has seen. */
export interface CounterValue {
  readonly packets: number;
  readonly bytes: number;
}

/** An element with options; `timeout` and `expires` are in seconds. */
export interface ElemExpression {
  readonly elem: {
    readonly val: Expression;
    readonly timeout?: number;
    readonly expires?: number;
    readonly comment?: string;
    readonly counter?: CounterValue | null;
  };
}

/** Bitwise and. */
export interface AndExpression {
  readonly '&': readonly [Expression, Expression];
}

/** Bitwise or. */
export interface OrExpression {
  readonly '|': readonly Expression[];
}

/**
 * An immediate value, a reference to a named set or map (`"@name"`), a list of flags, or one of the objects above.
 * Ask {@link isList} before `'concat' in expression`: every array has a `concat`.
 */
export type Expression =
  | string
  | number
  | boolean
  | readonly Expression[]
  | PayloadExpression
  | MetaExpression
  | CtExpression
  | PrefixExpression
  | RangeExpression
  | SetExpression
  | ConcatExpression
  | MapExpression
  | ElemExpression
  | AndExpression
  | OrExpression
  | Verdict
  | UnknownExpression;

/** Whether an expression is a list of flags, as in `ct state established,related`. */
export function isList(expression: Expression): expression is readonly Expression[] {
  return Array.isArray(expression);
}

// ---- statements --------------------------------------------------------------------------------------------------

/** Ends the current base chain. */
export interface AcceptStatement {
  readonly accept: null;
}

/** Ends the packet. */
export interface DropStatement {
  readonly drop: null;
}

/** Goes on with the next rule. */
export interface ContinueStatement {
  readonly continue: null;
}

/** Goes back to the calling chain. */
export interface ReturnStatement {
  readonly return: null;
}

/** Runs a chain and comes back. */
export interface JumpStatement {
  readonly jump: { readonly target: string };
}

/** Runs a chain and does not come back. */
export interface GotoStatement {
  readonly goto: { readonly target: string };
}

/** What a rule, or an element of a verdict map, decides. */
export type Verdict =
  AcceptStatement | DropStatement | ContinueStatement | ReturnStatement | JumpStatement | GotoStatement;

/** Operators of a match. `in` is nft's implicit operator: lookup, or "any of these bits". */
export type MatchOperator = '==' | '!=' | '<' | '>' | '<=' | '>=' | 'in';

/** Compares `left` with `right`; the rule goes on when it holds. */
export interface MatchStatement {
  readonly match: { readonly op: MatchOperator; readonly left: Expression; readonly right: Expression };
}

/** Looks a verdict up; a miss goes on behind it. */
export interface VmapStatement {
  readonly vmap: { readonly key: Expression; readonly data: Expression };
}

/** Counts packets and bytes. `null` starts at zero. */
export interface CounterStatement {
  readonly counter: CounterValue | null;
}

/** A token bucket. `inv` turns "at most" into "more than". */
export interface LimitStatement {
  readonly limit: {
    readonly rate: number;
    readonly per: 'second' | 'minute' | 'hour' | 'day' | 'week';
    readonly rate_unit?: 'packets' | 'bytes' | 'kbytes' | 'mbytes';
    readonly burst?: number;
    readonly burst_unit?: 'bytes' | 'kbytes' | 'mbytes';
    readonly inv?: boolean;
  };
}

/** Writes an element to a set from the packet path. When the set is full the rule ends here. */
export interface SetStatement {
  readonly set: {
    readonly op: 'add' | 'update' | 'delete';
    readonly elem: Expression;
    /** `"@name"`. */
    readonly set: string;
    readonly stmt?: readonly Statement[];
  };
}

/** Logs the packet. */
export interface LogStatement {
  readonly log: {
    readonly prefix?: string;
    readonly group?: number;
    readonly snaplen?: number;
    readonly 'queue-threshold'?: number;
    readonly level?: string;
    readonly flags?: string | readonly string[];
  } | null;
}

/** Drops the packet and tells the sender. */
export interface RejectStatement {
  readonly reject: { readonly type?: string; readonly expr?: Expression } | null;
}

/** One step of a rule. */
export type Statement =
  | Verdict
  | MatchStatement
  | VmapStatement
  | CounterStatement
  | LimitStatement
  | SetStatement
  | LogStatement
  | RejectStatement
  | UnknownStatement;

// ---- objects -----------------------------------------------------------------------------------------------------

/** Names a table. */
export interface TableRef {
  readonly family: Family;
  readonly name: string;
}

/** Names a chain, set or map in a table. */
export interface ObjectRef {
  readonly family: Family;
  readonly table: string;
  readonly name: string;
}

/** A table. */
export interface Table extends TableRef {
  readonly handle?: number;
  readonly flags?: string | readonly string[];
}

/** Hooks of the packet path. */
export type Hook = 'ingress' | 'egress' | 'prerouting' | 'input' | 'forward' | 'output' | 'postrouting';

/** A chain. With `type`, `hook` and `prio` it is a base chain. */
export interface Chain extends ObjectRef {
  readonly handle?: number;
  readonly type?: 'filter' | 'nat' | 'route';
  readonly hook?: Hook;
  /** Lower runs first. */
  readonly prio?: number;
  /** What happens behind the last rule of a base chain. */
  readonly policy?: 'accept' | 'drop';
  readonly dev?: string | readonly string[];
}

/** Names a rule: the handle comes from a listing. */
export interface RuleRef {
  readonly family: Family;
  readonly table: string;
  readonly chain: string;
  readonly handle: number;
}

/** A rule. `handle` is given by the kernel; `replace` needs it, `addRule` and `insertRule` leave it out. */
export interface Rule {
  readonly family: Family;
  readonly table: string;
  readonly chain: string;
  readonly expr: readonly Statement[];
  readonly handle?: number;
  /** At most {@link maxCommentBytes} bytes. */
  readonly comment?: string;
}

/** A key type: one nft datatype name, or several of a concatenation. */
export type KeyType = string | readonly string[];

/** Flags of sets and maps. nft 1.0.6 refuses `dynamic` in JSON; declare `timeout` and a size instead. */
export type SetFlag = 'constant' | 'interval' | 'timeout' | 'dynamic';

/** A member of a set: an immediate, a prefix, a range, a concatenation, or `elem` with options. */
export type SetElement = Exclude<Expression, readonly Expression[]>;

/** A member of a map: key and value. */
export type MapEntry = readonly [SetElement, Expression];

/** What named sets and maps have in common. */
export interface SetShape extends ObjectRef {
  readonly type: KeyType;
  readonly handle?: number;
  readonly flags?: readonly SetFlag[];
  /** Default lifetime of an element in seconds. */
  readonly timeout?: number;
  /** Most elements; one more is refused with ENFILE. */
  readonly size?: number;
  readonly policy?: 'performance' | 'memory';
  readonly 'gc-interval'?: number;
  /** Ignored in JSON input by nft 1.0.6: merge intervals yourself. */
  readonly 'auto-merge'?: boolean;
}

/** A named set. */
export interface NamedSet extends SetShape {
  readonly elem?: readonly SetElement[];
}

/** A named map; `map` is the value type, `verdict` for a verdict map. */
export interface NamedMap extends SetShape {
  readonly map: KeyType;
  readonly elem?: readonly MapEntry[];
}

/** Whether a member is a key with a value, as maps have. */
export function isMapEntry(member: SetElement | MapEntry): member is MapEntry {
  return Array.isArray(member);
}

/** Elements of the set or map `name`. */
export interface Elements extends ObjectRef {
  readonly elem: readonly (SetElement | MapEntry)[];
}

/** An object under its tag. */
export type NftObject =
  | { readonly table: Table }
  | { readonly chain: Chain }
  | { readonly rule: Rule }
  | { readonly set: NamedSet }
  | { readonly map: NamedMap }
  | { readonly element: Elements };

/** What `delete` names. Elements are named by value, rules by handle. */
export type DeleteTarget =
  | { readonly table: TableRef }
  | { readonly chain: ObjectRef }
  | { readonly rule: RuleRef }
  | { readonly set: ObjectRef }
  | { readonly map: ObjectRef }
  | { readonly element: Elements };

/** What `flush` empties: rules of a table or chain, elements of a set or map. */
export type FlushTarget =
  | { readonly table: TableRef }
  | { readonly chain: ObjectRef }
  | { readonly set: ObjectRef }
  | { readonly map: ObjectRef };

/** What `list` names. */
export type ListTarget = FlushTarget;

/** A command of a transaction; libnftables-json(5), COMMAND OBJECTS. */
export type Command =
  | { readonly add: NftObject }
  | { readonly create: Exclude<NftObject, { readonly rule: Rule }> }
  | { readonly insert: { readonly rule: Rule } }
  | { readonly replace: { readonly rule: Rule } }
  | { readonly delete: DeleteTarget }
  | { readonly flush: FlushTarget };

/** Longest name in bytes. Source: NFT_NAME_MAXLEN; 256 bytes give ERANGE. */
export const maxNameBytes: number = 255;

/** Longest interface name in bytes. Source: IFNAMSIZ without its final zero. */
export const maxInterfaceNameBytes: number = 15;

/** Longest rule comment in bytes. Source: NFTNL_UDATA_COMMENT_MAXLEN. */
export const maxCommentBytes: number = 128;

/** Most fields of a concatenation. nft mistypes the sixth without a word. */
export const maxConcatFields: number = 5;
