/** What can go wrong at the border to the kernel, as one error class with a stable code. */

/**
 * Why an executor failed.
 * - `not-found`: a table, chain, set, element or rule that the transaction names does not exist (ENOENT).
 * - `exists`: `create` of something that is there, or an object that contradicts the existing one (EEXIST).
 * - `busy`: still referenced (EBUSY).
 * - `invalid`: the transaction is wrong in itself; also refused before nft runs.
 * - `full`: a set reached its size (ENFILE).
 * - `permission`: no CAP_NET_ADMIN.
 * - `unsupported`: this kernel or nft lacks the feature.
 * - `timeout`: nft was killed after its time limit; whether the kernel applied the transaction is not known.
 * - `nft-missing`: the program cannot be started.
 * - `system`: the machine could not run nft this time: no processes, memory, file descriptors, or space for the commands.
 *   Nothing reached the kernel.
 * - `crashed`: nft died by a signal; whether the kernel applied the transaction is not known.
 * - `mixed-versions`: nft died of sets that a newer nft wrote into this network namespace; a newer one is needed here.
 * - `table-unreadable`: nft answered a listing that cannot be decoded.
 * - `unknown`: anything else; read `stderr`.
 */
export type NftErrorCode =
  | 'not-found'
  | 'exists'
  | 'busy'
  | 'invalid'
  | 'full'
  | 'permission'
  | 'unsupported'
  | 'timeout'
  | 'nft-missing'
  | 'system'
  | 'crashed'
  | 'mixed-versions'
  | 'table-unreadable'
  | 'unknown';

/** Facts of an {@link NftError}. */
export interface NftErrorFacts {
  readonly code: NftErrorCode;
  /** The command at fault, from 0. nft's JSON errors carry none: known for refused transactions and the fake only. */
  readonly commandIndex?: number | undefined;
  readonly stderr?: string;
  readonly cause?: unknown;
}

/** The only error class executors throw, except for the reason of an aborted signal. */
export class NftError extends Error {
  override readonly name: string = 'NftError';
  readonly code: NftErrorCode;
  readonly commandIndex: number | undefined;
  /** What nft printed, at most 64 KiB; empty when nft did not run. */
  readonly stderr: string;

  constructor(message: string, facts: NftErrorFacts) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = facts.code;
    this.commandIndex = facts.commandIndex;
    this.stderr = facts.stderr ?? '';
  }
}

function hasCode(error: unknown, code: NftErrorCode): boolean {
  return error instanceof NftError && error.code === code;
}

/** Something the transaction names does not exist. */
export function isNotFound(error: unknown): boolean {
  return hasCode(error, 'not-found');
}

/** Something the transaction creates exists already, or contradicts what exists. */
export function isExists(error: unknown): boolean {
  return hasCode(error, 'exists');
}

/** Something the transaction deletes is still referenced. */
export function isBusy(error: unknown): boolean {
  return hasCode(error, 'busy');
}

/** The transaction is wrong in itself; retrying cannot help. */
export function isInvalid(error: unknown): boolean {
  return hasCode(error, 'invalid');
}

/** A set reached its size. */
export function isFull(error: unknown): boolean {
  return hasCode(error, 'full');
}

/** The outcome is not known: the kernel may or may not have applied the transaction. List before going on. */
export function isOutcomeUnknown(error: unknown): boolean {
  return hasCode(error, 'timeout') || hasCode(error, 'crashed') || hasCode(error, 'mixed-versions');
}

/** strerror(3) texts of the C locale, as nft prints them behind its own `Error:`. */
const kernelTexts: ReadonlyMap<string, NftErrorCode> = new Map([
  ['No such file or directory', 'not-found'],
  ['File exists', 'exists'],
  ['Device or resource busy', 'busy'],
  ['Resource busy', 'busy'],
  ['Too many open files in system', 'full'],
  ['Operation not permitted', 'permission'],
  ['Permission denied', 'permission'],
  ['Operation not supported', 'unsupported'],
  ['Protocol not supported', 'unsupported'],
  ['Address family not supported by protocol', 'unsupported'],
  ['Protocol error', 'unsupported'],
  ['Too many links', 'invalid'],
  ['Numerical result out of range', 'invalid'],
  ['Value too large for defined data type', 'invalid'],
  ['File name too long', 'invalid'],
  ['Invalid argument', 'invalid'],
]);

const kernelAnswer =
  /Error: (?:Could not process rule: |cache initialization failed: |cache init(?:ialization)? failed: )?([A-Z][A-Za-z ]+)/g;

/** nft 1.1.3 notices by itself what the kernel refuses: a chain that hangs elsewhere. */
const otherDeclaration = /Error: \S+ "[^"]+" already exists in table .* with different declaration/;

/**
 * Classifies what nft printed when it refused a transaction or a listing. Only nft's own `Error:` lines count: the
 * same words from a wrapper such as `ip netns exec` say nothing about a table. An error of nft's own, before the
 * kernel is asked, is `invalid`.
 */
export function classifyStderr(stderr: string): NftErrorCode {
  if (otherDeclaration.test(stderr)) return 'exists';
  for (const [, text = ''] of stderr.matchAll(kernelAnswer)) {
    const code = kernelTexts.get(text.trim());
    if (code !== undefined) return code;
  }
  if (/Operation not permitted|Permission denied/.test(stderr)) return 'permission';
  return /^(?:internal:0:0-0: |\S+:\d+:\d+-\d+: )?Error: (?!Could not process rule|cache init|Could not open)/m.test(
    stderr,
  )
    ? 'invalid'
    : 'unknown';
}
