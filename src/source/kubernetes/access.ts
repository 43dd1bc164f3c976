import type { IncomingHttpHeaders } from 'node:http';

/** One request to an API server. */
export interface KubeRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Absolute path without query: `/api/v1/pods`. */
  readonly path: string;
  readonly query?: URLSearchParams;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** Ends the request, and the body if it has begun. */
  readonly signal: AbortSignal;
}

/** The head of an answer and its bytes as they come. */
export interface KubeResponse {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** Leaving the iteration early closes the connection. It throws {@link AccessError} when the connection breaks. */
  readonly body: AsyncIterable<Uint8Array>;
}

/** A request for a WebSocket. */
export interface KubeSocketRequest extends Pick<KubeRequest, 'path' | 'query' | 'signal'> {
  /** Subprotocols, the best first. */
  readonly protocols: readonly string[];
  /** Longest message that is taken. */
  readonly maxMessageBytes: number;
}

/** The messages of the server until it closes, or an ordinary answer that refuses. */
export type KubeSocketAnswer =
  | {
      readonly kind: 'opened';
      /** Leaving the iteration early closes the connection. It throws {@link AccessError} when the connection breaks. */
      readonly messages: AsyncIterable<Buffer>;
    }
  | { readonly kind: 'answered'; readonly response: KubeResponse };

/** A way to talk to one API server as one identity. */
export interface KubeAccess {
  /** `https://host:port`, for messages. */
  readonly server: string;
  /** Resolves with the head of any answer, whatever its status. Rejects with {@link AccessError} without one. */
  request(request: KubeRequest): Promise<KubeResponse>;
  /** Opens a WebSocket. Rejects as `request`. */
  openSocket(request: KubeSocketRequest): Promise<KubeSocketAnswer>;
  /** The server refused our identity: the next request reads credentials anew. */
  refreshCredentials(): void;
  /** Closes idle connections. */
  close(): void;
}

/**
 * Why there is no (complete) answer: `credentials` could not be obtained, `tls` was not trusted, the server is
 * `unreachable`, the connection was `reset` before the end of the answer, or the caller `aborted`.
 */
export type AccessErrorCode = 'credentials' | 'tls' | 'unreachable' | 'reset' | 'aborted';

/** The network or the credentials failed; a refusal by the server is an answer, not an error. */
export class AccessError extends Error {
  override readonly name = 'AccessError';
  readonly code: AccessErrorCode;

  constructor(code: AccessErrorCode, message: string, options?: { cause: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** Reads the whole body; throws {@link AccessError} `reset` beyond `limitBytes`. */
export async function readBody(response: KubeResponse, limitBytes: number, heard?: () => void): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of response.body) {
    heard?.();
    sizeBytes += chunk.byteLength;
    if (sizeBytes > limitBytes) throw new AccessError('reset', `the answer is longer than ${limitBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
