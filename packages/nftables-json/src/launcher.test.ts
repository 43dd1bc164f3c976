import { expect, test } from 'vitest';
import { Launcher } from './launcher.ts';
import type { LaunchOptions } from './launcher.ts';

const launcher = new Launcher();

async function run(script: string, options: Partial<LaunchOptions> = {}): Promise<unknown> {
  const ended = await launcher.run(['/bin/sh', '-c', script], { timeoutMs: 20_000, ...options });
  return 'why' in ended ? ended : { ...ended, stdout: ended.stdout.toString('utf8') };
}

test('says how a command ended and what it printed', async () => {
  expect(await run('echo out; echo error >&2; exit 3')).toEqual({
    exitCode: 3,
    signal: undefined,
    stdout: 'out\n',
    stderr: 'error\n',
  });
  expect(await run('kill -TERM $$')).toMatchObject({ exitCode: 143, signal: 'SIGTERM', stderr: '' });
  expect(await launcher.run(['no-such-command'], { timeoutMs: 20_000 })).toMatchObject({ exitCode: 127 });
});

test('a command has nothing to read', async () => {
  expect(await run('cat; echo end')).toMatchObject({ stdout: 'end\n' });
});

test('much output comes whole', async () => {
  const ended = await launcher.run(['head', '-c', '5000000', '/dev/zero'], { timeoutMs: 20_000 });
  expect('why' in ended ? ended : ended.stdout.equals(Buffer.alloc(5_000_000))).toBe(true);
});

test('calls at one time get shells of their own, and calls behind one another the same', async () => {
  const own = new Launcher();
  const shellOf = async (): Promise<string> => {
    const ended = await own.run(['/bin/sh', '-c', 'echo $PPID; sleep 0.05'], { timeoutMs: 20_000 });
    return 'why' in ended ? ended.why : ended.stdout.toString();
  };
  const first = await Promise.all([shellOf(), shellOf(), shellOf()]);
  expect(new Set(first).size).toBe(3);
  expect(first).toContain(await shellOf());
});

test('what takes too long or prints too much is killed, and the next call works', async () => {
  expect(await run('echo begun >&2; sleep 100', { timeoutMs: 200 })).toEqual({ why: 'timeout', stderr: 'begun\n' });
  expect(await run('yes', { maxStdoutBytes: 10_000 })).toEqual({ why: 'flood', stderr: '' });
  expect(await run('echo on')).toMatchObject({ stdout: 'on\n' });
});

test('a call that is aborted before it begins does nothing', async () => {
  expect(await run('echo on', { signal: AbortSignal.abort() })).toEqual({ why: 'aborted', stderr: '' });
});
