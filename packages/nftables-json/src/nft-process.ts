/** Executor over the nft program: `nft -j -f FILE`, FILE in a private directory on tmpfs. */
import { constants } from 'node:fs';
import { access, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { compareVersion, formatVersion, parseVersion } from './capability.ts';
import type { Listing } from './decode.ts';
import { encodePieces } from './encode.ts';
import { decodeMap, decodeSet, readListing } from './decode.ts';
import { NftError, classifyStderr } from './errors.ts';
import type { CallOptions, Executor, ListOptions } from './executor.ts';
import { Launcher } from './launcher.ts';
import type { Finished, Unfinished } from './launcher.ts';
import type { ListTarget, NamedMap, NamedSet, ObjectRef, TableRef } from './grammar.ts';
import type { Transaction } from './transaction.ts';
import { nameProblem } from './validate.ts';

/** Options of {@link NftProcess}. */
export interface NftProcessOptions {
  /** The program and its first arguments, for example `['ip', 'netns', 'exec', 'NAME', 'nft']`. Default `['nft']`. */
  readonly command?: readonly string[];
  /** Where private directories are made; a tmpfs. Default: the first writable of /dev/shm, /run and the temporary one. */
  readonly directory?: string;
  /** After this time nft is killed and the call fails with `timeout`. Default 30,000. */
  readonly timeoutMs?: number;
}

/** Characters of a transaction that are encoded and written at once. */
const pieceLength = 256 * 1024;
const maxMessageLength = 1000;
/** The first nft whose sets make older ones crash. */
const newFormat = [1, 1, 2] as const;
const missingProgram = /not found|No such file or directory/;

/**
 * Runs the nft program, version 1.0.6 or newer, once per call and one call at a time. It lists only what it is asked
 * for and never the whole ruleset. A file, because nft cannot re-open the socket Node gives a child as stdin.
 */
export class NftProcess implements Executor {
  readonly #command: readonly string[];
  readonly #launcher = new Launcher();
  readonly #timeoutMs: number;
  #directory: string | undefined;
  #lane: Promise<unknown> = Promise.resolve();

  constructor(options: NftProcessOptions = {}) {
    this.#command = options.command ?? ['nft'];
    this.#timeoutMs = options.timeoutMs ?? 30_000;
    this.#directory = options.directory;
  }

  async run(transaction: Transaction, options: CallOptions = {}): Promise<void> {
    await this.#send(['-j', '-f'], transaction, options);
  }

  async check(transaction: Transaction, options: CallOptions = {}): Promise<void> {
    await this.#send(['-c', '-j', '-f'], transaction, options);
  }

  async list(table: TableRef, options: ListOptions = {}): Promise<Listing | undefined> {
    const output = await this.#listOutput({ table: { family: table.family, name: table.name } }, options);
    return output === undefined ? undefined : await readListing(output, table, options);
  }

  async listSet(set: ObjectRef, options: CallOptions = {}): Promise<NamedSet | undefined> {
    const { family, table, name } = set;
    const output = await this.#listOutput({ set: { family, table, name } }, options);
    return output === undefined ? undefined : decodeSet(output.toString('utf8'));
  }

  async listMap(map: ObjectRef, options: CallOptions = {}): Promise<NamedMap | undefined> {
    const { family, table, name } = map;
    const output = await this.#listOutput({ map: { family, table, name } }, options);
    return output === undefined ? undefined : decodeMap(output.toString('utf8'));
  }

  /** The text of `nft --version`; used by the capability probe. */
  async version(options: CallOptions = {}): Promise<string> {
    return await this.#inLane(options, async () => {
      const finished = await this.#spawn(['--version'], options);
      if (finished.exitCode !== 0) throw failure(finished);
      return finished.stdout.toString('utf8').trim();
    });
  }

  async #send(args: readonly string[], transaction: Transaction, options: CallOptions): Promise<void> {
    transaction.assertValid();
    if (transaction.isEmpty) return;
    await this.#inLane(options, async () => {
      const finished = await this.#spawnWithFile(args, encodePieces(transaction.commands, pieceLength), options);
      if (finished.exitCode !== 0) throw failure(finished);
    });
  }

  /** The JSON of a listing; undefined when the object is absent. As a file: names may be words of nft's text. */
  async #listOutput(target: ListTarget, options: CallOptions): Promise<Buffer | undefined> {
    for (const ref of Object.values(target) as readonly (TableRef & { readonly table?: string })[])
      for (const name of [ref.table ?? ref.name, ref.name]) {
        const reason = nameProblem(name);
        if (reason !== undefined) throw new NftError(reason, { code: 'invalid' });
      }
    return await this.#inLane(options, async () => {
      const text = JSON.stringify({ nftables: [{ list: target }] });
      const finished = await this.#spawnWithFile(['-j', '-f'], [text], options);
      if (finished.exitCode === 0) return finished.stdout;
      const error = failure(finished);
      if (error.code === 'not-found') return undefined;
      throw error;
    });
  }

  async #spawnWithFile(args: readonly string[], text: Iterable<string>, options: CallOptions): Promise<Finished> {
    const parent = await this.#tmpfs();
    const directory = await mkdtemp(join(parent, 'nftables-json-')).catch((cause: unknown) => {
      throw noPlace(parent, cause);
    });
    try {
      const file = join(directory, 'commands.json');
      await writePieces(file, text).catch((cause: unknown) => {
        throw noPlace(parent, cause);
      });
      return await this.#spawn([...args, file], options);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }

  /** Runs `task` when every earlier call has ended, whether well or not. */
  async #inLane<T>(options: CallOptions, task: () => Promise<T>): Promise<T> {
    const turn = this.#lane.then(async () => {
      options.signal?.throwIfAborted();
      return await task();
    });
    this.#lane = turn.then(ignore, ignore);
    return await turn;
  }

  async #tmpfs(): Promise<string> {
    this.#directory ??= await firstWritable(['/dev/shm', '/run']);
    return this.#directory;
  }

  async #spawn(args: readonly string[], options: CallOptions): Promise<Finished> {
    try {
      return await this.#start(args, options);
    } catch (error) {
      if (error instanceof NftError && error.code === 'crashed') throw await this.#diagnose(error, options);
      throw error;
    }
  }

  async #start(args: readonly string[], options: CallOptions): Promise<Finished> {
    if (this.#command.length === 0) throw new NftError('the command is empty', { code: 'nft-missing' });
    const { signal } = options;
    const ended = await this.#launcher.run([...this.#command, ...args], { timeoutMs: this.#timeoutMs, signal });
    if ('why' in ended) throw unfinished(ended, this.#timeoutMs, signal);
    // 255 is how `ip netns exec` reports its own failure.
    if (ended.exitCode <= 128 || ended.exitCode === 255) return ended;
    const how = ended.signal ?? `exit code ${ended.exitCode}`;
    throw new NftError(`nft was ended by ${how}`, { code: 'crashed', stderr: ended.stderr });
  }

  /**
   * nft up to 1.1.1 dies whenever it reads the heads of sets that 1.1.2 or newer wrote, whoever did. To list the tables
   * it reads nothing else, so it dies of that or not at all.
   */
  async #diagnose(crash: NftError, options: CallOptions): Promise<NftError> {
    const ended = (args: readonly string[]): Promise<Finished | NftError> =>
      this.#start(args, options).catch((error: unknown) => {
        if (error instanceof NftError) return error;
        throw error;
      });
    const said = await ended(['--version']);
    const version = said instanceof NftError ? undefined : parseVersion(said.stdout.toString('utf8'));
    if (version === undefined || compareVersion(version, newFormat) >= 0) return crash;
    const listed = await ended(['list', 'tables']);
    if (!(listed instanceof NftError) || listed.code !== 'crashed') return crash;
    const message =
      `nft ${formatVersion(version)} cannot work in this network namespace: it crashes on sets that were written with nft ` +
      '1.1.2 or newer, by whatever program. Install nftables 1.1.3 or newer here';
    return new NftError(message, { code: 'mixed-versions', stderr: crash.stderr, cause: crash });
  }
}

