import type { FlowDiff } from '../explain/changes.ts';
import { isEmptyDiff } from '../explain/changes.ts';
import { changeWords, isolationWords, strayLines, summary } from './diff-text.ts';
import type { ChangeWords } from './diff-text.ts';

/** More rows than this are folded away, so that a comment stays short. */
const mostRows = 10;

/** The change as a comment of a pull request: two tables, long ones folded. */
export function renderDiffMarkdown(diff: FlowDiff): string {
  if (isEmptyDiff(diff)) return '**Network policy:** no flow changes.\n';
  const changes = changeWords(diff);
  const parts = [
    `**Network policy:** ${summary(diff)}.`,
    ...table(
      'Newly allowed',
      changes.filter(({ sign }) => sign === '+'),
    ),
    ...table(
      'No longer allowed',
      changes.filter(({ sign }) => sign === '-'),
    ),
    ...list('Isolation', isolationWords(diff)),
    ...list('Only in one state', strayLines(diff)),
  ];
  return `${parts.join('\n\n')}\n`;
}

function table(title: string, changes: readonly ChangeWords[]): string[] {
  if (changes.length === 0) return [];
  const rows = changes.map(({ from, to, ports, effect, reasons }) => {
    const note = effect.includes('facts are missing') ? [effect, ...reasons] : reasons;
    return `| ${[from, to, ports, note.join('<br>')].map(escape).join(' | ')} |`;
  });
  const lines = ['| from | to | ports | why |', '|---|---|---|---|', ...rows].join('\n');
  return fold(`${title}: ${changes.length}`, lines, changes.length > mostRows);
}

function list(title: string, lines: readonly string[]): string[] {
  if (lines.length === 0) return [];
  const items = lines.map((line) => `- ${escape(line.replaceAll('  ', ' '))}`).join('\n');
  return fold(`${title}: ${lines.length}`, items, lines.length > mostRows);
}

function fold(title: string, body: string, closed: boolean): string[] {
  return [`<details${closed ? '' : ' open'}><summary>${title}</summary>\n\n${body}\n\n</details>`];
}

/** Names come from manifests: they must neither end a cell nor become markup. `<br>` is ours. */
function escape(text: string): string {
  return text
    .split('<br>')
    .map((part) => part.replaceAll(/[\\`*_{}[\]<>|~@#]/g, String.raw`\$&`))
    .join('<br>');
}
