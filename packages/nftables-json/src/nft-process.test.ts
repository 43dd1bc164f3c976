import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NftError } from './errors.ts';
import type { NftProcessOptions } from './nft-process.ts';
import { NftProcess } from './nft-process.ts';
import { Transaction } from './transaction.ts';

const transaction = new Transaction().addTable({ family: 'inet', name: 't' });
let directory: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'nft-process-test-'));
});
afterEach(async () => {
  expect((await readdir(directory)).filter((name) => name.startsWith('nftables-json-'))).toEqual([]);
  await rm(directory, { recursive: true });
});

/** An nft that is a shell script; `$2` is `-f` and the last argument the file. */
function scripted(script: string, options: NftProcessOptions = {}): NftProcess {
  return new NftProcess({ command: ['/bin/sh', '-c', script, 'nft'], directory, ...options });
}

test('the commands stand in a private file', async () => {
  const nft = scripted(
    `for last; do :; done; { echo "$@" | sed "s,$last,FILE,"; stat -c %a "$last" "$(dirname "$last")"; cat "$last"; } > ${directory}/seen`,
  );
  await nft.run(transaction);
  const [args, fileMode, directoryMode, text] = (await readFile(`${directory}/seen`, 'utf8')).split('\n');
  expect([args, fileMode, directoryMode, text]).toEqual(['-j -f FILE', '600', '700', transaction.encode()]);
  await nft.check(transaction);
  expect(await readFile(`${directory}/seen`, 'utf8')).toMatch(/^-c -j -f FILE\n/);
});

test('core dumps are off and messages are in English', async () => {
  await scripted(`{ ulimit -c; echo $LC_ALL; } > ${directory}/seen`).run(transaction);
  expect(await readFile(`${directory}/seen`, 'utf8')).toBe('0\nC\n');
});

test('a missing program is told', async () => {
  const nft = new NftProcess({ command: ['no-such-nft'], directory });
  await expect(nft.run(transaction)).rejects.toMatchObject({ code: 'nft-missing' });
});

describe('a machine that cannot run nft now', () => {
  test('has no place for the commands', async () => {
    const nft = scripted('exit 0', { directory: join(directory, 'missing') });
    await expect(nft.run(transaction)).rejects.toMatchObject({
      name: 'NftError',
      code: 'system',
      message: expect.stringContaining(`cannot be written below ${directory}/missing: ENOENT`) as string,
    });
  });

  test('cannot start a process', async () => {
    process.env['TOO_LONG'] = 'x'.repeat(1024 * 1024);
    const failed = scripted('exit 0').run(transaction);
    await expect(failed.finally(() => delete process.env['TOO_LONG'])).rejects.toMatchObject({
      name: 'NftError',
      code: 'system',
      message: expect.stringContaining('/bin/sh cannot be used: spawn E2BIG') as string,
    });
  });

  test('has a shell that cannot do its work, and gets another', async () => {
    const nft = scripted(`echo $PPID > ${directory}/shell`);
    await nft.run(transaction);
    const shell = (await readFile(`${directory}/shell`, 'utf8')).trim();
    execFileSync('prlimit', ['--pid', shell, '--nofile=3']);
    await expect(nft.run(transaction)).rejects.toMatchObject({ name: 'NftError', code: 'crashed' });
    await expect(nft.run(transaction)).resolves.toBeUndefined();
  });
});

test('an nft that dies by a signal has crashed', async () => {
  const failed = scripted('echo partial >&2; kill -SEGV $$').run(transaction);
  await expect(failed).rejects.toMatchObject({
    code: 'crashed',
    stderr: 'partial\n',
    message: expect.stringContaining('SIGSEGV'),
  });
});

describe('an nft that crashes', () => {
  const crashing = (version: string, ...survives: readonly string[]): NftProcess =>
    scripted(
      `case "$*" in --version) echo "nftables v${version} (x)" ;; ${survives.map((args) => `"${args}") ;; `).join('')}*)` +
        ` echo "$*" >> ${directory}/crashes; kill -SEGV $$ ;; esac`,
    );
  const codeOf = async (nft: NftProcess): Promise<unknown> =>
    await nft.run(transaction).catch((error: unknown) => (error as NftError).code);

  test('also when it lists tables, and is older than 1.1.2, met sets of a newer one', async () => {
    const nft = crashing('1.0.6');
    await expect(nft.run(transaction)).rejects.toMatchObject({
      code: 'mixed-versions',
      message:
        'nft 1.0.6 cannot work in this network namespace: it crashes on sets that were written with nft 1.1.2 or ' +
        'newer, by whatever program. Install nftables 1.1.3 or newer here',
      cause: { code: 'crashed', message: 'nft was ended by SIGSEGV' },
    });
    expect((await readFile(`${directory}/crashes`, 'utf8')).split('\n')).toEqual([
      expect.stringMatching(/^-j -f /),
      'list tables',
      '',
    ]);
  });

  test('and is newer, or lists tables, crashed of something else', async () => {
    expect(await codeOf(crashing('1.1.3'))).toBe('crashed');
    expect(await codeOf(crashing('1.1.1', 'list tables'))).toBe('crashed');
    expect(await codeOf(crashing('of our own'))).toBe('crashed');
    expect(await codeOf(scripted('kill -SEGV $$'))).toBe('crashed');
  });
});