/** Piece by piece: a first transaction can be long, and is then never one text. */
async function writePieces(file: string, pieces: Iterable<string>): Promise<void> {
  const handle = await open(file, 'wx', 0o600);
  try {
    for (const piece of pieces) await handle.writeFile(piece);
  } finally {
    await handle.close();
  }
}

/** Of a call that was not let run to its end, or could not begin. */
function unfinished({ why, stderr, cause }: Unfinished, timeoutMs: number, signal: AbortSignal | undefined): Error {
  if (why === 'aborted') return signal?.reason as Error;
  if (why === 'timeout') return new NftError(`nft did not end within ${timeoutMs} ms`, { code: 'timeout', stderr });
  if (cause === undefined) return new NftError('the shell that runs nft was killed', { code: 'crashed', stderr });
  return new NftError(`/bin/sh cannot be used: ${cause.message}`, { code: startCode(cause), cause });
}

function startCode(error: NodeJS.ErrnoException): 'nft-missing' | 'permission' | 'system' {
  if (error.code === 'ENOENT') return 'nft-missing';
  return error.code === 'EACCES' || error.code === 'EPERM' ? 'permission' : 'system';
}

function ignore(): void {}

function noPlace(directory: string, cause: unknown): NftError {
  const message = `the commands for nft cannot be written below ${directory}: ${reasonOf(cause)}`;
  return new NftError(message, { code: 'system', cause });
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

async function firstWritable(directories: readonly string[]): Promise<string> {
  for (const directory of directories) {
    const writable = await access(directory, constants.W_OK).then(
      () => true,
      () => false,
    );
    if (writable) return directory;
  }
  return tmpdir();
}

/** An NftError for an nft that ended with a failure. */
function failure(finished: Finished): NftError {
  const { exitCode, stderr } = finished;
  const text = stderr.slice(0, maxMessageLength).replaceAll('internal:0:0-0: ', '').trim();
  // 127 from the shell, 255 from `ip netns exec`, 127 from nsenter and unshare.
  if ((exitCode === 127 && missingProgram.test(text)) || /exec of .* failed/.test(text))
    return new NftError(`nft cannot be started: ${text}`, { code: 'nft-missing', stderr });
  return new NftError(text === '' ? `nft ended with ${exitCode}` : text, {
    code: classifyStderr(stderr),
    commandIndex: commandIndex(stderr),
    stderr,
  });
}

/** nft names the array index of a command it cannot parse; the first item of the array is our metainfo. */
function commandIndex(stderr: string): number | undefined {
  const index = /Parsing command array at index (\d+) failed/.exec(stderr)?.[1];
  return index === undefined ? undefined : Number(index) - 1;
}
