/** Statements and expressions as nft text. */
import { elementKey } from './element-key.ts';
import type {
  Expression,
  LimitStatement,
  LogStatement,
  MapEntry,
  SetElement,
  SetStatement,
  Statement,
} from './grammar.ts';
import { isList, isMapEntry } from './grammar.ts';

/** Keys of `meta` that nft writes without the word. */
const bareMetaKeys: ReadonlySet<string> = new Set([
  'mark',
  'iif',
  'oif',
  'iifname',
  'oifname',
  'iiftype',
  'oiftype',
  'skuid',
  'skgid',
  'rtclassid',
  'ibrname',
  'obrname',
  'pkttype',
  'cpu',
  'iifgroup',
  'oifgroup',
  'cgroup',
  'nftrace',
  'time',
  'day',
  'hour',
]);
const nameKeys: ReadonlySet<string> = new Set(['iifname', 'oifname', 'iifkind', 'oifkind', 'ibrname', 'obrname']);
/** Flag fields: there a bare value means "any of these", and equality needs its sign. */
const flagKeys: ReadonlySet<string> = new Set(['ct state', 'ct status', 'ct label', 'tcp flags']);

/** A statement as nft text; an unknown one as `<unknown JSON>`, which nft refuses: it is never left out. */
export function printStatement(statement: Statement): string {
  if ('match' in statement) {
    const { op, left, right } = statement.match;
    const text = printExpression(left);
    const sign = op === 'in' || (op === '==' && !flagKeys.has(text)) ? '' : ` ${op}`;
    return `${text}${sign} ${printRight(right, left)}`;
  }
  if ('vmap' in statement) {
    const { key, data } = statement.vmap;
    return `${printExpression(key)} vmap ${printRight(data, key)}`;
  }
  if ('counter' in statement) return 'counter';
  if ('limit' in statement) return printLimit(statement.limit);
  if ('set' in statement) return printSetStatement(statement.set);
  if ('log' in statement) return printLog(statement.log);
  if ('reject' in statement) return printReject(statement.reject);
  return printVerdict(statement) ?? unknown(statement);
}

/** A verdict as nft text; undefined for anything else. */
export function printVerdict(value: Expression | Statement): string | undefined {
  if (typeof value !== 'object') return undefined;
  if ('accept' in value) return 'accept';
  if ('drop' in value) return 'drop';
  if ('continue' in value) return 'continue';
  if ('return' in value) return 'return';
  if ('jump' in value) return `jump ${value.jump.target}`;
  if ('goto' in value) return `goto ${value.goto.target}`;
  return undefined;
}

/** An expression as nft text; unknown ones as in {@link printStatement}. */
export function printExpression(expression: Expression): string {
  if (typeof expression !== 'object') return String(expression);
  if (isList(expression)) return expression.map(printExpression).join(',');
  if ('payload' in expression) {
    const { payload } = expression;
    return 'base' in payload
      ? `@${payload.base},${payload.offset},${payload.len}`
      : `${payload.protocol} ${payload.field}`;
  }
  if ('meta' in expression)
    return bareMetaKeys.has(expression.meta.key) ? expression.meta.key : `meta ${expression.meta.key}`;
  if ('ct' in expression) {
    const { dir, family, key } = expression.ct;
    return ['ct', dir, family, key].filter((word) => word !== undefined).join(' ');
  }
  if ('concat' in expression) return expression.concat.map(printExpression).join(' . ');
  if ('set' in expression) return printMembers(expression.set, []);
  if ('map' in expression) return `${printExpression(expression.map.key)} map ${printExpression(expression.map.data)}`;
  if ('elem' in expression) {
    const { val, timeout, comment } = expression.elem;
    const words = [printExpression(val)];
    if (timeout !== undefined) words.push(`timeout ${printSeconds(timeout)}`);
    if (comment !== undefined) words.push(`comment "${comment}"`);
    return words.join(' ');
  }
  if ('&' in expression) return expression['&'].map(printOperand).join(' & ');
  if ('|' in expression) return expression['|'].map(printOperand).join(' | ');
  return elementKey(expression) ?? printVerdict(expression) ?? unknown(expression);
}

