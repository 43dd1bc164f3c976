import type { LabProtocol, Place, ProbeResult, Traffic } from './traffic.ts';

/** One cell of a connectivity matrix: may `from` reach this address and port? */
export interface Cell {
  readonly from: Place;
  /** Source address, where the place has several. */
  readonly source?: string;
  /** Destination address: of a pod, a Service, a node. */
  readonly to: string;
  readonly port: number;
  readonly protocol: LabProtocol | 'icmp';
  /** Opens a listener here first; left out where one exists, or behind a Service. */
  readonly at?: Place;
}

/** A cell with its answer. */
export interface Answered<C extends Cell> {
  readonly cell: C;
  /** `allow` only if the destination was reached. */
  readonly verdict: 'allow' | 'deny';
  readonly result: ProbeResult;
}

/** Bounds the sockets in use; each round costs one wait if any of its cells is denied. */
const cellsPerRound = 2000;

/** Probes all cells, in parallel, and answers in their order. */
export async function probeAll<C extends Cell>(
  traffic: Traffic,
  cells: readonly C[],
  options: { readonly waitMs?: number } = {},
): Promise<Answered<C>[]> {
  await openListeners(traffic, cells);
  const answers: Answered<C>[] = [];
  for (let start = 0; start < cells.length; start += cellsPerRound) {
    const round = cells.slice(start, start + cellsPerRound).map(async (cell): Promise<Answered<C>> => {
      const { from, source, to, port, protocol } = cell;
      const origin = source === undefined ? { from } : { from, source };
      const result = await traffic.probe({ ...origin, to, port, protocol, ...options });
      const reached = result.outcome === 'open' || result.outcome === 'answered' || result.outcome === 'arrived';
      return { cell, verdict: reached ? 'allow' : 'deny', result };
    });
    answers.push(...(await Promise.all(round)));
  }
  return answers;
}

async function openListeners(traffic: Traffic, cells: readonly Cell[]): Promise<void> {
  const opened = new Map<string, Promise<void>>();
  for (const { at, protocol, port, to } of cells) {
    if (at === undefined || protocol === 'icmp') continue;
    const key = [at.netns, protocol, port, to].join(' ');
    // Bound to the address: a UDP answer from a wildcard socket may leave with another address of the place.
    if (!opened.has(key)) opened.set(key, traffic.listen(at, protocol, port, to));
  }
  await Promise.all(opened.values());
}
