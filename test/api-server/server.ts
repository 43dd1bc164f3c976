import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';

import type { Authority } from './certificate.ts';
import { createAuthority } from './certificate.ts';
import type { Control } from './control.ts';
import { encodingFor } from './encoding.ts';
import { answerExec, refuseUpgrade } from './exec.ts';
import type { ExecRequest, ExecResult } from './exec.ts';
import { discover } from './discovery.ts';
import type { FaultPlan, RequestFacts } from './faults.ts';
import { ScriptedFaults } from './faults.ts';
import { Pages } from './list.ts';
import { answerObject } from './objects.ts';
import type { Random } from './random.ts';
import { seededRandom } from './random.ts';
import { playBeforeAnswer, sendJson, sendStatus } from './reply.ts';
import type { Route } from './route.ts';
import { parseRoute } from './route.ts';
import type { Json } from './truth.ts';
import { collections, Truth } from './truth.ts';
import { WatchStream } from './watch.ts';

/** How a {@link TestApiServer} is set up. */
export interface TestApiServerOptions {
  /** Where it listens; 127.0.0.1. */
  readonly host?: string;
  /** 0: any free port. */
  readonly port?: number;
  /** Between bookmarks; 60 s as the real one. */
  readonly bookmarkMs?: number;
  readonly random?: Random;
  /** True: initial events come by key, not in any order. */
  readonly ordered?: boolean;
  /** False: pods are sent as JSON whatever the client prefers. */
  readonly protobuf?: boolean;
  /** Further names and addresses for its certificate. */
  readonly names?: readonly string[];
  /** Answers `POST /control`, for a server in a process of its own. */
  readonly control?: (server: TestApiServer, request: Control) => object;
}

/** One request as it was received, for assertions. */
export interface SeenRequest extends RequestFacts {
  readonly query: URLSearchParams;
  /** Absent for the whole cluster. */
  readonly namespace?: string;
  readonly user: string;
}

/**
 * An API server for tests: the wire protocol of lists, watches and single objects over TLS, state in memory, faults on
 * demand. What it does not have: admission, defaulting, validation, controllers, graceful deletion.
 */
export class TestApiServer {
  readonly truth: Truth = new Truth();
  readonly authority: Authority = createAuthority();
  /** One-time faults; asked before {@link TestApiServer.plan}. */
  readonly faults: ScriptedFaults = new ScriptedFaults();
  plan: FaultPlan | undefined;
  /** Bearer tokens with their users. */
  readonly tokens: Map<string, string> = new Map([['test-token', 'system:serviceaccount:kube-system:nftpolicy']]);
  /** `verb plural` pairs that are answered 403. */
  readonly forbidden: Set<string> = new Set();
  /** Fields that cannot be selected by, as on older servers. */
  readonly unknownFields: Set<string> = new Set();
  /** False: `sendInitialEvents` is refused, as by a server before 1.32. */
  watchList = true;
  readonly requests: SeenRequest[] = [];
  /** Runs programs in containers; without it there are none to run them in. */
  exec: ((request: ExecRequest) => Promise<ExecResult>) | undefined;
  readonly #options: TestApiServerOptions;
  readonly #pages: Pages = new Pages(this.truth);
  readonly #random: Random;
  readonly #ordered: boolean;
  readonly #streams = new Set<WatchStream>();
  readonly #sockets = new Set<Socket>();
  #server: Server | undefined;
  #port = 0;

  constructor(options: TestApiServerOptions = {}) {
    this.#options = options;
    this.#random = options.random ?? seededRandom(1);
    this.#ordered = options.ordered ?? false;
    this.#port = options.port ?? 0;
  }

  /** `https://host:port`. */
  get url(): string {
    const host = this.#options.host ?? '127.0.0.1';
    return `https://${host.includes(':') ? `[${host}]` : host}:${this.#port}`;
  }

