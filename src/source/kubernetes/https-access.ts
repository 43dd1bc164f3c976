import { on } from 'node:events';
import type { Agent as HttpAgent, ClientRequest, IncomingMessage } from 'node:http';
import http from 'node:http';
import https from 'node:https';
import type { WebSocket } from 'ws';

import { AccessError } from './access.ts';
import type {
  AccessErrorCode,
  KubeAccess,
  KubeRequest,
  KubeResponse,
  KubeSocketAnswer,
  KubeSocketRequest,
} from './access.ts';

/** What a connection needs to be trusted. */
export interface TlsIdentity {
  readonly ca?: string | Buffer;
  readonly cert?: string | Buffer;
  readonly key?: string | Buffer;
  readonly passphrase?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
}

/** What a request needs to be accepted. */
export interface Credentials {
  readonly tls: TlsIdentity;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
  /** A proxy's agent, used instead of our own. */
  readonly agent?: HttpAgent;
}

/** Where credentials come from. */
export interface CredentialSource {
  /** Called before every request; remembers what is expensive. Rejects with {@link AccessError} `credentials`. */
  read(): Promise<Credentials>;
  /** Forgets what it remembers. */
  invalidate(): void;
}

/** Below the 60 s after which load balancers drop idle connections, and early enough to notice a dead peer. */
const tcpKeepAliveMs = 15_000;

/**
 * Talks to `server` over node:http(s) with one long-lived agent, replaced when the trust material changes.
 * Running answers keep the connection they began on.
 */
export function httpsAccess(server: string, credentials: CredentialSource): KubeAccess {
  const url = new URL(server);
  const basePath = url.pathname.replace(/\/+$/, '');
  const secure = url.protocol === 'https:';
  let agent: HttpAgent | undefined;
  let agentKey: string | undefined;

  function agentFor({ tls }: Credentials): HttpAgent {
    const key = JSON.stringify(Object.entries(tls).map(([name, value]) => [name, String(value)]));
    if (agent === undefined || key !== agentKey) {
      if (agent !== undefined) closeIdle(agent);
      const options = { keepAlive: true, keepAliveMsecs: tcpKeepAliveMs };
      agent = secure ? new https.Agent({ ...options, ...tls }) : new http.Agent(options);
      agentKey = key;
    }
    return agent;
  }

  async function identify(signal: AbortSignal): Promise<Identified> {
    const identity = await unlessAborted(credentials.read(), signal);
    const headers = { 'user-agent': 'nftpolicy', ...(identity.headers as Record<string, string | string[]>) };
    return { headers, agent: identity.agent ?? agentFor(identity) };
  }

  const targetOf = ({ path, query }: Pick<KubeRequest, 'path' | 'query'>): string =>
    `${basePath}${path}${query === undefined ? '' : `?${query.toString()}`}`;

  async function request(options: KubeRequest): Promise<KubeResponse> {
    const { headers, agent: used } = await identify(options.signal);
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const open: typeof http.request = secure ? https.request : http.request;
    const outgoing = begin(open, url.host, {
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
      method: options.method,
      path: targetOf(options),
      headers: { ...headers, ...options.headers },
      agent: used,
      signal: options.signal,
    });
    outgoing.on('socket', (socket) => socket.setKeepAlive(true, tcpKeepAliveMs));
    outgoing.on('response', resolve);
    outgoing.on('error', (error) => reject(toAccessError(error, url.host)));
    outgoing.end(options.body);
    return responseOf(outgoing, await promise, url.host);
  }

  /** `ws` is loaded when somebody asks: an agent never does. */
  async function openSocket(options: KubeSocketRequest): Promise<KubeSocketAnswer> {
    const { headers, agent: used } = await identify(options.signal);
    const { WebSocket } = await import('ws');
    const { promise, resolve, reject } = Promise.withResolvers<KubeSocketAnswer>();
    const { protocols, maxMessageBytes: maxPayload, signal } = options;
    const socket = new WebSocket(`${secure ? 'wss' : 'ws'}://${url.host}${targetOf(options)}`, [...protocols], {
      headers,
      agent: used,
      maxPayload,
      perMessageDeflate: false,
    });
    const abort = (): void => socket.terminate();
    signal.addEventListener('abort', abort, { once: true });
    socket.on('close', () => signal.removeEventListener('abort', abort));
    // Listens from the start: messages may come along with the answer.
    const messages = messagesOf(socket, url.host, signal);
    socket.on('open', () => resolve({ kind: 'opened', messages }));
    socket.on('unexpected-response', (outgoing, incoming) =>
      resolve({ kind: 'answered', response: responseOf(outgoing, incoming, url.host) }),
    );
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // What has no code is the protocol: the server is there, and answers something else.
      const fallback = error.code === undefined ? 'reset' : 'unreachable';
      reject(signal.aborted ? abortError(signal) : toAccessError(error, url.host, fallback));
    });
    return await promise;
  }

  return {
    server: url.origin + basePath,
    request,
    openSocket,
    refreshCredentials: () => credentials.invalidate(),
    close: () => agent?.destroy(),
  };
}

