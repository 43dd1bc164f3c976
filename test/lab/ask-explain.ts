import { run } from '../../src/cli/main.ts';
import type { ScenarioCell } from './scenario.ts';

/** What `policy explain` answers to each cell, asked through the command line's own entry. Throws if it cannot judge. */
export async function askExplain(
  manifests: string,
  cells: readonly ScenarioCell[],
): Promise<readonly ('allow' | 'deny')[]> {
  const known = new Map<string, 'allow' | 'deny'>();
  const answers: ('allow' | 'deny')[] = [];
  for (const { askFrom, askTo, column, port, protocol } of cells) {
    const targetPort = column.startsWith('NodePort') ? 5432 : port;
    const to = `${askTo.includes(':') ? `[${askTo}]` : askTo}:${targetPort}/${protocol}`;
    const key = `${askFrom} ${to}`;
    const answer = known.get(key) ?? (await ask(manifests, askFrom, to));
    known.set(key, answer);
    answers.push(answer);
  }
  return answers;
}

async function ask(manifests: string, from: string, to: string): Promise<'allow' | 'deny'> {
  const said: string[] = [];
  const sink = { write: (text: string) => void said.push(text), isTerminal: false };
  const code = await run(['explain', '-f', manifests, from, to], {
    stdout: sink,
    stderr: sink,
    env: {},
    cwd: process.cwd(),
    readStdin: () => '',
    signal: new AbortController().signal,
  });
  if (code !== 0 && code !== 1) throw new Error(`policy explain ${from} ${to} exited ${code}:\n${said.join('')}`);
  return code === 0 ? 'allow' : 'deny';
}
