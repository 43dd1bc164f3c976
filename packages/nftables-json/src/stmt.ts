/** Builders of statements; each returns exactly the JSON that libnftables-json(5) describes. */
import type {
  AcceptStatement,
  ContinueStatement,
  CounterStatement,
  DropStatement,
  Expression,
  GotoStatement,
  JumpStatement,
  LimitStatement,
  LogStatement,
  MatchOperator,
  MatchStatement,
  RejectStatement,
  ReturnStatement,
  SetStatement,
  Statement,
  VmapStatement,
} from './grammar.ts';

/** Compares `left` with `right`. */
export function match(left: Expression, right: Expression, op: MatchOperator = '=='): MatchStatement {
  return { match: { op, left, right } };
}

/** Looks up the verdict of `key` in `data`, a `setRef` or an anonymous map. */
export function vmap(key: Expression, data: Expression): VmapStatement {
  return { vmap: { key, data } };
}

/** Ends the current base chain. */
export function accept(): AcceptStatement {
  return { accept: null };
}

/** Ends the packet. */
export function drop(): DropStatement {
  return { drop: null };
}

/** Goes on with the next rule. */
export function continueStatement(): ContinueStatement {
  return { continue: null };
}

/** Goes back to the calling chain. */
export function returnStatement(): ReturnStatement {
  return { return: null };
}

/** Runs the chain `target` and comes back. */
export function jump(target: string): JumpStatement {
  return { jump: { target } };
}

/** Runs the chain `target` and does not come back. */
export function goto(target: string): GotoStatement {
  return { goto: { target } };
}

/** Counts packets and bytes from zero. */
export function counter(): CounterStatement {
  return { counter: null };
}

/** Lets `rate` packets (or `rate_unit`) per period through, after a burst. */
export function limit(options: LimitStatement['limit']): LimitStatement {
  return { limit: options };
}

/** Adds an element to the set `name`, or renews it; `stmt` runs per element. */
export function updateSet(name: string, elem: Expression, stmt: readonly Statement[] = []): SetStatement {
  return setStatement('update', name, elem, stmt);
}

/** Adds an element to the set `name`; an existing element keeps its timeout. */
export function addToSet(name: string, elem: Expression, stmt: readonly Statement[] = []): SetStatement {
  return setStatement('add', name, elem, stmt);
}

function setStatement(
  op: SetStatement['set']['op'],
  name: string,
  elem: Expression,
  stmt: readonly Statement[],
): SetStatement {
  const set = `@${name}`;
  return { set: stmt.length === 0 ? { op, elem, set } : { op, elem, set, stmt } };
}

/** Logs the packet. */
export function log(options: LogStatement['log'] = null): LogStatement {
  return { log: options };
}

/** Drops the packet and tells the sender. */
export function reject(options: RejectStatement['reject'] = null): RejectStatement {
  return { reject: options };
}