/** What every request is sent with. */
interface Identified {
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly agent: HttpAgent;
}

/** Certificates, keys and tokens that are none are noticed only when they are used. */
const unusable = /^ERR_(?:OSSL|SSL|CRYPTO|INVALID_CHAR$|HTTP_INVALID_HEADER_VALUE$)/;

function begin(open: typeof http.request, host: string, options: http.RequestOptions): ClientRequest {
  try {
    return open(options);
  } catch (cause) {
    const { code = '', message } = cause as NodeJS.ErrnoException;
    if (!unusable.test(code)) throw cause;
    throw new AccessError('credentials', `${host}: the credentials cannot be used: ${message}`, { cause });
  }
}

/** Getting credentials may take for ever: a plugin may wait for a network, or for a person. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) throw abortError(signal);
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = (): void => reject(abortError(signal));
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function abortError(signal: AbortSignal): AccessError {
  return new AccessError('aborted', 'aborted', { cause: signal.reason });
}

/** The close code of a connection that ended without one. */
const brokenOff = 1006;

function messagesOf(socket: WebSocket, host: string, signal: AbortSignal): AsyncIterable<Buffer> {
  const events = on(socket, 'message', { close: ['close'] });
  let closed: number | undefined;
  socket.on('close', (code) => (closed = code));
  async function* messages(): AsyncGenerator<Buffer> {
    try {
      for await (const [message] of events) yield message as Buffer;
    } catch (error) {
      throw signal.aborted ? abortError(signal) : toAccessError(error, host, 'reset');
    } finally {
      socket.terminate();
    }
    if (signal.aborted) throw abortError(signal);
    if (closed === brokenOff) throw new AccessError('reset', `${host}: the connection ended in the middle`);
  }
  return messages();
}

function responseOf(outgoing: ClientRequest, response: IncomingMessage, host: string): KubeResponse {
  const { statusCode: status = 0, headers } = response;
  return { status, headers, body: bodyOf(outgoing, response, host) };
}

/** Unlike `destroy`, this leaves running answers alone. */
function closeIdle(agent: HttpAgent): void {
  for (const sockets of Object.values(agent.freeSockets)) for (const socket of sockets ?? []) socket.destroy();
}

async function* bodyOf(outgoing: ClientRequest, response: IncomingMessage, host: string): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of response) yield chunk as Uint8Array;
  } catch (error) {
    throw toAccessError(error, host, 'reset');
  } finally {
    // A body that was read to its end leaves the connection to the next request.
    if (!response.complete) outgoing.destroy();
  }
}

const resets: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'ERR_STREAM_PREMATURE_CLOSE']);

function toAccessError(error: unknown, host: string, fallback: AccessErrorCode = 'unreachable'): AccessError {
  const { code, name, message } = error as NodeJS.ErrnoException;
  if (name === 'AbortError') return new AccessError('aborted', 'aborted', { cause: error });
  if (code !== undefined && resets.has(code)) {
    return new AccessError('reset', `the connection to ${host} was reset`, { cause: error });
  }
  const tls = code !== undefined && /^ERR_TLS|^ERR_SSL|CERT|SIGNATURE|ISSUER|^EPROTO$/.test(code);
  return new AccessError(tls ? 'tls' : fallback, `${host}: ${message}`, { cause: error });
}
