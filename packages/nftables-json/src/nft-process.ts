/** Executor over the nft program: `nft -j -f FILE`, FILE in a private directory on tmpfs. */
import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { compareVersion, formatVersion, parseVersion } from './capability.ts';
import type { Listing } from './decode.ts';
import { encodePieces } from './encode.ts';
import { decodeMap, decodeSet, readListing } from './decode.ts';
import { NftError, classifyStderr } from './errors.ts';
import type { CallOptions, Executor, ListOptions } from './executor.ts';
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
  /**
   * What the command is started by. Default: a shell that switches core dumps off and then becomes the command.
   * An empty list starts the command itself.
   */
  readonly launcher?: readonly string[];
}

/** What a finished nft left behind. */
interface Finished {
  readonly exitCode: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

const defaultLauncher = ['/bin/sh', '-c', 'ulimit -c 0; exec "$@"', 'sh'] as const;
/** Characters of a transaction that are encoded and written at once. */
const pieceLength = 256 * 1024;
const maxStderrBytes = 64 * 1024;
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
  readonly #launcher: readonly string[];
  readonly #timeoutMs: number;
  #directory: string | undefined;
  #lane: Promise<unknown> = Promise.resolve();

  constructor(options: NftProcessOptions = {}) {
    this.#command = options.command ?? ['nft'];
    this.#launcher = options.launcher ?? defaultLauncher;
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
    const directory = await mkdtemp(join(await this.#tmpfs(), 'nftables-json-'));
    try {
      const file = join(directory, 'commands.json');
      await writePieces(file, text);
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
    const [file, ...rest] = [...this.#launcher, ...this.#command, ...args];
    if (file === undefined) throw new NftError('the command is empty', { code: 'nft-missing' });
    return await runProgram(file, rest, this.#timeoutMs, options.signal);
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

function ignore(): void {}

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

async function runProgram(
  file: string,
  args: readonly string[],
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Promise<Finished> {
  const { promise, resolve, reject } = Promise.withResolvers<Finished>();
  // A process group of its own, so that a command that forks can be killed whole.
  const child = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, LC_ALL: 'C' },
    detached: true,
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  let stderrBytes = 0;
  let timedOut = false;

  const kill = (): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, 'SIGKILL');
    } catch (error) {
      // ESRCH: it ended by itself in the meantime, `close` follows.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') reject(unexpected(error));
    }
  };
  const timer = setTimeout(() => {
    timedOut = true;
    kill();
  }, timeoutMs);
  signal?.addEventListener('abort', kill, { once: true });

  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => {
    if (stderrBytes < maxStderrBytes) stderr.push(chunk);
    stderrBytes += chunk.length;
  });
  child.stdout.on('error', (error) => reject(unexpected(error)));
  child.stderr.on('error', (error) => reject(unexpected(error)));
  child.on('error', (cause) => reject(new NftError(`${file} cannot be started`, { code: startCode(cause), cause })));
  child.on('close', (exitCode, killedBy) => {
    const stderrText = Buffer.concat(stderr).toString('utf8', 0, maxStderrBytes);
    // 129-254 is how a shell reports a signal; 255 is how `ip netns exec` reports its own failure.
    const ended = exitCode !== null && (exitCode <= 128 || exitCode === 255);
    if (ended) resolve({ exitCode, stdout: Buffer.concat(stdout), stderr: stderrText });
    else if (signal?.aborted === true) reject(signal.reason as Error);
    else if (timedOut)
      reject(new NftError(`nft did not end within ${timeoutMs} ms`, { code: 'timeout', stderr: stderrText }));
    else {
      const how = killedBy ?? `exit code ${exitCode}`;
      reject(new NftError(`nft was ended by ${how}`, { code: 'crashed', stderr: stderrText }));
    }
  });

  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', kill);
  }
}

function startCode(error: Error): 'nft-missing' | 'permission' | 'unknown' {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return 'nft-missing';
  return code === 'EACCES' || code === 'EPERM' ? 'permission' : 'unknown';
}

function unexpected(cause: unknown): NftError {
  return new NftError('the connection to nft broke', { code: 'unknown', cause });
}
