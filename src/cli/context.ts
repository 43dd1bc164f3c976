/** Everything a command may touch of the outside world. Injected, so that commands can be tested in process. */
export interface Context {
  readonly stdout: Output;
  readonly stderr: Output;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Reads all of standard input. */
  readonly readStdin: () => string;
  /** Aborts when the process is asked to stop (SIGINT, SIGTERM). */
  readonly signal: AbortSignal;
}

/** A place for text. */
export interface Output {
  write(text: string): void;
  readonly isTerminal: boolean;
  /** Width in characters, if it is a terminal. */
  readonly columns?: number;
}
