import type { ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

import type { Fault } from './faults.ts';

/** A `Status` object. */
export function statusBody(code: number, reason: string, message: string, details?: object): object {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    code,
    ...(details && { details }),
  };
}

/** Answers with JSON. */
export function sendJson(
  response: ServerResponse,
  code: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  const text = JSON.stringify(body);
  response.writeHead(code, { 'content-type': 'application/json', ...headers });
  response.end(text);
}

/** Answers with a refusal. */
export function sendStatus(
  response: ServerResponse,
  code: number,
  reason: string,
  message: string,
  options: { readonly retryAfterSeconds?: number; readonly details?: object } = {},
): void {
  const { retryAfterSeconds, details } = options;
  // The header has whole seconds only; the body's number lets tests be quick.
  const header = retryAfterSeconds !== undefined && Number.isInteger(retryAfterSeconds);
  const headers: Record<string, string> = header ? { 'retry-after': String(retryAfterSeconds) } : {};
  const detail = { ...details, ...(retryAfterSeconds !== undefined && { retryAfterSeconds }) };
  sendJson(response, code, statusBody(code, reason, message, detail), headers);
}

/** Breaks the connection with a TCP reset: only the socket below TLS can send one. */
export function reset(response: ServerResponse): void {
  const socket = response.socket as { readonly ['_parent']?: Socket } | null;
  socket?.['_parent']?.resetAndDestroy();
  response.destroy();
}

/** Plays a fault that needs no knowledge of what was asked. Answers whether that was all. */
export function playBeforeAnswer(response: ServerResponse, fault: Fault | undefined): boolean {
  switch (fault?.kind) {
    case 'reset-before-headers':
      reset(response);
      return true;
    case 'hang-before-headers':
      return true;
    case 'status': {
      const { code, reason, retryAfterSeconds } = fault;
      const message = code === 410 ? 'too old resource version' : `injected: ${reason}`;
      sendStatus(response, code, reason, message, retryAfterSeconds === undefined ? {} : { retryAfterSeconds });
      return true;
    }
    default:
      return false;
  }
}

/** Writes bytes, in small pieces with pauses if they are to be slow. Resolves early when the peer is gone. */
export async function trickle(response: ServerResponse, bytes: Buffer, fault: Fault | undefined): Promise<void> {
  if (fault?.kind !== 'slow') {
    response.write(bytes);
    return;
  }
  for (let at = 0; at < bytes.length && !response.destroyed; at += fault.bytes) {
    response.write(bytes.subarray(at, at + fault.bytes));
    await new Promise((resolve) => setTimeout(resolve, fault.delayMs));
  }
}
