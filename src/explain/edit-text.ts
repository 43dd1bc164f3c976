import type { Span } from '../model/diagnostic.ts';
import { namespaceNameLabel } from '../model/namespace.ts';
import type { FlowEnd, FlowProtocol } from '../model/flow.ts';
import { hostCidr } from '../model/cidr.ts';
import type { Labels } from '../model/labels.ts';
import type { Direction } from '../model/policy.ts';
import type { FieldPath } from '../model/source-ref.ts';
import type { TextEdit, WrittenObject, WrittenText } from './cluster.ts';
import type { EndRef, Suggestion } from './explanation.ts';
import { flowIn, inBraces, isJson, yamlScalar } from './flow-style.ts';

/** Labels that controllers write: they change with every rollout, so no policy should name them. */
const generatedLabels = new Set([
  'pod-template-hash',
  'controller-revision-hash',
  'pod-template-generation',
  'statefulset.kubernetes.io/pod-name',
  'apps.kubernetes.io/pod-index',
  'batch.kubernetes.io/job-completion-index',
  'batch.kubernetes.io/controller-uid',
  'batch.kubernetes.io/job-name',
  'controller-uid',
  'job-name',
]);

/** Labels people select by, most telling first. */
const tellingLabels = ['app.kubernetes.io/name', 'app.kubernetes.io/component', 'app', 'k8s-app', 'component'];

/** `{matchLabels: {app: web}}` for the labels that mean this pod and its likes. */
export function podSelectorText(labels: Labels): string {
  const stable = [...labels].filter(([key]) => !generatedLabels.has(key));
  const telling = stable.filter(([key]) => tellingLabels.includes(key));
  const chosen = telling.length > 0 ? telling : stable;
  if (chosen.length === 0) return '{}';
  return `{matchLabels: {${chosen.map(([key, value]) => `${yamlScalar(key)}: ${yamlScalar(value)}`).join(', ')}}}`;
}

/** A peer that means the end, as the lines of a list entry without their indentation. */
export function peerLines(end: FlowEnd, ref: EndRef, policyNamespace: string): readonly string[] | undefined {
  if (ref.kind === 'Block') return ref.cidr.includes('/') ? [`- ipBlock: {cidr: ${yamlScalar(ref.cidr)}}`] : undefined;
  if (end.kind !== 'pod') {
    return end.address === undefined ? undefined : [`- ipBlock: {cidr: ${yamlScalar(hostCidr(end.address).text)}}`];
  }
  const pods = podSelectorText(end.pod.labels);
  if (end.pod.namespace === policyNamespace) return [`- podSelector: ${pods}`];
  const scope = `- namespaceSelector: {matchLabels: {${namespaceNameLabel}: ${yamlScalar(end.pod.namespace)}}}`;
  return pods === '{}' ? [scope] : [scope, `  podSelector: ${pods}`];
}

/** A port entry, as a line of a list; up to `last`, if more than one port is meant. */
export function portLine(protocol: FlowProtocol, port: number, last: number = port): string {
  if (port === 1 && last === 65535) return `- {protocol: ${protocol}}`;
  return `- {protocol: ${protocol}, port: ${port}${last > port ? `, endPort: ${last}` : ''}}`;
}

/** Replaces a span. */
export function replaced(span: Span, newText: string): TextEdit {
  return { span, newText };
}

/** Puts lines after a line; behind its last character where the text ends without a line break. */
export function insertedAfter(text: WrittenText, line: number, lines: readonly string[]): TextEdit {
  return text.lineStarts.length > line
    ? insertedAt(text.file, { line: line + 1, column: 1 }, `${lines.join('\n')}\n`)
    : insertedAt(text.file, { line, column: text.line(line).length + 1 }, `\n${lines.join('\n')}`);
}

