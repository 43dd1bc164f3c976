/**
 * The kernel's own path of one packet: a helper table marks packets of exactly one flow, `nft monitor trace` reports
 * what became of the first. Real traffic only: nothing is sent.
 */
import type { Commands } from '../host/commands.ts';
import { parseTraceLine } from './trace-text.ts';
import type { TraceLine } from './trace-text.ts';

/** The packets to follow: after DNAT, before SNAT. */
export interface TraceFlow {
  readonly family: 'IPv4' | 'IPv6';
  readonly from: string;
  readonly to: string;
  readonly protocol: 'TCP' | 'UDP' | 'SCTP' | 'ICMP';
  /** Of the destination; absent for ICMP. */
  readonly port?: number;
}

/** What was seen of the first packet. */
export interface Trace {
  /** In the order of the kernel; empty if no packet came in time. */
  readonly lines: readonly TraceLine[];
  /** Milliseconds waited at most. */
  readonly waitedMs: number;
}

/** How to follow a flow. */
export interface TraceOptions {
  readonly commands: Commands;
  /** Longest wait for a packet, in milliseconds. */
  readonly timeoutMs: number;
  /** Mark frames in the bridge family too: there is a guard to pass. */
  readonly bridge: boolean;
  readonly signal: AbortSignal;
}

/** The helper tables; nothing else has this name, and `policy cleanup` removes what a killed trace leaves. */
export const traceTableName = 'nftpolicy-trace';

/** Just before our chains on the same hooks: -350 and -11. */
const bridgePriority = -351;
const forwardPriority = -12;
/** Silence after the last line of a packet that means its path is complete, in milliseconds. */
const quietMs = 300;

/** The helper tables as nft text; loading it again replaces them. */
export function traceTables(flow: TraceFlow, bridge: boolean): string {
  const ip = flow.family === 'IPv4' ? 'ip' : 'ip6';
  const echo = flow.family === 'IPv4' ? 'icmp type echo-request' : 'icmpv6 type echo-request';
  const port = flow.protocol === 'ICMP' ? echo : `${flow.protocol.toLowerCase()} dport ${flow.port ?? 0}`;
  const rule = `${ip} saddr ${flow.from} ${ip} daddr ${flow.to} ${port} meta nftrace set 1;`;
  const table = (family: string, hook: string, priority: number): string =>
    `table ${family} ${traceTableName} { };\ndelete table ${family} ${traceTableName};\n` +
    `table ${family} ${traceTableName} { chain follow { type filter hook ${hook} priority ${priority}; ${rule} }; };\n`;
  return table('inet', 'forward', forwardPriority) + (bridge ? table('bridge', 'prerouting', bridgePriority) : '');
}

/**
 * Waits for the first packet of a flow and answers its path. The helper tables are gone when this settles, whatever
 * happens. Throws HostError if nft cannot be run.
 */
export async function traceFlow(flow: TraceFlow, options: TraceOptions): Promise<Trace> {
  const { commands, timeoutMs, bridge } = options;
  const lines: TraceLine[] = [];
  const ids = new Map<string, string>();
  const enough = new AbortController();
  let quiet: NodeJS.Timeout | undefined;
  const timeout = setTimeout(() => enough.abort(), timeoutMs);
  const take = (text: string): void => {
    const line = parseTraceLine(text);
    if (line === undefined) return;
    // One packet may have one id on the bridge and another where it is routed. Only one whose marking was seen is
    // followed: of a packet that came before the monitor listened, the first rules are missing.
    if (!ids.has(line.family) && line.table === traceTableName) ids.set(line.family, line.id);
    if (ids.get(line.family) !== line.id) return;
    lines.push(line);
    clearTimeout(quiet);
    quiet = setTimeout(() => enough.abort(), quietMs);
  };
  try {
    await commands.run('nft', [traceTables(flow, bridge)]);
    await commands.follow('nft', ['-a', 'monitor', 'trace'], take, AbortSignal.any([options.signal, enough.signal]));
  } finally {
    clearTimeout(timeout);
    clearTimeout(quiet);
    await removeTraceTables(commands);
  }
  return { lines, waitedMs: timeoutMs };
}

/** Removes the helper tables, if they are there. */
export async function removeTraceTables(commands: Commands): Promise<void> {
  const text = ['inet', 'bridge']
    .map((family) => `table ${family} ${traceTableName} { };\ndelete table ${family} ${traceTableName};\n`)
    .join('');
  await commands.run('nft', [text]);
}
