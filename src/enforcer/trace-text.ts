/** One rule, or the end of a base chain, in the text of `nft -a monitor trace`; nft prints no JSON here. */
export interface TraceLine {
  /** Hexadecimal; the same for all lines of one packet in one family. */
  readonly id: string;
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  /** `rule`: it matched to its end; `policy`: the base chain ended without a verdict. */
  readonly kind: 'rule' | 'policy';
  readonly handle?: number;
  /** `accept`, `drop`, `continue`, `goto CHAIN`, `jump CHAIN`, `return`. */
  readonly verdict: string;
}

const head = /^trace id ([0-9a-f]+) (\S+) (\S+) (\S+) (rule|policy|verdict|packet:)(?: |$)/;

/** Reads one line; `undefined` for packet headers and anything else. */
export function parseTraceLine(text: string): TraceLine | undefined {
  const [whole = '', id = '', family = '', table = '', chain = '', kind] = head.exec(text) ?? [];
  const base = { id, family, table, chain };
  const rest = text.slice(whole.length).trim();
  if (kind === 'policy') return { ...base, kind, verdict: rest };
  if (kind !== 'rule') return undefined;
  const end = /(?:# handle (\d+) )?\(verdict ([a-z]+(?: \S+)?)\)$/.exec(rest);
  if (end === null) return undefined;
  const [, handle, verdict = ''] = end;
  return { ...base, kind, ...(handle === undefined ? {} : { handle: Number(handle) }), verdict };
}

/** A rule that decided where a packet went. */
export interface TraceStep {
  readonly family: string;
  readonly chain: string;
  readonly handle: number | null;
  readonly verdict: string;
}

/** The rules of one table's name that gave a verdict; jumps that came back without one are left out. */
export function tracedPath(lines: readonly TraceLine[], table: string): readonly TraceStep[] {
  const rules = lines.filter((line) => line.table === table && line.kind === 'rule' && line.verdict !== 'continue');
  const steps = rules.filter(({ verdict, family }, index) => {
    if (!verdict.startsWith('jump ')) return true;
    const next = rules[index + 1];
    return next?.family === family && next.chain === verdict.slice('jump '.length);
  });
  return steps.map(({ family, chain, handle, verdict }) => ({ family, chain, handle: handle ?? null, verdict }));
}
