import { describe, expect, test } from 'vitest';

import { run } from './main.ts';

async function policy(...argv: readonly string[]): Promise<{ code: number; out: string; err: string }> {
  let [out, err] = ['', ''];
  const code = await run(argv, {
    stdout: { write: (text) => void (out += text), isTerminal: false },
    stderr: { write: (text) => void (err += text), isTerminal: false },
    env: {},
    cwd: '/',
    readStdin: () => '',
    signal: new AbortController().signal,
  });
  return { code, out, err };
}

describe('policy', () => {
  test('says its version', async () => {
    const { code, out } = await policy('--version');
    expect(code).toBe(0);
    expect(out).toMatch(/^nftpolicy \d+\.\d+\.\d+ \(Node\.js \d+\.\d+\.\d+\)\n$/);
  });

  test('without a command shows what there is, as an error of usage', async () => {
    const { code, out, err } = await policy();
    expect([code, out]).toEqual([2, '']);
    expect(err).toMatch(/Commands:\n +explain /);
  });

  test('suggests the command that was meant', async () => {
    const { code, err } = await policy('explane');
    expect(code).toBe(2);
    expect(err).toContain('Did you mean explain?');
  });

  test('names defaults only where they say something', async () => {
    const { out } = await policy('explain', '--help');
    expect(out).toMatch(/default:\s+"kube-system\/kube-dns"/);
    expect(out).not.toMatch(/default: (?:\[\]|false)/);
  });
});
