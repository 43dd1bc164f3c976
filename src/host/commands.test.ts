import { expect, test } from 'vitest';

import { HostError, nodeCommands } from './commands.ts';

async function failure(command: string, ...args: readonly string[]): Promise<unknown> {
  return await nodeCommands()
    .run(command, args)
    .catch((error: unknown) => error);
}

test('answers what a command printed', async () => {
  expect(await nodeCommands().run('printf', ['%s', 'a\nb'])).toBe('a\nb');
  expect(await nodeCommands(['env', 'WHERE=there']).run('sh', ['-c', 'echo $WHERE'])).toBe('there\n');
});

test('says which command is missing, and what another one had to say', async () => {
  const missing = await failure('no-such-command', 'x');
  expect(missing).toBeInstanceOf(HostError);
  expect(missing).toMatchObject({
    code: 'command-missing',
    command: 'no-such-command x',
    message: 'no-such-command x: not found: install it',
  });
  expect(await failure('sh', '-c', 'echo no such device >&2; exit 2')).toMatchObject({
    code: 'command-failed',
    exitCode: 2,
    message: expect.stringMatching(/: no such device$/),
  });
  expect(await failure('sh', '-c', 'exit 4')).toMatchObject({ message: expect.stringMatching(/: ended with 4$/) });
  expect(await failure('sh', '-c', 'kill -KILL $$')).toMatchObject({
    code: 'command-failed',
    exitCode: undefined,
    message: expect.stringMatching(/: ended by SIGKILL$/),
  });
});
