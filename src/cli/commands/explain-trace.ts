import type { NodeOutcome } from '../../compiler/packet-path.ts';
import { traceFlow } from '../../enforcer/trace.ts';
import type { TraceFlow } from '../../enforcer/trace.ts';
import { tracedPath } from '../../enforcer/trace-text.ts';
import { installedPath, runInstalled } from '../../explain/installed.ts';
import type { InstalledNode } from '../../explain/installed.ts';
import type { InstalledStep, TracedPath } from '../../explain/installed-answer.ts';
import { nodeCommands } from '../../host/commands.ts';
import type { Flow } from '../../model/flow.ts';
import type { Context } from '../context.ts';

/** Follows a real packet of the flow through the kernel of this node. `undefined` if an end has no address. */
export async function followPacket(
  context: Context,
  installed: InstalledNode,
  flow: Flow,
  seconds: number,
): Promise<TracedPath | undefined> {
  const packet = toTraceFlow(flow);
  if (packet === undefined) return undefined;
  const target = packet.port === undefined ? packet.protocol : `${packet.protocol} ${packet.port}`;
  context.stderr.write(
    `tracing ${packet.from} -> ${packet.to} ${target} for up to ${seconds} s: waiting for real traffic\n`,
  );
  const { lines } = await traceFlow(packet, {
    commands: nodeCommands(),
    timeoutMs: seconds * 1000,
    bridge: installed.ruleset.has('bridge'),
    signal: context.signal,
  });
  const kernel = tracedPath(lines, 'nftpolicy') as readonly InstalledStep[];
  const run = runInstalled(installed, flow);
  const simulated = run.ok ? untilRefused(run.value).flatMap(installedPath) : [];
  const state = lines.length === 0 ? 'none' : kernel.some(({ chain }) => chain === 'prologue') ? 'established' : 'seen';
  return { state, waitedSeconds: seconds, kernel, simulated, same: samePath(kernel, simulated) };
}

/** A packet that is refused meets nothing after that. */
function untilRefused(outcomes: readonly NodeOutcome[]): readonly NodeOutcome[] {
  const refused = outcomes.findIndex(({ verdict }) => verdict !== 'accept');
  return refused < 0 ? outcomes : outcomes.slice(0, refused + 1);
}

function samePath(a: readonly InstalledStep[], b: readonly InstalledStep[]): boolean {
  return (
    a.length === b.length &&
    a.every((step, index) => step.chain === b[index]?.chain && step.handle === b[index]?.handle)
  );
}

function toTraceFlow({ from, to, family, protocol, port }: Flow): TraceFlow | undefined {
  if (from.address === undefined || to.address === undefined) return undefined;
  return { family, from: from.address, to: to.address, protocol, ...(port === undefined ? {} : { port }) };
}
