import type { IncomingMessage } from 'node:http';
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';

import { WebSocketServer } from 'ws';
import type { WebSocket } from 'ws';

import type { StoredObject } from './truth.ts';

/** A program that somebody wants to run in a container. */
export interface ExecRequest {
  readonly pod: StoredObject;
  readonly container: string;
  readonly command: readonly string[];
  /** Aborts when the client goes away. */
  readonly signal: AbortSignal;
}

/** How the program ended. */
export interface ExecResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** As much of a message as a kubelet sends at once. */
const chunkBytes = 32 * 1024;
const known = ['v5.channel.k8s.io', 'v4.channel.k8s.io'];
const channels = { stdout: 1, stderr: 2, error: 3 } as const;

const sockets = new WebSocketServer({
  noServer: true,
  handleProtocols: (offered) => known.find((name) => offered.has(name)) ?? false,
});

/** Plays `pods/exec` over a WebSocket, without input, as the API server and a kubelet do. */
export async function answerExec(
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
  run: (signal: AbortSignal) => Promise<ExecResult>,
): Promise<void> {
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
  if (!offered.some((name) => known.includes(name)))
    return refuseUpgrade(socket, 400, 'BadRequest', `unable to upgrade: unknown protocols ${offered.join(', ')}`);
  const client = await new Promise<WebSocket>((resolve) => sockets.handleUpgrade(request, socket, head, resolve));
  const gone = new AbortController();
  client.on('close', () => gone.abort());
  client.on('error', () => client.terminate());
  client.ping('are you there');
  const { exitCode, stdout, stderr } = await run(gone.signal);
  for (const [channel, text] of [
    [channels.stdout, stdout],
    [channels.stderr, stderr],
  ] as const) {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += chunkBytes)
      client.send(Buffer.concat([Buffer.from([channel]), bytes.subarray(at, at + chunkBytes)]));
  }
  const failure = {
    status: 'Failure',
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
  };
  const status = { metadata: {}, ...(exitCode === 0 ? { status: 'Success' } : failure) };
  client.send(Buffer.concat([Buffer.from([channels.error]), Buffer.from(JSON.stringify(status))]));
  client.close(1000);
}

/** Refuses an upgrade with a Status, as the API server does. */
export function refuseUpgrade(socket: Duplex, code: number, reason: string, message: string): void {
  const body = JSON.stringify({
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    code,
  });
  socket.end(
    `HTTP/1.1 ${code} ${STATUS_CODES[code] ?? reason}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\nConnection: close\r\n\r\n${body}`,
  );
}
