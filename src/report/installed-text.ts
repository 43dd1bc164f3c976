import type {
  Installed,
  InstalledChain,
  InstalledFlow,
  InstalledStep,
  TracedPath,
} from '../explain/installed-answer.ts';
import type { Paint } from './style.ts';

/** How the section is printed. */
export interface InstalledStyle {
  readonly paint: Paint;
  /** Every rule on the way, not only the one that decides. */
  readonly wide: boolean;
}

/** What the kernel of a node does with the flows: one paragraph, and one more for a traced packet. */
export function renderInstalled(installed: Installed, style: InstalledStyle): readonly string[][] {
  const { paint } = style;
  const { node, state, flows, warnings, trace } = installed;
  const lines =
    state === 'absent'
      ? [`installed: ${node} has no table nftpolicy; nothing is enforced there [E071]`]
      : [`installed (inet nftpolicy on ${node})`];
  for (const flow of flows) {
    if (flows.length > 1) lines.push(`  -- ${flow.from} -> ${flow.to}  ${portText(flow)}`);
    lines.push(...flowLines(flow, style));
  }
  for (const text of warnings) lines.push(`  ${paint('care', 'warning:')} ${text}`);
  const said = flows.filter(({ differences }) => differences.length > 0).map(({ policiesSay }) => policiesSay);
  if (said.length > 0) lines.push(`policies say ${[...new Set(said)].join(', ')}`);
  return trace === undefined ? [lines] : [lines, traceLines(trace, style)];
}

function portText({ protocol, port }: InstalledFlow): string {
  return port === null ? protocol : `${protocol} ${port}`;
}

function flowLines(flow: InstalledFlow, style: InstalledStyle): readonly string[] {
  const { paint, wide } = style;
  const lines = flow.why === undefined ? [] : [`  ${flow.why}`];
  const rows = flow.chains.map(row);
  const widths = [0, 1, 2, 3, 4, 5].map((column) => Math.max(0, ...rows.map((cells) => cells[column]?.length ?? 0)));
  for (const [index, chain] of flow.chains.entries()) {
    lines.push(`  ${(rows[index] ?? []).map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd());
    for (const { set, element } of chain.lookups)
      lines.push(`      set ${set} ${element === null ? 'misses' : `has ${element}`}`);
    if (wide) lines.push(...chain.path.map((step) => `      ${stepText(step)}`));
  }
  for (const { node, text } of flow.differences) lines.push(`  ${paint('bad', `differs on ${node}:`)} ${text}`);
  return lines;
}

function row({ node, direction, chain, handle, verdict, packets, rules, more, comment }: InstalledChain): string[] {
  const names = rules.map(({ policy, rule }) => `${policy}, rule ${rule}`);
  const who = names.length > 0 ? `${names.join('; ')}${more === 0 ? '' : ` and ${more} more`}` : (comment ?? '');
  return [
    node,
    direction,
    `chain ${chain}`,
    handle === null ? '' : `handle ${handle}`,
    verdict,
    packets === null ? '' : `${packets} ${packets === 1 ? 'packet' : 'packets'}`,
    who,
  ];
}

function stepText({ family, chain, handle, verdict }: InstalledStep): string {
  return `${family === 'bridge' ? 'bridge ' : ''}${chain}${handle === null ? '' : ` handle ${handle}`} ${verdict}`;
}

/** The kernel's rules beside ours, line by line; `=` where both name the same rule. */
function traceLines(trace: TracedPath, { paint }: InstalledStyle): string[] {
  const { state, waitedSeconds, kernel, simulated, same } = trace;
  if (state === 'none') {
    return [
      `trace: no packet of this flow came within ${waitedSeconds} s`,
      '  only real traffic is followed: start a connection while the trace waits (a longer wait: --trace 30)',
    ];
  }
  const rows = Array.from({ length: Math.max(kernel.length, simulated.length) }, (_, index) => {
    const [left, right] = [kernel[index], simulated[index]];
    return [left === undefined ? '-' : stepText(left), right === undefined ? '-' : stepText(right)] as const;
  });
  const width = Math.max('kernel'.length, ...rows.map(([left]) => left.length));
  const lines = ['trace of one packet', `    ${'kernel'.padEnd(width)}  listed rules`];
  for (const [left, right] of rows) lines.push(`  ${left === right ? '=' : '!'} ${left.padEnd(width)}  ${right}`);
  if (state === 'established')
    lines.push('  the packet belonged to a connection that was allowed before: not its first');
  else if (same) lines.push('  the kernel took the path its listed rules promise');
  else
    lines.push(`  ${paint('bad', 'the kernel took another path')}: the rules changed meanwhile, or this is a defect`);
  return lines;
}
