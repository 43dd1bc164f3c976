import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { ListenAddress } from './config.ts';
import type { Health } from './health.ts';
import type { Logger } from './logger.ts';

/** What can be asked for; each is called per request. */
export interface Endpoints {
  readonly healthz: () => Health;
  readonly readyz: () => Health;
  readonly metrics: () => Promise<{ readonly contentType: string; readonly text: string }>;
  readonly status: (query: URLSearchParams) => object;
  readonly denied: (signal: AbortSignal) => Promise<object>;
}

/** Before the next try after a failed bind, in milliseconds. */
const rebindMs = 30_000;

/** Health, metrics and status over HTTP. It reads and never writes; a failed bind is retried and stops nothing else. */
export class HttpServer {
  readonly #address: ListenAddress;
  readonly #endpoints: Endpoints;
  readonly #logger: Logger;
  readonly #stop = new AbortController();
  #server: Server | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(address: ListenAddress, endpoints: Endpoints, logger: Logger) {
    this.#address = address;
    this.#endpoints = endpoints;
    this.#logger = logger;
  }

  /** Resolves after the first try to listen. */
  async start(): Promise<void> {
    const { host, port } = this.#address;
    const server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        this.#logger.error({ err: error, path: request.url }, 'cannot answer');
        if (response.headersSent) response.destroy();
        else send(response, 500, 'text/plain', `${error instanceof Error ? error.message : String(error)}\n`);
      });
    });
    server.headersTimeout = 10_000;
    server.requestTimeout = 10_000;
    server.maxConnections = 64;
    const { promise, resolve } = Promise.withResolvers<Error | undefined>();
    server.once('error', resolve);
    server.listen(port, host, () => resolve(undefined));
    const error = await promise;
    if (error === undefined) {
      this.#server = server;
      server.on('error', (err) => this.#logger.warn({ err }, 'the HTTP server has a problem'));
      this.#logger.info({ host, port: (server.address() as AddressInfo).port }, 'listening');
      return;
    }
    this.#logger.error({ err: error, host, port }, 'cannot listen for health and metrics; enforcing all the same');
    if (this.#stop.signal.aborted) return;
    this.#retry = setTimeout(() => void this.start(), rebindMs);
    this.#retry.unref();
  }

  /** The port in use; absent while not listening. */
  get port(): number | undefined {
    return (this.#server?.address() as AddressInfo | null | undefined)?.port;
  }

  /** Stops listening and ends every connection. */
  async close(): Promise<void> {
    this.#stop.abort();
    clearTimeout(this.#retry);
    const server = this.#server;
    if (server === undefined) return;
    const closed = new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    server.closeAllConnections();
    await closed;
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://agent');
    if (request.method !== 'GET' && request.method !== 'HEAD') return send(response, 405, 'text/plain', 'only GET\n');
    switch (url.pathname) {
      case '/healthz':
        return sendHealth(response, this.#endpoints.healthz());
      case '/readyz':
        return sendHealth(response, this.#endpoints.readyz());
      case '/metrics': {
        const { contentType, text } = await this.#endpoints.metrics();
        return send(response, 200, contentType, text);
      }
      case '/status':
        return sendJson(response, this.#endpoints.status(url.searchParams));
      case '/denied':
        return sendJson(response, await this.#endpoints.denied(this.#stop.signal));
      default:
        return send(response, 404, 'text/plain', 'there are /healthz, /readyz, /metrics, /status and /denied\n');
    }
  }
}

function sendHealth(response: ServerResponse, { ok, reason }: Health): void {
  send(response, ok ? 200 : 503, 'text/plain', `${reason}\n`);
}

function sendJson(response: ServerResponse, value: object): void {
  send(response, 200, 'application/json', `${JSON.stringify(value)}\n`);
}

function send(response: ServerResponse, status: number, contentType: string, text: string): void {
  response.writeHead(status, { 'content-type': contentType, 'cache-control': 'no-store' });
  response.end(text);
}
