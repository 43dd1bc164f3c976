import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';

import { AgentError, agentAddress, askAgent } from './agent-client.ts';

let server: Server | undefined;
afterEach(async () => {
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
  server = undefined;
});

/** Asks for the status where something answers with this. */
async function ask(status: number, text: string): Promise<unknown> {
  server = createServer((_, response) => {
    response.writeHead(status);
    response.end(text);
  });
  await new Promise<void>((resolve) => server?.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return await askAgent({ host: '127.0.0.1', port }, '/status?policy=a%2Fb', new AbortController().signal).catch(
    (error: unknown) => {
      if (!(error instanceof AgentError)) throw error;
      return `${error.code}: ${error.message.replace(`127.0.0.1:${port}`, 'PLACE')}`;
    },
  );
}

describe('asking the agent', () => {
  test('answers what it says', async () => {
    const report = { schema: 'nftpolicy.dev/status/v1', node: 'n' };
    expect(await ask(200, JSON.stringify(report))).toEqual(report);
  });

  test.each([
    ['another program', 404, 'not found\n', 'agent-refused: PLACE answered 404: not found'],
    ['another program', 200, '<html>', 'agent-refused: PLACE is no agent of nftpolicy: its answer is no JSON'],
    ['another program', 200, '{"state":"up"}', /^agent-refused: PLACE is no agent of nftpolicy: its answer names no/],
    ['another program', 200, 'null', /^agent-refused: PLACE is no agent of nftpolicy/],
    [
      'another version',
      200,
      '{"schema":"nftpolicy.dev/status/v2"}',
      "agent-version: PLACE speaks nftpolicy.dev/status/v2, and this program nftpolicy.dev/status/v1: use the program of the agent's version",
    ],
  ])('tells %s that answers %i %s', async (_, status, text, said) => {
    expect(await ask(status, text)).toMatch(said);
  });

  test('says that nobody answers', async () => {
    const nobody = askAgent({ host: '127.0.0.1', port: 1 }, '/status', new AbortController().signal);
    await expect(nobody).rejects.toMatchObject({
      code: 'agent-unreachable',
      message: expect.stringContaining('no agent answers at 127.0.0.1:1: ') as string,
    });
  });

  test.each([
    [':9478', { host: '::1', port: 9478 }],
    ['0.0.0.0:1', { host: '127.0.0.1', port: 1 }],
    ['[fd00::1]:2', { host: 'fd00::1', port: 2 }],
    ['nowhere', undefined],
  ])('finds an agent that listens on %s', (text, address) => {
    expect(agentAddress(text)).toEqual(address);
  });
});