  /** Starts to listen: on the port it had before, if it ran before. */
  async start(): Promise<void> {
    const host = this.#options.host ?? '127.0.0.1';
    const names = ['localhost', 'kubernetes.default.svc', '127.0.0.1', '::1', host, ...(this.#options.names ?? [])];
    const { cert, key } = this.authority.server([...new Set(names)]);
    const tls = { cert, key, ca: this.authority.cert, requestCert: true, rejectUnauthorized: false };
    const server = createServer(tls, (request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        if (response.headersSent) response.destroy();
        else sendStatus(response, 500, 'InternalError', String(error));
      });
    });
    server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      socket.on('error', () => socket.destroy());
    });
    server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', () => socket.destroy());
      this.#upgrade(request, socket, head).catch(() => socket.destroy());
    });
    server.on('tlsClientError', (_error, socket) => socket.destroy());
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, host, resolve);
    });
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Refuses connections and breaks those there are: an outage. {@link TestApiServer.start} ends it. */
  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    const closed = new Promise<void>((resolve) => {
      server.close(() => resolve());
    });
    this.dropConnections();
    await closed;
  }

  /** Breaks every connection. */
  dropConnections(): void {
    for (const stream of this.#streams) stream.end();
    for (const socket of this.#sockets) socket.destroy();
  }

  /** Ends every watch in order, as a server does that shuts down. */
  endWatches(): void {
    for (const stream of this.#streams) stream.end();
  }

  /** After a restart of a single server even the last bookmark's version is Expired. */
  async restart(): Promise<void> {
    await this.stop();
    this.truth.compact();
    await this.start();
  }

  /** Number of open watches. */
  get watches(): number {
    return this.#streams.size;
  }

  /** Number of open connections. */
  get connections(): number {
    return this.#sockets.size;
  }

  /** Makes the continue tokens given out so far Expired. */
  expireContinueTokens(): void {
    this.#pages.expire();
  }

  /** A kubeconfig whose user has a bearer token. */
  kubeconfig(token = 'test-token'): string {
    return renderKubeconfig(this.url, this.authority.cert, { token });
  }

  /** A kubeconfig whose user has these credentials. */
  kubeconfigOf(user: Json): string {
    return renderKubeconfig(this.url, this.authority.cert, user);
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.url);
    const route = parseRoute(url.pathname);
    const body = await readJson(request);
    const { control } = this.#options;
    if (url.pathname === '/control' && control !== undefined && this.#userOf(request) !== undefined) {
      return sendJson(response, 200, control(this, body as unknown as Control));
    }
    if (route === undefined) return answerElsewhere(url.pathname, response);
    const facts = factsOf(request.method ?? 'GET', route, url.searchParams);
    const user = this.#userOf(request);
    const place = route.namespace === undefined ? {} : { namespace: route.namespace };
    this.requests.push({ ...facts, ...place, query: url.searchParams, user: user ?? '' });
    const fault = this.faults.next(facts) ?? this.plan?.next(facts);
    if (playBeforeAnswer(response, fault)) return;
    if (user === undefined) return sendStatus(response, 401, 'Unauthorized', 'Unauthorized');
    if (this.forbidden.has(`${facts.verb} ${facts.plural}`)) return forbid(response, facts, user);
    const fieldSelector = url.searchParams.get('fieldSelector') ?? '';
    const unknownField = [...this.unknownFields].find((field) => fieldSelector.includes(field));
    if (unknownField !== undefined) {
      const message = `Unable to find "/v1, Resource=${facts.plural}" that match label selector "", field selector "${fieldSelector}": field label not supported: ${unknownField}`;
      return sendStatus(response, 400, 'BadRequest', message);
    }
    if (facts.streamedList) {
      const refused = !this.watchList || fault?.kind === 'refuse-watch-list';
      if (refused)
        return refuseWatchList(
          response,
          'sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled',
        );
      if (url.searchParams.get('resourceVersionMatch') !== 'NotOlderThan') {
        return refuseWatchList(response, 'sendInitialEvents requires setting resourceVersionMatch to NotOlderThan');
      }
    }
    const { plural, namespace } = route;
    const accepted = this.#options.protobuf === false ? undefined : request.headers.accept;
    const encoding = encodingFor(accepted, plural);
    if (facts.verb === 'list')
      return this.#pages.answer(response, plural, namespace, url.searchParams, fault, encoding);
    const isList = request.headers['content-type'] === 'application/json-patch+json';
    if (facts.verb === 'patch' && isList !== Array.isArray(body))
      return sendStatus(
        response,
        400,
        'BadRequest',
        'the body of the request does not have the type it is said to have',
      );
    if (facts.verb !== 'watch') return answerObject(response, this.truth, request.method ?? 'GET', route, body);
    const { truth } = this;
    const bookmarkMs = this.#options.bookmarkMs ?? 60_000;
    const stream = new WatchStream({
      truth,
      plural,
      namespace,
      query: url.searchParams,
      response,
      fault,
      bookmarkMs,
      encoding,
      random: this.#ordered ? undefined : this.#random,
    });
    this.#streams.add(stream);
    response.on('close', () => this.#streams.delete(stream));
    stream.start();
  }

  /** `pods/NAME/exec`, the one thing that is asked for on a connection of another protocol. */
  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const url = new URL(request.url ?? '/', this.url);
    const route = parseRoute(url.pathname);
    const { exec } = this;
    if (route?.plural !== 'pods' || route.name === undefined || route.subresource !== 'exec' || exec === undefined)
      return refuseUpgrade(socket, 404, 'NotFound', 'the server could not find the requested resource');
    const user = this.#userOf(request);
    if (user === undefined) return refuseUpgrade(socket, 401, 'Unauthorized', 'Unauthorized');
    if (this.forbidden.has('create pods/exec')) {
      const message = `pods "${route.name}" is forbidden: User "${user}" cannot create resource "pods/exec" in API group "" in the namespace "${route.namespace ?? ''}"`;
      return refuseUpgrade(socket, 403, 'Forbidden', message);
    }
    const pod = this.truth.get('pods', route.name, route.namespace);
    if (pod === undefined) return refuseUpgrade(socket, 404, 'NotFound', `pods "${route.name}" not found`);
    const [container, command] = [url.searchParams.get('container') ?? '', url.searchParams.getAll('command')];
    await answerExec(request, socket, head, (signal) => exec({ pod, container, command, signal }));
  }

  #userOf(request: IncomingMessage): string | undefined {
    const impersonated = request.headers['impersonate-user'];
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    const socket = request.socket as TLSSocket;
    const name = socket.authorized ? String(socket.getPeerCertificate().subject?.CN ?? '') : '';
    const user = name !== '' ? name : token === undefined ? undefined : this.tokens.get(token);
    return user !== undefined && typeof impersonated === 'string' ? impersonated : user;
  }
}

