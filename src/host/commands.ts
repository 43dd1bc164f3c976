import { execFile, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

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

  constructor(code: HostError['code'], command: string, message: string, cause?: unknown) {
    super(`${command}: ${message}`, cause === undefined ? undefined : { cause });
    this.code = code;
    this.command = command;
    const status = (cause as { readonly code?: unknown } | undefined)?.code;
    this.exitCode = typeof status === 'number' ? status : undefined;
  }
}

/** How this folder runs the node's tools. Another implementation runs them in another network namespace. */
export interface Commands {
  /** Runs to the end and answers standard output. Throws {@link HostError} unless the exit code is 0. */
  run(command: string, args: readonly string[], options?: { readonly signal?: AbortSignal }): Promise<string>;
  /** Runs until the command ends or `signal` aborts, and calls `onLine` per line. Throws {@link HostError} if it cannot start. */
  follow(command: string, args: readonly string[], onLine: (line: string) => void, signal: AbortSignal): Promise<void>;
}

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
    run(command, args, options) {
      const [file, rest] = lineOf(command, args);
      const settings = {
        maxBuffer: MAX_OUTPUT_BYTES,
        timeout: TIME_LIMIT_MS,
        killSignal: 'SIGKILL' as const,
        ...options,
      };
      return new Promise((resolve, reject) => {
        execFile(file, rest, settings, (error, stdout, stderr) => {
          if (error === null) resolve(stdout);
          else reject(failure(error, [file, ...rest].join(' '), stderr.trim()));
        });
      });
    },
    follow(command, args, onLine, signal) {
      const [file, rest] = lineOf(command, args);
      return new Promise((resolve, reject) => {
        const child = spawn(file, rest, { stdio: ['ignore', 'pipe', 'ignore'], signal, killSignal: 'SIGKILL' });
        const lines = createInterface({ input: child.stdout });
        lines.on('line', onLine);
        child.on('error', (error) => {
          if (signal.aborted) resolve();
          else reject(failure(error, [file, ...rest].join(' '), ''));
        });
        child.on('close', () => resolve());
      });
    },
  };
}

function failure(error: Error & { code?: unknown }, line: string, stderr: string): HostError {
  if (error.code === 'ENOENT') return new HostError('command-missing', line, 'not found: install it', error);
  return new HostError('command-failed', line, stderr === '' ? error.message : stderr, error);
}