/** The last line of a block that holds more than blanks and comments. */
function lastLine(written: WrittenObject, span: Span): number {
  let line = span.end.column === 1 && span.end.line > span.start.line ? span.end.line - 1 : span.end.line;
  while (line > span.start.line && /^\s*(?:#.*)?$/.test(written.text.line(line))) line -= 1;
  return line;
}

/** Adds an entry to a list, in the list's own style; `undefined` if the list is not written in a style we can add to. */
export function appended(written: WrittenObject, list: FieldPath, entry: readonly string[]): TextEdit | undefined {
  const spans = written.locate(list);
  const first = written.locate([...list, 0]);
  if (spans === undefined || first === undefined) return undefined;
  const { start } = first.value;
  const before = written.text.line(start.line).slice(0, start.column - 1);
  const dash = /^((?:\s*|.*:\s+|\s*(?:-\s+)*))-\s+$/.exec(before);
  if (dash?.[1] !== undefined && /^[\s-]*$/.test(dash[1])) {
    const indent = ' '.repeat(dash[1].length);
    return insertedAfter(
      written.text,
      lastLine(written, spans.value),
      entry.map((line) => indent + line),
    );
  }
  const lastText = written.text.line(spans.value.end.line).slice(0, spans.value.end.column - 1);
  if (!lastText.endsWith(']')) return undefined;
  let last = first;
  for (let index = 1, next; (next = written.locate([...list, index])) !== undefined; index++) last = next;
  return insertedAt(written.text.file, last.value.end, `, ${flowIn(written, inBraces(entry))}`);
}

function insertedAt(file: string, at: Span['start'], newText: string): TextEdit {
  return { span: { file, start: at, end: at }, newText };
}

/** Adds a rule to a section, or the section with the rule to the spec. */
export function addedRule(
  written: WrittenObject,
  direction: Direction,
  peer: readonly string[],
  ports: readonly string[],
): TextEdit | undefined {
  const word = direction === 'egress' ? 'to' : 'from';
  const rule = [
    `- ${word}:`,
    ...peer.map((line) => `    ${line}`),
    ...(ports.length === 0 ? [] : ['  ports:', ...ports.map((line) => `    ${line}`)]),
  ];
  const portsText = ports.length === 0 ? '' : `, ports: [${ports.map((line) => inBraces([line])).join(', ')}]`;
  const flowRule = `{${word}: [${inBraces(peer)}]${portsText}}`;
  const section = written.locate(['spec', direction]);
  if (section !== undefined && written.locate(['spec', direction, 0]) !== undefined) {
    const entry = isBlockList(written, ['spec', direction]) ? rule : [`- ${flowRule}`];
    return appended(written, ['spec', direction], entry);
  }
  const anchor = written.locate(['spec', 'podSelector']) ?? written.locate(['spec', 'policyTypes']);
  if (anchor?.key === undefined) return undefined;
  const head = written.text.line(anchor.key.start.line).slice(0, anchor.key.start.column - 1);
  if (head.trim() !== '' || isJson(written)) {
    const text = flowIn(written, `${direction}: [${flowRule}]`);
    return section?.key === undefined
      ? insertedAt(written.text.file, anchor.pair.end, `, ${text}`)
      : replaced(section.pair, text);
  }
  const lines = [`${head}${direction}:`, ...rule.map((line) => `${head}  ${line}`)];
  if (section?.key !== undefined) {
    if (section.pair.start.line !== section.pair.end.line) return undefined;
    return replaced(section.pair, lines.join('\n').slice(head.length));
  }
  const spec = written.locate(['spec']);
  return spec === undefined ? undefined : insertedAfter(written.text, lastLine(written, spec.value), lines);
}

function isBlockList(written: WrittenObject, list: FieldPath): boolean {
  const first = written.locate([...list, 0]);
  if (first === undefined) return false;
  return /^[\s-]*-\s+$/.test(written.text.line(first.value.start.line).slice(0, first.value.start.column - 1));
}

/** The lines that an edit puts between lines, if it does no more. */
function newLines({
  span,
  newText,
}: TextEdit): { readonly from: number; readonly lines: readonly string[] } | undefined {
  const { line, column } = span.start;
  if (span.end.line !== line || span.end.column !== column) return undefined;
  if (newText.startsWith('\n')) return { from: line + 1, lines: newText.slice(1).split('\n') };
  return column === 1 && newText.endsWith('\n') ? { from: line, lines: newText.slice(0, -1).split('\n') } : undefined;
}

/** An edit as lines before and after. */
export function diffOf(written: WrittenObject, edits: readonly TextEdit[]): Suggestion['diff'] {
  const sorted = [...edits].sort(
    (a, b) => a.span.start.line - b.span.start.line || b.span.start.column - a.span.start.column,
  );
  const diff: { number: number; sign: '+' | '-'; text: string }[] = [];
  for (let index = 0; index < sorted.length;) {
    const { line } = sorted[index]?.span.start ?? { line: 0 };
    const group = sorted.filter(({ span }) => span.start.line === line);
    index += group.length;
    const [only] = group;
    const added = group.length === 1 && only !== undefined ? newLines(only) : undefined;
    if (added !== undefined) {
      for (const [offset, text] of added.lines.entries()) diff.push({ number: added.from + offset, sign: '+', text });
      continue;
    }
    let after = written.text.line(line);
    diff.push({ number: line, sign: '-', text: after });
    for (const { span, newText } of group) {
      const tail = span.end.line === line ? after.slice(span.end.column - 1) : '';
      after = after.slice(0, span.start.column - 1) + newText + tail;
    }
    for (const [offset, text] of after.split('\n').entries()) diff.push({ number: line + offset, sign: '+', text });
  }
  return diff;
}
