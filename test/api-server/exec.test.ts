import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import { httpsAccess } from '../../src/source/kubernetes/https-access.ts';
import { kubeconfigAccess } from '../../src/source/kubernetes/kubeconfig.ts';
import { execInPod } from '../../src/source/kubernetes/pod-exec.ts';
import type { PodCommand, PodCommandResult } from '../../src/source/kubernetes/pod-exec.ts';
import type { ExecRequest, ExecResult } from './exec.ts';
import { podObject } from './objects-for-tests.ts';
import { TestApiServer } from './server.ts';

const hasKubectl = spawnSync('kubectl', ['version', '--client']).status === 0;
const signal = new AbortController().signal;
const wanted: PodCommand = {
  namespace: 'shop',
  pod: 'web',
  container: 'c',
  command: ['say', 'it is', 'ünïcode & more'],
  maxBytes: 1 << 24,
  signal,
};

describe('a program in a container', () => {
  let folder: string;
  let kubeconfig: string;
  let server: TestApiServer;
  let seen: ExecRequest[];
  let result: ExecResult;

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'nftpolicy-exec-'));
    kubeconfig = join(folder, 'kubeconfig');
    server = new TestApiServer();
    await server.start();
    writeFileSync(kubeconfig, server.kubeconfig());
    server.truth.create('pods', podObject({ name: 'web', namespace: 'shop' }));
    seen = [];
    result = { exitCode: 0, stdout: 'out\n', stderr: 'err\n' };
    server.exec = (request) => {
      seen.push(request);
      return Promise.resolve(result);
    };
  });
  afterEach(async () => {
    await server.stop();
    rmSync(folder, { recursive: true });
  });

  const exec = async (command: Partial<PodCommand> = {}, as?: string): Promise<PodCommandResult> => {
    const access = await kubeconfigAccess({ env: {}, kubeconfig, ...(as === undefined ? {} : { as }) });
    try {
      return await execInPod(access, { ...wanted, ...command });
    } finally {
      access.close();
    }
  };

  test('is given its words, and answers both streams and the exit code', async () => {
    expect(await exec()).toEqual({ kind: 'ended', exitCode: 0, stdout: 'out\n', stderr: 'err\n' });
    expect(seen[0]).toMatchObject({ container: 'c', command: wanted.command, pod: { metadata: { name: 'web' } } });
    result = { exitCode: 3, stdout: '', stderr: 'no\n' };
    expect(await exec()).toEqual({ kind: 'ended', exitCode: 3, stdout: '', stderr: 'no\n' });
  });

  test('may say much, in many messages, and not more than is wanted', async () => {
    result = { ...result, stdout: 'policy ä '.repeat(200_000) };
    expect(await exec()).toMatchObject({ stdout: result.stdout });
    await expect(exec({ maxBytes: 1000 })).rejects.toMatchObject({ code: 'reset' });
  });

  test('is refused to whoever may not, and where there is no such pod', async () => {
    expect(await exec({ pod: 'other' })).toMatchObject({ kind: 'refused', status: { code: 404 } });
    server.forbidden.add('create pods/exec');
    expect(await exec({}, 'jane')).toMatchObject({
      kind: 'refused',
      status: { code: 403, message: expect.stringContaining('"jane" cannot create resource "pods/exec"') as string },
    });
    server.tokens.clear();
    expect(await exec()).toMatchObject({ kind: 'refused', status: { code: 401 } });
  });

  test('is given up when the caller is', async () => {
    const started = Promise.withResolvers<ExecRequest>();
    server.exec = async (request) => {
      started.resolve(request);
      return await new Promise(() => undefined);
    };
    const caller = new AbortController();
    const asked = exec({ signal: caller.signal });
    const program = await started.promise;
    caller.abort();
    await expect(asked).rejects.toMatchObject({ code: 'aborted' });
    await expect.poll(() => program.signal.aborted).toBe(true);
  });

  test('is a failure if the connection ends before the program does', async () => {
    server.exec = () => Promise.reject(new Error('the kubelet is gone'));
    await expect(exec()).rejects.toMatchObject({
      code: 'reset',
      message: expect.stringContaining('in the middle') as string,
    });
  });

  test.runIf(hasKubectl)('is run by kubectl in the same way', async () => {
    result = { exitCode: 7, stdout: 'x'.repeat(100_000), stderr: 'err\n' };
    const said = await new Promise<{ code: unknown; stdout: string; stderr: string }>((resolve) => {
      const args = ['--kubeconfig', kubeconfig, '-n', 'shop', 'exec', 'web', '-c', 'c', '--', ...wanted.command];
      execFile('kubectl', args, (error, stdout, stderr) => resolve({ code: error?.code, stdout, stderr }));
    });
    expect({ ...said, stdout: said.stdout.length }).toMatchObject({
      code: 7,
      stdout: result.stdout.length,
      stderr: expect.stringContaining('err\n') as string,
    });
    expect(seen[0]).toMatchObject({ container: 'c', command: wanted.command });
  });
});

