import type { IncomingMessage } from 'node:http';
import { STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';

import { acceptKey, FrameReader, opcodes, writeFrame } from '../../src/source/kubernetes/websocket.ts';
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

/** Plays `pods/exec` over a WebSocket, without input, as the API server and a kubelet do. */
export async function answerExec(
  request: IncomingMessage,
  socket: Duplex,
  head: Uint8Array,
  run: (signal: AbortSignal) => Promise<ExecResult>,
): Promise<void> {
  const key = request.headers['sec-websocket-key'];
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim());
  const protocol = offered.find((name) => known.includes(name));
  if (key === undefined || protocol === undefined)
    return refuseUpgrade(socket, 400, 'BadRequest', `unable to upgrade: unknown protocols ${offered.join(', ')}`);
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptKey(key)}\r\nSec-WebSocket-Protocol: ${protocol}\r\n\r\n`,
  );
  const gone = new AbortController();
  const reader = new FrameReader(1 << 20);
  const take = (chunk: Uint8Array): void => {
    for (const { opcode, payload } of reader.push(chunk)) {
      if (opcode === opcodes.ping) socket.write(writeFrame(opcodes.pong, payload, false));
      if (opcode === opcodes.close) gone.abort();
    }
  };
  socket.on('data', take);
  socket.on('close', () => gone.abort());
  if (head.length > 0) take(head);
  socket.write(writeFrame(opcodes.ping, Buffer.from('are you there'), false));
  const { exitCode, stdout, stderr } = await run(gone.signal);
  for (const [channel, text] of [
    [channels.stdout, stdout],
    [channels.stderr, stderr],
  ] as const) {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += chunkBytes)
      sendMessage(socket, channel, bytes.subarray(at, at + chunkBytes));
  }
  const failure = {
    status: 'Failure',
    message: `command terminated with non-zero exit code: exit status ${exitCode}`,
    reason: 'NonZeroExitCode',
    details: { causes: [{ reason: 'ExitCode', message: String(exitCode) }] },
  };
  const status = { metadata: {}, ...(exitCode === 0 ? { status: 'Success' } : failure) };
  sendMessage(socket, channels.error, Buffer.from(JSON.stringify(status)));
  socket.write(writeFrame(opcodes.close, Buffer.from([0x03, 0xe8]), false));
  socket.end();
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

function sendMessage(socket: Duplex, channel: number, bytes: Uint8Array): void {
  socket.write(writeFrame(opcodes.binary, Buffer.concat([Buffer.from([channel]), bytes]), false));
}