/** Seconds as nft writes durations: `1d2h3m4s`. */
export function printSeconds(seconds: number): string {
  const parts: readonly (readonly [number, string])[] = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3_600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ];
  const text = parts.flatMap(([count, unit]) => (count === 0 ? [] : [`${count}${unit}`])).join('');
  return text === '' ? '0s' : text;
}

/** Interface names are quoted; everything else is written as it is. */
export function quoteIfName(text: string | undefined, type: string | undefined): string {
  if (text === undefined) return unknown(text);
  return type === 'ifname' ? `"${text}"` : text;
}

/** The right side of a match or lookup: quotes depend on what it is compared with. */
function printRight(right: Expression, left: Expression): string {
  const types = typesOf(left);
  if (typeof right === 'string') return right.startsWith('@') ? right : quoteIfName(right, types[0]);
  if (typeof right === 'object' && !isList(right) && 'set' in right) return printMembers(right.set, types);
  return printExpression(right);
}

/** Per field of an expression, `ifname` where its values are interface names. */
function typesOf(left: Expression): readonly (string | undefined)[] {
  if (typeof left !== 'object' || isList(left)) return [];
  if ('concat' in left) return left.concat.map((field) => typesOf(field)[0]);
  return ['meta' in left && nameKeys.has(left.meta.key) ? 'ifname' : undefined];
}

function printMembers(
  members: Expression | readonly (SetElement | MapEntry)[],
  types: readonly (string | undefined)[],
): string {
  if (!Array.isArray(members)) return printExpression(members);
  const texts = (members as readonly (SetElement | MapEntry)[]).map((member) =>
    isMapEntry(member)
      ? `${printField(member[0], types)} : ${printVerdict(member[1]) ?? printExpression(member[1])}`
      : printField(member, types),
  );
  return `{ ${texts.join(', ')} }`;
}

function printField(element: SetElement, types: readonly (string | undefined)[]): string {
  if (typeof element === 'object' && 'concat' in element)
    return element.concat.map((field, index) => quoteIfName(elementKey(field), types[index])).join(' . ');
  return quoteIfName(elementKey(element), types[0]);
}

function printOperand(operand: Expression): string {
  const text = printExpression(operand);
  return typeof operand === 'object' && ('&' in operand || '|' in operand) ? `(${text})` : text;
}

function printLimit(limit: LimitStatement['limit']): string {
  const unit = limit.rate_unit === undefined || limit.rate_unit === 'packets' ? '' : ` ${limit.rate_unit}`;
  const burst =
    limit.burst === undefined ? '' : ` burst ${limit.burst} ${limit.burst_unit ?? (unit === '' ? 'packets' : 'bytes')}`;
  return `limit rate ${limit.inv === true ? 'over ' : ''}${limit.rate}${unit}/${limit.per}${burst}`;
}

function printSetStatement({ op, elem, set, stmt = [] }: SetStatement['set']): string {
  const words = [printExpression(elem), ...stmt.map(printStatement)];
  return `${op} ${set} { ${words.join(' ')} }`;
}

function printLog(log: LogStatement['log']): string {
  const words = ['log'];
  if (log?.prefix !== undefined) words.push(`prefix "${log.prefix}"`);
  if (log?.group !== undefined) words.push(`group ${log.group}`);
  if (log?.snaplen !== undefined) words.push(`snaplen ${log.snaplen}`);
  if (log?.['queue-threshold'] !== undefined) words.push(`queue-threshold ${log['queue-threshold']}`);
  if (log?.level !== undefined) words.push(`level ${log.level}`);
  if (log?.flags !== undefined) words.push(...[log.flags].flat().map((flag) => `flags ${flag}`));
  return words.join(' ');
}

function printReject(reject: { readonly type?: string; readonly expr?: Expression } | null): string {
  if (reject?.type === undefined) return 'reject';
  if (reject.type === 'tcp reset') return 'reject with tcp reset';
  return `reject with ${reject.type}${reject.expr === undefined ? '' : ` ${printExpression(reject.expr)}`}`;
}

function unknown(value: unknown): string {
  return `<unknown ${JSON.stringify(value) ?? 'nothing'}>`;
}
