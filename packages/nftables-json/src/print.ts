/** Canonical nft text: for people and goldens. `nft -f` can load it. */
import { elementKey, splitMember } from './element-key.ts';
import type { TableObjects } from './encode.ts';
import type { Chain, KeyType, MapEntry, NamedMap, NamedSet, Rule, SetElement, SetShape, TableRef } from './grammar.ts';
import { printSeconds, printStatement, printVerdict, quoteIfName } from './print-rule.ts';

/**
 * A table as nft text: sets, chains, maps, base chains, each sorted by name in code unit order; elements sorted by
 * their text; rules in their order. Handles are left out and equal objects give equal text, whatever order they came
 * in. Text with an unknown statement or expression says so and does not load.
 */
export function printTable(objects: TableObjects): string {
  const rules = Map.groupBy(objects.rules, (rule) => rule.chain);
  const print = (chain: Chain): string[] => printChain(chain, rules.get(chain.name) ?? []);
  const blocks = [
    ...sorted(objects.sets).map(printSet),
    ...sorted(objects.chains.filter((chain) => chain.hook === undefined)).map(print),
    ...sorted(objects.maps).map(printMap),
    ...sorted(objects.chains.filter((chain) => chain.hook !== undefined)).map(print),
  ];
  const body = blocks.map((lines) => lines.map((line) => `\t${line}\n`).join('')).join('\n');
  return `table ${objects.table.family} ${objects.table.name} {\n${body}}\n`;
}

/** Lines that make the text of {@link printTable} replace the table when it is loaded. */
export function printReplacing(table: TableRef): string {
  const name = `${table.family} ${table.name}`;
  return `add table ${name}\ndelete table ${name}\n`;
}

/** A rule as nft text, without its chain. */
export function printRule(rule: Pick<Rule, 'expr' | 'comment'>): string {
  const words = rule.expr.map(printStatement);
  if (rule.comment !== undefined) words.push(`comment "${rule.comment}"`);
  return words.join(' ');
}

function printChain(chain: Chain, rules: readonly Rule[]): string[] {
  const lines = rules.map((rule) => `\t${printRule(rule)}`);
  if (chain.hook !== undefined) {
    const dev = chain.dev === undefined ? '' : ` device "${[chain.dev].flat().join('", "')}"`;
    lines.unshift(
      `\ttype ${chain.type ?? 'filter'} hook ${chain.hook}${dev} priority ${chain.prio ?? 0}; policy ${chain.policy ?? 'accept'};`,
    );
  }
  return [`chain ${chain.name} {`, ...lines, '}'];
}

function printSet(set: NamedSet): string[] {
  return [`set ${set.name} {`, ...printShape(set, ''), ...printElements(set.elem ?? [], set.type), '}'];
}

function printMap(map: NamedMap): string[] {
  const shape = printShape(map, ` : ${printType(map.map)}`);
  return [`map ${map.name} {`, ...shape, ...printElements(map.elem ?? [], map.type, map.map), '}'];
}

function printShape(shape: SetShape, value: string): string[] {
  const lines = [`\ttype ${printType(shape.type)}${value}`];
  if (shape.policy !== undefined && shape.policy !== 'performance') lines.push(`\tpolicy ${shape.policy}`);
  if (shape.size !== undefined) lines.push(`\tsize ${shape.size}`);
  if (shape.flags !== undefined && shape.flags.length > 0) lines.push(`\tflags ${shape.flags.toSorted().join(',')}`);
  if (shape.timeout !== undefined) lines.push(`\ttimeout ${printSeconds(shape.timeout)}`);
  if (shape['gc-interval'] !== undefined) lines.push(`\tgc-interval ${printSeconds(shape['gc-interval'])}`);
  if (shape['auto-merge'] === true) lines.push('\tauto-merge');
  return lines;
}

function printType(type: KeyType): string {
  return typeof type === 'string' ? type : type.join(' . ');
}

function printElements(members: readonly (SetElement | MapEntry)[], type: KeyType, valueType?: KeyType): string[] {
  if (members.length === 0) return [];
  const texts = members.map((member) => printMember(member, type, valueType)).sort();
  const separator = texts.length > 1 && texts.join(', ').length > 100 ? ',\n\t\t\t     ' : ', ';
  return [`\telements = { ${texts.join(separator)} }`];
}

function printMember(member: SetElement | MapEntry, type: KeyType, valueType: KeyType | undefined): string {
  const { key, value } = splitMember(member);
  const text = printKey(key, type);
  if (value === undefined) return text;
  return `${text} : ${printVerdict(value) ?? printKey(value as SetElement, valueType ?? '')}`;
}

function printKey(element: SetElement, type: KeyType): string {
  if (typeof element !== 'object' || !('elem' in element)) return printValue(element, type);
  const { val, timeout, expires, comment, counter } = element.elem;
  const words = [printValue(val as SetElement, type)];
  if (counter !== undefined)
    words.push(counter === null ? 'counter' : `counter packets ${counter.packets} bytes ${counter.bytes}`);
  if (timeout !== undefined) words.push(`timeout ${printSeconds(timeout)}`);
  if (expires !== undefined) words.push(`expires ${printSeconds(expires)}`);
  if (comment !== undefined) words.push(`comment "${comment}"`);
  return words.join(' ');
}

function printValue(element: SetElement, type: KeyType): string {
  if (typeof element === 'object' && 'concat' in element)
    return element.concat
      .map((field, index) => quoteIfName(elementKey(field), typeof type === 'string' ? undefined : type[index]))
      .join(' . ');
  return quoteIfName(elementKey(element), typeof type === 'string' ? type : type[0]);
}

function sorted<T extends { readonly name: string }>(objects: readonly T[]): T[] {
  return objects.toSorted((a, b) => (a.name < b.name ? -1 : Number(a.name > b.name)));
}
