import type { FlowMap, Reach } from '../explain/matrix.ts';
import { vacantPairs } from '../explain/matrix.ts';
import type { EndClass } from '../explain/flow-ends.ts';
import { isEmptyPortList } from '../explain/port-table.ts';
import { directions } from '../model/policy.ts';
import { blockNames, portListText } from './flow-sets.ts';
import { cellWidth } from './display-width.ts';
import type { Paint } from './style.ts';

/** Which classes of a map to show, and how. */
export interface MapView {
  readonly rows: readonly number[];
  readonly columns: readonly number[];
  /** Whether a pair was asked for; of others nothing is shown. */
  readonly chosen: (from: number, to: number) => boolean;
  /** `matrix` only if asked for, or if it fits: `auto`. */
  readonly layout: 'auto' | 'matrix' | 'list';
  /** Characters per line. */
  readonly width: number;
  readonly paint: Paint;
}

/** A cell longer than this gets a letter and a line below the matrix. */
const longestCell = 14;
/** More classes than this do not read as a matrix. */
const mostColumns = 20;

/** The map for people: classes with what protects them, then who reaches whom. */
export function renderMap(map: FlowMap, view: MapView): string {
  const shown = [...new Set([...view.rows, ...view.columns])].sort((a, b) => a - b);
  const narrow = view.columns.length <= mostColumns;
  const tried = view.layout === 'matrix' || (view.layout === 'auto' && narrow);
  const matrix = tried ? renderMatrix(map, view) : undefined;
  const useMatrix =
    matrix !== undefined &&
    (view.layout === 'matrix' || matrix.split('\n').every((line) => cellWidth(line) <= view.width));
  return [
    renderClasses(map, shown, view.paint),
    useMatrix ? matrix : renderList(map, view),
    footer(map, useMatrix),
  ].join('\n');
}

function renderClasses(map: FlowMap, shown: readonly number[], paint: Paint): string {
  const rows = shown.map((index) => {
    const end = map.ends[index];
    const number = String(index + 1);
    if (end?.kind !== 'pods') return [number, end?.name ?? '', '', '', ''];
    const open = directions.filter((direction) => !map.isolated(end, direction));
    const states = (['ingress', 'egress'] as const).map((direction) =>
      open.includes(direction) ? 'open !' : 'isolated',
    );
    return [number, end.name, end.members.length === 1 ? '1 pod' : `${end.members.length} pods`, ...states];
  });
  const table = alignColumns([['', 'class', '', 'ingress', 'egress'], ...rows], [0]);
  return `${table.map((line) => line.replaceAll('open !', paint('care', 'open !'))).join('\n')}\n`;
}

function renderMatrix(map: FlowMap, { rows, columns, chosen, paint }: MapView): string {
  const notes = new Map<string, string>();
  const short = (text: string): string => {
    if (text.length <= longestCell) return text;
    const known = notes.get(text) ?? `[${letters(notes.size)}]`;
    notes.set(text, known);
    return known;
  };
  const table = rows.map((row) => [
    `${row + 1} ${map.ends[row]?.name ?? ''}${mark(map, row, 'egress')}`,
    ...columns.map((column) => (chosen(row, column) ? short(cellText(map.cell(row, column))) : '')),
  ]);
  const head = ['from \\ to', ...columns.map((column) => `${column + 1}${mark(map, column, 'ingress')}`)];
  const lines = alignColumns([head, ...table], []);
  const legend = [...notes].map(([text, letter]) => `${letter} ${text}`);
  return [paint('strong', lines[0] ?? ''), ...lines.slice(1), ...(legend.length === 0 ? [] : ['', ...legend]), ''].join(
    '\n',
  );
}

function mark(map: FlowMap, index: number, direction: 'ingress' | 'egress'): string {
  const end = map.ends[index];
  return end?.kind === 'pods' && !map.isolated(end, direction) ? '!' : '';
}

function cellText(cell: readonly Reach[] | undefined): string {
  if (cell === undefined) return '';
  return cell.length === 0 ? '-' : cell.map(reachText).join('; ');
}

/** `TCP 80,443`, with the family if it is not for both, and `?` before what nobody can know. */
export function reachText({ family, allowed, unknown }: Reach): string {
  const parts = [
    ...(isEmptyPortList(allowed) ? [] : [portListText(allowed)]),
    ...(isEmptyPortList(unknown) ? [] : [`unknown: ${portListText(unknown)}`]),
  ];
  return `${family === undefined ? '' : `${family} `}${parts.join('; ')}`;
}

function renderList(map: FlowMap, { chosen }: MapView): string {
  const vacant = vacantPairs(map.ends);
  const lines = map.blocks(chosen).map((block) => {
    const names = blockNames(block, map.ends, vacant);
    return `${names.from} -> ${names.to}: ${reachText(block.fact)}`;
  });
  return lines.length === 0 ? 'nothing passes\n' : `${lines.join('\n')}\n`;
}

function footer({ ends, silent }: FlowMap, matrix: boolean): string {
  const has = (kind: EndClass['kind']): boolean => ends.some((end) => end.kind === kind);
  const lines = [
    '!  unprotected: no policy isolates these pods in that direction',
    ...(has('nodes') ? [] : ['no nodes are known; a pod is always reached from its own node']),
    ...(silent.length === 0 ? [] : [`without an address of their own, so without flows: ${silent.join(', ')}`]),
    matrix
      ? '-  denied; blank: no such flow. A pod always reaches itself.'
      : 'What is not listed is denied. A pod always reaches itself.',
  ];
  return `${lines.join('\n')}\n`;
}

function letters(index: number): string {
  const letter = String.fromCodePoint(97 + (index % 26));
  return index < 26 ? letter : `${letter}${Math.floor(index / 26)}`;
}

function alignColumns(table: readonly (readonly string[])[], right: readonly number[]): string[] {
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => cellWidth(row[column] ?? ''))));
  return table.map((row) =>
    row
      .map((cell, column) => {
        const blanks = ' '.repeat((widths[column] ?? 0) - cellWidth(cell));
        return right.includes(column) ? blanks + cell : cell + blanks;
      })
      .join('  ')
      .trimEnd(),
  );
}
