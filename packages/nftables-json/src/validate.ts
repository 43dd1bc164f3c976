/** Checks of one command before nft sees it: what nft would cut short, mistype, look up in DNS or read as a reference. */
import { isIP } from 'node:net';
import type { Command, Expression, KeyType, MapEntry, NftObject, SetElement, Statement } from './grammar.ts';
import {
  isList,
  isMapEntry,
  maxCommentBytes,
  maxConcatFields,
  maxInterfaceNameBytes,
  maxNameBytes,
} from './grammar.ts';
import { entryTarget } from './references.ts';

const namePattern = /^[A-Za-z][A-Za-z0-9/\\_.-]*$/;
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const unprintable = /["\u0000-\u001f\u007f]/;
const interfaceKeys: ReadonlySet<string> = new Set(['iifname', 'oifname', 'ibrname', 'obrname']);

/** Why `name` cannot name a table, chain, set or map; undefined when it can. Source: nft(8), LEXICAL CONVENTIONS. */
export function nameProblem(name: string): string | undefined {
  if (name === '') return 'the name is empty';
  if (!namePattern.test(name)) return `the name ${JSON.stringify(name)} has a character nft does not allow`;
  if (name.length > maxNameBytes) return `the name ${JSON.stringify(name)} is longer than ${maxNameBytes} bytes`;
  return undefined;
}

/** Why `comment` cannot be a comment of a rule or element; undefined when it can. */
export function commentProblem(comment: string): string | undefined {
  if (Buffer.byteLength(comment) > maxCommentBytes) return `the comment is longer than ${maxCommentBytes} bytes`;
  if (unprintable.test(comment)) return 'the comment has a quote or a control character';
  return undefined;
}

/** Why `command` must not be sent; undefined when nothing speaks against it. Linear in its size. */
export function commandProblem(command: Command): string | undefined {
  if ('add' in command) return objectProblem(command.add);
  if ('create' in command) return createProblem(command.create) ?? objectProblem(command.create);
  if ('insert' in command) return objectProblem(command.insert);
  if ('replace' in command) return objectProblem(command.replace) ?? handleProblem(command.replace.rule.handle);
  if ('flush' in command) return refProblem(Object.values(command.flush)[0]);
  const target = command.delete;
  if ('element' in target) return objectProblem(target);
  if ('rule' in target)
    return refProblem({ table: target.rule.table, name: target.rule.chain }) ?? handleProblem(target.rule.handle);
  return refProblem(Object.values(target)[0]);
}

/** nft 1.0.6 creates the set and drops its elements without a word (observed). */
function createProblem(object: NftObject): string | undefined {
  const created = 'set' in object ? object.set : 'map' in object ? object.map : undefined;
  return created?.elem === undefined ? undefined : 'a created set or map cannot bring elements: add them behind it';
}

function refProblem(ref: { readonly table?: string; readonly name: string } | undefined): string | undefined {
  if (ref === undefined) return 'the command names nothing';
  return nameProblem(ref.name) ?? (ref.table === undefined ? undefined : nameProblem(ref.table));
}

function handleProblem(handle: number | undefined): string | undefined {
  return handle !== undefined && Number.isSafeInteger(handle) && handle > 0 ? undefined : 'the rule has no handle';
}

function objectProblem(object: NftObject): string | undefined {
  if ('table' in object) return nameProblem(object.table.name);
  if ('chain' in object) {
    const { chain } = object;
    const base = [chain.type, chain.hook, chain.prio].filter((part) => part !== undefined).length;
    if (base !== 0 && base !== 3) return 'a base chain needs type, hook and prio';
    if (base === 0 && chain.policy !== undefined) return 'only a base chain has a policy';
    return refProblem(chain);
  }
  if ('rule' in object) {
    const { rule } = object;
    return (
      refProblem({ table: rule.table, name: rule.chain }) ??
      (rule.comment === undefined ? undefined : commentProblem(rule.comment)) ??
      (rule.expr.length === 0 ? 'the rule has no statement' : firstProblem(rule.expr, statementProblem))
    );
  }
  if ('set' in object) {
    const { set } = object;
    return refProblem(set) ?? typeProblem(set.type) ?? elementsProblem(set.elem ?? [], set.type);
  }
  if ('map' in object) {
    const { map } = object;
    return refProblem(map) ?? typeProblem(map.type) ?? typeProblem(map.map) ?? entriesProblem(map.elem ?? [], map.type);
  }
  const { element } = object;
  return refProblem(element) ?? (element.elem.length === 0 ? 'no element is named' : membersProblem(element.elem));
}

function firstProblem<T>(values: readonly T[], problem: (value: T) => string | undefined): string | undefined {
  for (const value of values) {
    const found = problem(value);
    if (found !== undefined) return found;
  }
  return undefined;
}

function typeProblem(type: KeyType): string | undefined {
  const fields = typeof type === 'string' ? [type] : type;
  if (fields.length === 0 || fields.includes('')) return 'the type is empty';
  return fields.length > maxConcatFields ? `the type has more than ${maxConcatFields} fields` : undefined;
}

function elementsProblem(elements: readonly SetElement[], type: KeyType | undefined): string | undefined {
  return firstProblem(elements, (element) => keyProblem(element, type));
}

function entriesProblem(entries: readonly MapEntry[], type: KeyType | undefined): string | undefined {
  return firstProblem(entries, ([key, value]) => keyProblem(key, type) ?? valueProblem(value));
}

function membersProblem(members: readonly (SetElement | MapEntry)[]): string | undefined {
  return firstProblem(members, (member) =>
    isMapEntry(member) ? (keyProblem(member[0], undefined) ?? valueProblem(member[1])) : keyProblem(member, undefined),
  );
}

/** The value of a map entry: a verdict or data. */
function valueProblem(value: Expression): string | undefined {
  if (typeof value !== 'object' || isList(value)) return keyProblem(value, undefined);
  return targetProblem(value);
}

function targetProblem(value: Expression | Statement): string | undefined {
  const target = entryTarget(value);
  return target === undefined ? undefined : nameProblem(target);
}

/** One key of a set or map. Runs once per element: it allocates nothing for plain strings. */
function keyProblem(key: Expression, type: KeyType | undefined): string | undefined {
  if (typeof key === 'string') return textProblem(key, typeof type === 'string' ? type : type?.[0]);
  if (typeof key !== 'object' || isList(key)) return undefined;
  const object = key;
  if ('concat' in object) {
    const { concat } = object;
    if (concat.length > maxConcatFields) return `the element has more than ${maxConcatFields} fields`;
    if (typeof type === 'object' && concat.length !== type.length)
      return `the element has ${concat.length} fields, its type ${type.length}`;
    for (const [index, field] of concat.entries()) {
      const found = keyProblem(field, typeof type === 'object' ? type[index] : undefined);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if ('elem' in object)
    return (
      keyProblem(object.elem.val, type) ??
      (object.elem.comment === undefined ? undefined : commentProblem(object.elem.comment))
    );
  if ('prefix' in object) return keyProblem(object.prefix.addr, type);
  if ('range' in object) return keyProblem(object.range[0], type) ?? keyProblem(object.range[1], type);
  return undefined;
}

function textProblem(text: string, type: string | undefined): string | undefined {
  if (text.startsWith('@')) return `the element ${JSON.stringify(text)} reads as a reference`;
  if (unprintable.test(text) || text === '') return 'an element is empty or has a quote or a control character';
  if (type === 'ipv4_addr' && isIP(text) !== 4) return `${JSON.stringify(text)} is not an IPv4 address`;
  if (type === 'ipv6_addr' && isIP(text) !== 6) return `${JSON.stringify(text)} is not an IPv6 address`;
  if (type === 'ifname') return interfaceProblem(text);
  return undefined;
}

function interfaceProblem(text: string): string | undefined {
  return Buffer.byteLength(text) > maxInterfaceNameBytes
    ? `the interface name ${JSON.stringify(text)} is longer than ${maxInterfaceNameBytes} bytes`
    : undefined;
}

function statementProblem(statement: Statement): string | undefined {
  if ('match' in statement) {
    const { left, right } = statement.match;
    return expressionProblem(left) ?? expressionProblem(right) ?? comparedNameProblem(left, right);
  }
  if ('vmap' in statement) return expressionProblem(statement.vmap.key) ?? expressionProblem(statement.vmap.data);
  if ('set' in statement)
    return (
      expressionProblem(statement.set.elem) ??
      nameProblem(statement.set.set.slice(1)) ??
      firstProblem(statement.set.stmt ?? [], statementProblem)
    );
  if ('log' in statement && statement.log?.prefix !== undefined && unprintable.test(statement.log.prefix))
    return 'the log prefix has a quote or a control character';
  return targetProblem(statement);
}

/** An interface name compared in a rule; `veth*` counts without its star. */
function comparedNameProblem(left: Expression, right: Expression): string | undefined {
  if (typeof left !== 'object' || !('meta' in left) || !interfaceKeys.has(left.meta.key)) return undefined;
  if (typeof right === 'string' && !right.startsWith('@')) return interfaceProblem(right.replace(/\*$/, ''));
  return undefined;
}

function expressionProblem(expression: Expression): string | undefined {
  if (typeof expression === 'string') return expression.startsWith('@') ? nameProblem(expression.slice(1)) : undefined;
  if (typeof expression !== 'object' || isList(expression)) return undefined;
  const object = expression;
  if ('concat' in object)
    return object.concat.length > maxConcatFields
      ? `a concatenation has more than ${maxConcatFields} fields`
      : firstProblem(object.concat, expressionProblem);
  if ('set' in object)
    return Array.isArray(object.set) ? membersProblem(object.set as readonly SetElement[]) : undefined;
  if ('map' in object) return expressionProblem(object.map.key) ?? expressionProblem(object.map.data);
  if ('elem' in object) return expressionProblem(object.elem.val);
  return undefined;
}
