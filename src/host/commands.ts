import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

import { Launcher } from 'nftables-json';
import type { Finished, Unfinished } from 'nftables-json';

/** Output of one command that is still believable: a full routing table fits, a runaway process does not. */
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
/** Milliseconds after which a command is killed. */
const TIME_LIMIT_MS = 10_000;

/** A tool of the node could not be run, or what it printed could not be read. */
export class HostError extends Error {
  override readonly name = 'HostError';
  readonly code: 'command-failed' | 'command-missing' | 'output-unreadable';
  /** The command line, for the operator. */
  readonly command: string;
  /** How it ended; undefined if a signal ended it, or it did not run. */
  readonly exitCode: number | undefined;

  constructor(
    code: HostError['code'],
    command: string,
    message: string,
    facts: { readonly cause?: unknown; readonly exitCode?: number } = {},
  ) {
    super(`${command}: ${message}`, facts.cause === undefined ? undefined : { cause: facts.cause });
    this.code = code;
    this.command = command;
    this.exitCode = facts.exitCode;
  }
}

/** How this folder runs the node's tools. Another implementation runs them in another network namespace. */
export interface Commands {
  /** Runs to the end and answers standard output. Throws {@link HostError} unless the exit code is 0. */
  run(command: string, args: readonly string[], options?: { readonly signal?: AbortSignal }): Promise<string>;
  /** Runs until the command ends or `signal` aborts, and calls `onLine` per line. Throws {@link HostError} if it cannot start. */
  follow(command: string, args: readonly string[], onLine: (line: string) => void, signal: AbortSignal): Promise<void>;
}

/** The shells that run commands for all. */
const launcher = new Launcher();

/**
 * Commands of the current network namespace, or of another one: `prefix` is put before every command line,
 * for instance `['nsenter', '--net=/run/netns/node1']`.
 */
export function nodeCommands(prefix: readonly string[] = []): Commands {
  const lineOf = (command: string, args: readonly string[]): [string, string[]] => {
    const [first = command, ...rest] = [...prefix, command, ...args];
    return [first, rest];
  };
  return {
    async run(command, args, options) {
      const [file, rest] = lineOf(command, args);
      const limits = { timeoutMs: TIME_LIMIT_MS, maxStdoutBytes: MAX_OUTPUT_BYTES, ...options };
      const ended = await launcher.run([file, ...rest], limits);
      if ('why' in ended || ended.exitCode !== 0) throw runFailure(ended, file, [file, ...rest].join(' '));
      return ended.stdout.toString('utf8');
    },
    follow(command, args, onLine, signal) {
      const [file, rest] = lineOf(command, args);
      return new Promise((resolve, reject) => {
        const child = spawn(file, rest, { stdio: ['ignore', 'pipe', 'ignore'], signal, killSignal: 'SIGKILL' });
        const lines = createInterface({ input: child.stdout });
        lines.on('line', onLine);
        child.on('error', (error) => {
          if (signal.aborted) resolve();
          else reject(startFailure(error, [file, ...rest].join(' ')));
        });
        child.on('close', () => resolve());
      });
    },
  };
}

const notFound = 'not found: install it';

function runFailure(ended: Finished | Unfinished, file: string, line: string): HostError {
  if ('why' in ended) {
    const whys = {
      timeout: `did not end within ${TIME_LIMIT_MS} ms`,
      aborted: 'was ended: no longer needed',
      flood: `printed more than ${MAX_OUTPUT_BYTES} bytes`,
      lost: ended.cause === undefined ? 'the shell that runs it was killed' : `no shell for it: ${ended.cause.message}`,
    };
    return new HostError(
      'command-failed',
      line,
      whys[ended.why],
      ended.cause === undefined ? {} : { cause: ended.cause },
    );
  }
  const { exitCode, signal } = ended;
  const said = ended.stderr.trim();
  if (signal !== undefined) return new HostError('command-failed', line, said === '' ? `ended by ${signal}` : said);
  // The shell's own words for what `exec` did not find.
  if (exitCode === 127 && said.endsWith(`exec: ${file}: not found`))
    return new HostError('command-missing', line, notFound, { exitCode });
  return new HostError('command-failed', line, said === '' ? `ended with ${exitCode}` : said, { exitCode });
}

function startFailure(error: Error & { code?: unknown }, line: string): HostError {
  if (error.code === 'ENOENT') return new HostError('command-missing', line, notFound, { cause: error });
  return new HostError('command-failed', line, error.message, { cause: error });
}
