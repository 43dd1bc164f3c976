import type { Listing, TableReader } from 'nftables-json';
import { NftProcess } from 'nftables-json';
import { z } from 'zod';

import { ownVersion } from '../../agent/version.ts';
import type { ListenAddress } from '../../agent/config.ts';
import { tableName } from '../../compiler/ruleset.ts';
import type { TableFamily } from '../../compiler/ruleset.ts';
import type { StatusReport } from '../../controller/status-report.ts';
import { ListedTables, printListing } from '../../enforcer/listed-tables.ts';
import { AgentError, askAgent } from '../agent-client.ts';

/** What a node's agent says of itself. */
export interface AgentAnswer {
  readonly report?: StatusReport;
  /** Why there is none. */
  readonly problem?: string;
}

/** Everything of a node that explanations compare with. */
export interface NodeReport {
  /** The tables of nftpolicy, as they are listed. */
  readonly tables: TableReader;
  readonly agent: AgentAnswer;
}

/** How `policy installed` prints a {@link NodeReport}, for `policy explain` somewhere else. */
interface PrintedReport {
  readonly schema: typeof schemaName;
  readonly version: string;
  /** Objects as `nft -j list table` prints them. */
  readonly tables: readonly object[];
  readonly agent: AgentAnswer;
}

const schemaName = 'nftpolicy.dev/installed/v1';
const families: readonly TableFamily[] = ['inet', 'bridge'];

/** Asks the agent of this node. What it does not answer is a problem, not an error. */
export async function askStatus(address: ListenAddress, signal: AbortSignal): Promise<AgentAnswer> {
  try {
    return { report: await askAgent<StatusReport>(address, '/status', signal) };
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    return { problem: error.message };
  }
}

/** Lists the tables of this node. Throws NftError. */
export async function listTables(signal: AbortSignal): Promise<readonly Listing[]> {
  const nft = new NftProcess();
  const found: Listing[] = [];
  for (const family of families) {
    const listing = await nft.list({ family, name: tableName }, { signal });
    if (listing !== undefined) found.push(listing);
  }
  return found;
}

/** What {@link parseNodeReport} reads. */
export function printNodeReport(tables: readonly Listing[], agent: AgentAnswer): string {
  const printed: PrintedReport = {
    schema: schemaName,
    version: ownVersion(),
    tables: tables.map(printListing),
    agent,
  };
  return `${JSON.stringify(printed)}\n`;
}

const text = z.string();
const reportSchema = z.looseObject({
  schema: z.literal('nftpolicy.dev/status/v1'),
  node: text,
  state: text,
  options: z.looseObject({}),
  lastApply: z.looseObject({ ok: z.boolean(), at: text, error: text.optional() }).optional(),
  refusals: z.array(z.looseObject({ severity: text, why: text })),
  problems: z.array(z.looseObject({ message: text })),
  pods: z.array(
    z.looseObject({
      pod: text,
      interface: text,
      addresses: z.array(text),
      attachment: z.enum(['routed', 'bridged']),
    }),
  ),
});
const printedSchema = z.object({
  schema: z.literal(schemaName),
  tables: z.array(z.looseObject({})),
  agent: z.object({ report: reportSchema.optional(), problem: text.optional() }),
});

/** Reads what another node printed. `undefined` if that is no report. Throws NftError for a table nobody can read. */
export function parseNodeReport(printed: string): NodeReport | undefined {
  let value: unknown;
  try {
    value = JSON.parse(printed);
  } catch {
    return undefined;
  }
  const { data } = printedSchema.safeParse(value);
  if (data === undefined) return undefined;
  const { report, problem } = data.agent;
  return {
    tables: ListedTables.parse(data.tables.map((table) => JSON.stringify(table))),
    agent: {
      ...(report === undefined ? {} : { report: report as unknown as StatusReport }),
      ...(problem === undefined ? {} : { problem }),
    },
  };
}
