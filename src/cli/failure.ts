import { NftError } from 'nftables-json';

import { nftAdvice } from '../agent/nft-advice.ts';
import { BugError } from '../model/assert.ts';

/** The last resort: what to tell a person when a command threw. */
export function renderFailure(error: unknown, env: Readonly<Record<string, string | undefined>>): string {
  const bug = error instanceof BugError || !(error instanceof Error) || !('code' in error);
  const message = error instanceof NftError ? nftAdvice(error) : error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error && env['NFTPOLICY_DEBUG'] !== undefined ? `\n${error.stack ?? ''}` : '';
  return bug
    ? `policy: internal error: ${message}${stack}\nThis is a defect of nftpolicy; nothing was changed. NFTPOLICY_DEBUG=1 prints where it happened.\n`
    : `policy: ${message}${stack}\n`;
}