/** A kubeconfig with one context. */
export function renderKubeconfig(server: string, ca: string, user: Json): string {
  const cluster = { server, 'certificate-authority-data': Buffer.from(ca).toString('base64') };
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster }],
    users: [{ name: 'test', user }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
    'current-context': 'test',
  });
}

function factsOf(method: string, route: Route, query: URLSearchParams): RequestFacts {
  const { plural } = route;
  const watching = ['1', 'true'].includes(query.get('watch') ?? '');
  const verbs = new Map([
    ['POST', 'create'],
    ['PUT', 'update'],
    ['PATCH', 'patch'],
    ['DELETE', 'delete'],
  ] as const);
  const reading = route.name !== undefined ? 'get' : watching ? 'watch' : 'list';
  const verb = verbs.get(method as 'POST' | 'PUT' | 'PATCH' | 'DELETE') ?? reading;
  return {
    verb,
    plural,
    streamedList: verb === 'watch' && query.get('sendInitialEvents') === 'true',
    continued: verb === 'list' && query.has('continue'),
  };
}

function forbid(response: ServerResponse, { verb, plural }: RequestFacts, user: string): void {
  const apiVersion = collections.get(plural)?.apiVersion ?? '';
  const group = apiVersion.includes('/') ? apiVersion.split('/')[0] : '';
  const message = `${plural} is forbidden: User "${user}" cannot ${verb} resource "${plural}" in API group "${group}" at the cluster scope`;
  sendStatus(response, 403, 'Forbidden', message);
}

function refuseWatchList(response: ServerResponse, why: string): void {
  sendStatus(response, 422, 'Invalid', `ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: ${why}`);
}

function answerElsewhere(path: string, response: ServerResponse): void {
  if (path === '/version') sendJson(response, 200, { major: '1', minor: '36', gitVersion: 'v1.36.0-test' });
  else if (['/healthz', '/readyz', '/livez'].includes(path)) response.end('ok');
  else {
    const found = discover(path);
    if (found === undefined) sendStatus(response, 404, 'NotFound', 'the server could not find the requested resource');
    else sendJson(response, 200, found);
  }
}

async function readJson(request: IncomingMessage): Promise<Json> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return chunks.length === 0 ? {} : (JSON.parse(Buffer.concat(chunks).toString('utf8')) as Json);
}
