import type { IncomingHttpHeaders } from 'node:http';

/** A `Status` object: how the API server says no, as the body of an answer or as an ERROR event of a watch. */
export interface ApiStatus {
  /** The HTTP status it stands for; 0 if it names none. */
  readonly code: number;
  readonly reason: string;
  readonly message: string;
  /** `reason` of each of `details.causes`. */
  readonly causes: readonly string[];
  readonly retryAfterMs?: number;
}

/** Reads a Status from untrusted JSON; anything else becomes a status without reason. */
export function readStatus(value: unknown, code = 0): ApiStatus {
  const status = asRecord(value);
  const details = asRecord(status['details']);
  const causes = Array.isArray(details['causes']) ? (details['causes'] as unknown[]) : [];
  const seconds = details['retryAfterSeconds'];
  return {
    code: code !== 0 ? code : typeof status['code'] === 'number' ? status['code'] : 0,
    reason: text(status['reason']),
    message: text(status['message']),
    causes: causes.map((cause) => text(asRecord(cause)['reason'])),
    ...(typeof seconds === 'number' && seconds > 0 && { retryAfterMs: seconds * 1000 }),
  };
}

/** Reads the body and headers of a refusal. A proxy's answer need not be JSON: its text becomes the message. */
export function readRefusal(code: number, headers: IncomingHttpHeaders, body: Buffer, nowMs: number): ApiStatus {
  const content = body.toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(content);
  } catch {
    value = { message: content.slice(0, 200) };
  }
  const status = readStatus(value, code);
  const retryAfterMs = readRetryAfter(headers['retry-after'], nowMs) ?? status.retryAfterMs;
  return { ...status, ...(retryAfterMs !== undefined && { retryAfterMs }) };
}

/** Seconds or a date (RFC 9110, 10.2.3) as a pause in milliseconds; `undefined` if absent or neither. */
export function readRetryAfter(value: string | undefined, nowMs: number): number | undefined {
  if (value === undefined) return undefined;
  if (/^\d+$/.test(value.trim())) return Number(value) * 1000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMs);
}

/** The version or the continue token is too old: only a new list helps. */
export function isExpired(status: ApiStatus): boolean {
  return status.code === 410 || status.reason === 'Expired' || status.reason === 'Gone';
}

/** Our version is newer than anything the server knows: it was restored, or it lags. */
export function isVersionTooLarge(status: ApiStatus): boolean {
  return status.causes.includes('ResourceVersionTooLarge') || /too large resource version/i.test(status.message);
}

/** The server does not know `sendInitialEvents`, or has it switched off. */
export function refusesWatchList(status: ApiStatus): boolean {
  return (status.code === 422 || status.code === 400) && status.message.includes('sendInitialEvents');
}

/** The server cannot select by a field that newer ones know: `spec.hostNetwork` of pods. */
export function refusesFieldSelector(status: ApiStatus): boolean {
  return status.code === 400 && status.message.includes('field label not supported');
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
