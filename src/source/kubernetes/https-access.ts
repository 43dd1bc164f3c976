import type { Agent as HttpAgent, ClientRequest, IncomingMessage } from 'node:http';
import http from 'node:http';
import https from 'node:https';

import { AccessError } from './access.ts';
import type { AccessErrorCode, KubeAccess, KubeRequest, KubeResponse, KubeUpgrade } from './access.ts';

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

  async function send(options: KubeRequest): Promise<ClientRequest> {
    const identity = await credentials.read();
    if (options.signal.aborted) throw new AccessError('aborted', 'aborted', { cause: options.signal.reason });
    const query = options.query === undefined ? '' : `?${options.query.toString()}`;
    const open: typeof http.request = secure ? https.request : http.request;
    return open({
      host: url.hostname.replace(/^\[|\]$/g, ''),
      port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
      method: options.method,
      path: `${basePath}${options.path}${query}`,
      headers: {
        'user-agent': 'nftpolicy',
        ...(identity.headers as Record<string, string | string[]>),
        ...options.headers,
      },
      agent: identity.agent ?? agentFor(identity),
      signal: options.signal,
    });
  }

  async function upgrade(options: KubeRequest): Promise<KubeUpgrade> {
    const outgoing = await send(options);
    const { promise, resolve, reject } = Promise.withResolvers<KubeUpgrade>();
    outgoing.on('socket', (socket) => socket.setKeepAlive(true, tcpKeepAliveMs));
    outgoing.on('error', (error) => reject(toAccessError(error, url.host)));
    outgoing.on('upgrade', (response, socket, head) => {
      resolve({ kind: 'upgraded', headers: response.headers, socket, head });
    });
    outgoing.on('response', (response) => {
      const { statusCode: status = 0, headers } = response;
      resolve({ kind: 'answered', response: { status, headers, body: bodyOf(outgoing, response, url.host) } });
    });
    outgoing.end(options.body);
    return await promise;
  }

  async function request(options: KubeRequest): Promise<KubeResponse> {
    const answer = await upgrade(options);
    if (answer.kind === 'answered') return answer.response;
    answer.socket.destroy();
    throw new AccessError('unreachable', `${url.host}: answered in another protocol than it was asked in`);
  }

  return {
    server: url.origin + basePath,
    request,
    upgrade,
    refreshCredentials: () => credentials.invalidate(),
    close: () => agent?.destroy(),
  };
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