describe('a server that breaks the protocol', () => {
  /** What comes of a server that answers so. */
  async function answered(answer: (key: string, socket: Duplex) => void): Promise<string> {
    const server = createServer();
    const sockets: Duplex[] = [];
    server.on('upgrade', (request, socket) => {
      sockets.push(socket);
      socket.on('error', () => socket.destroy());
      answer(String(request.headers['sec-websocket-key']), socket);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const access = httpsAccess(url, {
      read: () => Promise.resolve({ tls: {}, headers: {} }),
      invalidate: () => undefined,
    });
    const found = await execInPod(access, wanted).then(JSON.stringify, String);
    access.close();
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    return found;
  }
  const head = (accept: string, protocol: string): string =>
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nSec-WebSocket-Protocol: ${protocol}\r\n\r\n`;
  const v5 = 'v5.channel.k8s.io';
  const say = (socket: Duplex, key: string, ...frames: readonly Buffer[]): void => {
    socket.end(Buffer.concat([Buffer.from(head(acceptKey(key), v5)), ...frames]));
  };
  const acceptKey = (key: string): string =>
    createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
  const close = Buffer.from([0x88, 0]);

  test('is not believed', async () => {
    expect(await answered((_, socket) => socket.end(head('wrong', v5)))).toContain(
      'Invalid Sec-WebSocket-Accept header',
    );
    expect(await answered((key, socket) => socket.end(head(acceptKey(key), 'v1')))).toContain(
      'Server sent an invalid subprotocol',
    );
    expect(await answered((key, socket) => say(socket, key, close))).toContain('nobody said how');
    expect(await answered((key, socket) => say(socket, key, Buffer.from([0xc2, 0])))).toContain('RSV1 must be clear');
    expect(await answered((key, socket) => say(socket, key, Buffer.from([0x83, 0])))).toContain('invalid opcode 3');
    const huge = Buffer.from([0x82, 127, 0, 0, 1, 0, 0, 0, 0, 0]);
    expect(await answered((key, socket) => say(socket, key, huge))).toContain('Max payload size exceeded');
  });

  test('may cut messages and bytes anywhere, and say why nothing ran', async () => {
    const status = Buffer.from(`\u0003{"status":"Failure","message":"container not found","code":400}`);
    const first = Buffer.concat([Buffer.from([0x02, 10]), status.subarray(0, 10)]);
    const rest = Buffer.concat([Buffer.from([0x80, status.length - 10]), status.subarray(10)]);
    const found = await answered((key, socket) => {
      const bytes = Buffer.concat([Buffer.from(head(acceptKey(key), v5)), first, rest, close]);
      let at = 0;
      const timer = setInterval(() => {
        if (at >= bytes.length) {
          clearInterval(timer);
          socket.end();
        } else socket.write(bytes.subarray(at, (at += 7)));
      }, 1);
    });
    expect(JSON.parse(found)).toMatchObject({ kind: 'refused', status: { code: 400, message: 'container not found' } });
  });
});