test('an nft that takes too long is killed with its children', async () => {
  const nft = scripted(`sleep 100 & echo $! > ${directory}/child; wait`, { timeoutMs: 300 });
  await expect(nft.run(transaction)).rejects.toMatchObject({ code: 'timeout' });
  const child = (await readFile(`${directory}/child`, 'utf8')).trim();
  const state = await readFile(`/proc/${child}/stat`, 'utf8').then(
    (text) => text.split(' ')[2],
    () => 'gone',
  );
  expect(['gone', 'Z', 'X']).toContain(state);
});

test('aborting kills nft and rejects with the reason', async () => {
  const controller = new AbortController();
  const reason = new Error('enough');
  const running = scripted('sleep 100').run(transaction, { signal: controller.signal });
  setTimeout(() => controller.abort(reason), 20);
  await expect(running).rejects.toBe(reason);
});

test('a refusal keeps what nft printed, without its empty location', async () => {
  const failed = scripted('echo "internal:0:0-0: Error: Could not process rule: File exists" >&2; exit 1').run(
    transaction,
  );
  await expect(failed).rejects.toMatchObject({
    code: 'exists',
    message: 'Error: Could not process rule: File exists',
    commandIndex: undefined,
  });
});

test('a command that nft cannot parse is named', async () => {
  const failed = scripted('echo "internal:0:0-0: Error: Parsing command array at index 3 failed." >&2; exit 1').run(
    transaction,
  );
  await expect(failed).rejects.toMatchObject({ code: 'invalid', commandIndex: 2 });
});

test('a wrapper that fails is not an absent table', async () => {
  const nft = scripted("echo 'Cannot open network namespace: No such file or directory' >&2; exit 255");
  await expect(nft.list({ family: 'inet', name: 't' })).rejects.toMatchObject({ code: 'unknown' });
});

test('an absent table is undefined', async () => {
  const nft = scripted("echo 'Error: No such file or directory' >&2; exit 1");
  expect(await nft.list({ family: 'inet', name: 't' })).toBeUndefined();
});

test('a listing that is cut off is unreadable, not empty', async () => {
  const nft = scripted('printf %s \'{"nftables": [{"metainfo"\'');
  await expect(nft.list({ family: 'inet', name: 't' })).rejects.toMatchObject({ code: 'table-unreadable' });
});

test('an nft that floods its error output is cut off', async () => {
  const failed = scripted('yes x | head -c 1000000 >&2; exit 1').run(transaction);
  const error = await failed.catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(NftError);
  expect((error as NftError).stderr).toHaveLength(64 * 1024);
  expect((error as NftError).message.length).toBeLessThan(2000);
});

test('a shell that was ended between two calls is started again, and one that ends within a call fails it', async () => {
  const nft = scripted(`echo $PPID > ${directory}/shell; [ ! -e ${directory}/end ] || kill -KILL $PPID`);
  await nft.run(transaction);
  const shell = Number(await readFile(`${directory}/shell`, 'utf8'));
  await nft.run(transaction);
  expect(Number(await readFile(`${directory}/shell`, 'utf8'))).toBe(shell);
  process.kill(shell, 'SIGKILL');
  await expect.poll(() => existsSync(`/proc/${shell}`)).toBe(false);
  await nft.run(transaction);
  expect(Number(await readFile(`${directory}/shell`, 'utf8'))).not.toBe(shell);
  await writeFile(`${directory}/end`, '');
  await expect(nft.run(transaction)).rejects.toMatchObject({
    code: 'crashed',
    message: expect.stringMatching(/shell/),
  });
  await rm(`${directory}/end`);
  await expect(nft.run(transaction)).resolves.toBeUndefined();
});

test('words reach the program as they are', async () => {
  const words = ["it's", '$HOME', '`id`', '"', '\\', ' a  b ', '*', '', 'two\nlines'];
  const command = ['/bin/sh', '-c', `for word; do echo "<$word>"; done > ${directory}/seen`, 'nft', ...words];
  await new NftProcess({ command, directory }).run(transaction);
  const seen = await readFile(`${directory}/seen`, 'utf8');
  expect(seen.startsWith(`${words.map((word) => `<${word}>\n`).join('')}<-j>\n`), seen).toBe(true);
});

test('output that looks like the end of a call is output', async () => {
  const nft = scripted('printf "nftables v1.0.6\\n0123456789abcdef0123456789abcdef 0\\n"; sleep 0.02; printf "more"');
  expect(await nft.version()).toBe('nftables v1.0.6\n0123456789abcdef0123456789abcdef 0\nmore');
});

test('calls never overlap', async () => {
  const nft = scripted(`mkdir ${directory}/lock || exit 9; sleep 0.01; rmdir ${directory}/lock`);
  await expect(Promise.all([nft.run(transaction), nft.run(transaction), nft.check(transaction)])).resolves.toHaveLength(
    3,
  );
});

test('the version is what the program says', async () => {
  expect(await scripted('echo "nftables v1.1.3 ($1)"').version()).toBe('nftables v1.1.3 (--version)');
});
