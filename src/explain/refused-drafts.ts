import { suggest } from '../model/decode/suggest.ts';
import type { Diagnostic } from '../model/diagnostic.ts';
import type { Direction } from '../model/policy.ts';
import type { TextEdit, WrittenObject } from './cluster.ts';
import type { Draft } from './drafts.ts';
import { replaced } from './edit-text.ts';
import type { FlowContext } from './flow-context.ts';
import { isJson, scalarIn } from './flow-style.ts';
import { isOneLine } from './label-words.ts';
import type { Candidate } from './near-miss.ts';
import { problemsOf } from './near-miss-words.ts';

const operators = ['In', 'NotIn', 'Exists', 'DoesNotExist'];

/** What each kind of field may hold, likeliest first. */
const fieldsOf = (parent: string | number | undefined, direction: Direction): readonly string[] => {
  const peers = direction === 'egress' ? 'to' : 'from';
  if (parent === 'spec') return ['podSelector', 'policyTypes', 'ingress', 'egress'];
  if (parent === 'podSelector' || parent === 'namespaceSelector') return ['matchLabels', 'matchExpressions'];
  if (parent === 'ipBlock') return ['cidr', 'except'];
  return [
    peers,
    'ports',
    'podSelector',
    'namespaceSelector',
    'ipBlock',
    'protocol',
    'port',
    'endPort',
    'key',
    'operator',
    'values',
  ];
};

/** The edit that makes a refused piece valid, where it is clear what was meant. */
export function refusedDrafts(
  candidate: Candidate & { readonly kind: 'refused' },
  written: WrittenObject,
  context: FlowContext,
  direction: Direction,
): readonly Draft[] {
  const problems = problemsOf(candidate, context, direction);
  const repairs = problems.map((problem) => repair(problem, written, direction));
  const edits = repairs.flatMap((found) => (found === undefined ? [] : [found]));
  if (edits.length === 0 || edits.length < problems.length) return [];
  const help = [
    ...new Set(
      edits.map(({ meant }) => (/^\d+$/.test(meant) ? `write ${meant} without quotes` : `did you mean "${meant}"?`)),
    ),
  ].join(' ');
  return [{ code: 'E022', policy: candidate.policy, help, edits: edits.map(({ edit }) => edit) }];
}

function repair(
  { code, path = [] }: Diagnostic,
  written: WrittenObject,
  direction: Direction,
): { readonly edit: TextEdit; readonly meant: string } | undefined {
  const spans = written.locate(path);
  const last = path.at(-1);
  if (spans === undefined) return undefined;
  if (code === 'D101' && spans.key !== undefined && typeof last === 'string') {
    const parent = path.at(-2);
    const meant = suggest(last, fieldsOf(parent, direction));
    return meant === undefined
      ? undefined
      : { edit: replaced(spans.key, isJson(written) ? JSON.stringify(meant) : meant), meant };
  }
  if (!isOneLine(spans.value)) return undefined;
  const text = written.text
    .line(spans.value.start.line)
    .slice(spans.value.start.column - 1, spans.value.end.column - 1)
    .replaceAll(/^["']|["']$/g, '');
  const meant = meantValue(code, text, last);
  return meant === undefined
    ? undefined
    : { edit: replaced(spans.value, code === 'D105' ? meant : scalarIn(written, meant)), meant };
}

function meantValue(code: string, text: string, field: string | number | undefined): string | undefined {
  const fold = (known: readonly string[]): string | undefined =>
    known.find((word) => word.toLowerCase() === text.toLowerCase()) ?? suggest(text, known);
  if (code === 'D104') return fold(['TCP', 'UDP', 'SCTP']);
  if (code === 'D103') return fold(['Ingress', 'Egress']);
  if (code === 'D112' && field === 'operator') return fold(operators);
  if (code === 'D105' && /^\d+$/.test(text)) return text;
  return undefined;
}
