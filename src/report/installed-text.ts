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

/** What the kernels of nodes do with the flows: one paragraph, and one more for a traced packet. */
export function renderInstalled(nodes: readonly Installed[], style: InstalledStyle): readonly string[][] {
  const { paint } = style;
  const read = nodes.filter(({ state }) => state === 'read');
  const lines = read.length === 0 ? [] : [`installed (inet nftpolicy on ${read.map(({ node }) => node).join(', ')})`];
  const all = read.flatMap(({ node, flows }) => flows.map((flow) => ({ node, flow })));
  const shown = style.wide ? all : all.filter(({ flow }) => !isLikeAnother(flow, all));
  const titles = new Set(shown.map(({ flow }) => flowText(flow, shown)));
  for (const title of titles) {
    if (titles.size > 1) lines.push(`  -- ${title}`);
    lines.push(
      ...flowLines(
        shown.filter(({ flow }) => flowText(flow, shown) === title),
        style,
      ),
    );
  }
  for (const { node, state } of nodes) {
    if (state === 'absent') lines.push(`installed: ${node} has no table nftpolicy; nothing is enforced there [E071]`);
    if (state === 'no-agent') lines.push(`installed: ${node} has no agent to ask [E071]`);
  }
  for (const { warnings } of nodes) for (const text of warnings) lines.push(`  ${paint('care', 'warning:')} ${text}`);
  const said = all.filter(({ flow }) => flow.differences.length > 0).map(({ flow }) => flow.policiesSay);
  if (said.length > 0) lines.push(`policies say ${[...new Set(said)].join(', ')}`);
  const traces = nodes.flatMap(({ trace }) => (trace === undefined ? [] : [traceLines(trace, style)]));
  return [lines, ...traces];
}

/** One flow as one node treats it. */
interface Found {
  readonly node: string;
  readonly flow: InstalledFlow;
}

/** In the other family, with nothing else to say than in the first. */
function isLikeAnother(flow: InstalledFlow, all: readonly Found[]): boolean {
  if (flow.verdict === null || flow.differences.length > 0) return false;
  const first = all.find((found) => isSameFlow(found.flow, flow))?.flow;
  return first !== undefined && first.family !== flow.family && first.verdict === flow.verdict;
}

function isSameFlow(a: InstalledFlow, b: InstalledFlow): boolean {
  return a.from === b.from && a.to === b.to && a.protocol === b.protocol && a.port === b.port;
}

/** With the family where both are shown. */
function flowText(flow: InstalledFlow, shown: readonly Found[]): string {
  const both = shown.some((found) => isSameFlow(found.flow, flow) && found.flow.family !== flow.family);
  return `${flow.from} -> ${flow.to}  ${portText(flow)}${both ? `  ${flow.family}` : ''}`;
}

function portText({ protocol, port, ports }: InstalledFlow): string {
  if (port === null) return protocol;
  if (ports === undefined) return `${protocol} ${port}`;
  return ports.startsWith(String(port)) ? `${protocol} ${ports}` : `${protocol} ${ports}, by port ${port}`;
}

/** One flow on every node that was asked; the sender's side first, as the packet goes. */
function flowLines(found: readonly Found[], style: InstalledStyle): readonly string[] {
  const { paint, wide } = style;
  const lines = found.flatMap(({ node, flow: { why } }) =>
    why === undefined ? [] : [`  ${found.length > 1 ? `${node}  ` : ''}${why}`],
  );
  const all = found.flatMap(({ flow }) => flow.chains);
  const chains = (['egress', 'ingress'] as const).flatMap((wanted) =>
    all.filter(({ direction }) => direction === wanted),
  );
  const rows = chains.map(row);
  const widths = [0, 1, 2, 3, 4, 5].map((column) => Math.max(0, ...rows.map((cells) => cells[column]?.length ?? 0)));
  for (const [index, chain] of chains.entries()) {
    lines.push(`  ${(rows[index] ?? []).map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')}`.trimEnd());
    for (const { set, element } of chain.lookups)
      lines.push(`      set ${set} ${element === null ? 'misses' : `has ${element}`}`);
    if (wide) lines.push(...chain.path.map((step) => `      ${stepText(step)}`));
  }
  for (const { node, text } of found.flatMap(({ flow }) => flow.differences))
    lines.push(`  ${paint('bad', `differs on ${node}:`)} ${text}`);
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
