import { run } from '../../src/cli/main.ts';

/** What one command line did. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What a test may set about the outside world. */
export interface CommandWorld {
  readonly cwd: string;
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** A terminal of this width. */
  readonly columns?: number;
}

/** Runs `policy` in this process and collects what it prints. */
export async function runPolicy(argv: readonly string[], world: CommandWorld): Promise<CommandResult> {
  let [stdout, stderr] = ['', ''];
  const terminal = world.columns === undefined ? { isTerminal: false } : { isTerminal: true, columns: world.columns };
  const code = await run(argv, {
    stdout: { write: (text) => void (stdout += text), ...terminal },
    stderr: { write: (text) => void (stderr += text), ...terminal },
    env: world.env ?? {},
    cwd: world.cwd,
    readStdin: () => world.stdin ?? '',
    signal: new AbortController().signal,
  });
  return { code, stdout, stderr };
}
