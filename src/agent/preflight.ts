import { compareVersion, NftError, NftProcess, probeCapabilities } from 'nftables-json';
import type { Capabilities, FeatureName, ProbeTarget } from 'nftables-json';

import type { Logger } from './logger.ts';
import { nftAdvice } from './nft-advice.ts';

/** The node lacks something without which nothing can be enforced; the message says what, and what to do. */
export class PreflightError extends Error {
  override readonly name = 'PreflightError';
  readonly code: 'nft-missing' | 'nft-too-old' | 'no-permission' | 'kernel-feature-missing';

  constructor(code: PreflightError['code'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** The oldest nft whose output is known to be understood. */
const oldestNft = [1, 0, 6] as const;

const needed: readonly FeatureName[] = [
  'inet-table',
  'conntrack',
  'concatenated-sets',
  'verdict-maps',
  'recording-sets',
];

/**
 * Asks nft and the kernel for what every ruleset needs. Throws {@link PreflightError} if it is not there. An nft that
 * crashes is not refused: another program's sets can do that, for a while, the rules in the kernel stand, and only an
 * agent that runs can tell `policy status` and recover.
 */
export async function checkNft(
  logger: Logger,
  target: ProbeTarget = new NftProcess(),
): Promise<Capabilities | undefined> {
  let capabilities: Capabilities;
  try {
    capabilities = await probeCapabilities(target);
  } catch (error) {
    if (!(error instanceof NftError)) throw error;
    if (error.code === 'nft-missing') throw new PreflightError('nft-missing', nftAdvice(error), error);
    if (error.code === 'permission') throw new PreflightError('no-permission', nftAdvice(error), error);
    if (error.code === 'mixed-versions')
      logger.error({ code: error.code }, `${error.message}. Until then the rules stay as they are`);
    else logger.warn({ err: error, code: error.code }, 'nft does not answer as it should; going on');
    return undefined;
  }
  const { version, features } = capabilities;
  if (compareVersion(version, oldestNft) < 0) {
    throw new PreflightError('nft-too-old', `${version.text} is too old. Install nftables 1.0.6 or newer.`);
  }
  const missing = needed.flatMap((name) => {
    const feature = features.get(name);
    return feature === undefined || feature.available ? [] : [`${name} (${feature.error.message})`];
  });
  if (missing.length > 0) {
    throw new PreflightError(
      'kernel-feature-missing',
      `this kernel or nft cannot do what policy needs: ${missing.join(', ')}. Load the modules nf_tables and nft_ct, or use another kernel.`,
    );
  }
  return capabilities;
}
