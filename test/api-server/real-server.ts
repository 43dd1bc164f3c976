import { generateKeyPairSync } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { AccessError, readBody } from '../../src/source/kubernetes/access.ts';
import type { KubeAccess } from '../../src/source/kubernetes/access.ts';
import { httpsAccess } from '../../src/source/kubernetes/https-access.ts';
import { readAudit } from './audit.ts';
import type { AuditedRequest } from './audit.ts';
import { createAuthority } from './certificate.ts';
import type { Authority } from './certificate.ts';
import { Daemon } from './daemon.ts';
import { renderKubeconfig } from './server.ts';
import type { Json } from './truth.ts';

/** Why there is no real API server here; `undefined` if there is one. */
export function whyNoRealServer(assets: string | undefined): string | undefined {
  if (assets === undefined || assets === '') return 'KUBEBUILDER_ASSETS is not set';
  const missing = ['etcd', 'kube-apiserver'].filter((name) => !existsSync(join(assets, name)));
  return missing.length === 0 ? undefined : `KUBEBUILDER_ASSETS (${assets}) has no ${missing.join(' and no ')}`;
}

/** How a {@link RealApiServer} is set up. */
export interface RealServerOptions {
  /** Holds `etcd` and `kube-apiserver`. */
  readonly assets: string;
  /** Where it listens, in the network namespace of this process; 127.0.0.1. */
  readonly host?: string;
  /** Made for keys, logs and data, and removed with the server; a temporary one by default. */
  readonly folder?: string;
  /** Users besides `tester`, who may do everything, each with the token `NAME-token`. */
  readonly users?: readonly string[];
  /** Further flags of kube-apiserver. */
  readonly flags?: readonly string[];
}

/** A real etcd and kube-apiserver without controllers, kubelets or schedulers. RBAC is on. */
export class RealApiServer {
  readonly authority: Authority = createAuthority();
  /** Of somebody who may do everything. */
  readonly token = 'tester-token';
  readonly #folder: string;
  readonly #host: string;
  readonly #port: number;
  readonly #etcd: Daemon;
  readonly #server: Daemon;

  private constructor(options: RealServerOptions, ports: readonly number[]) {
    const [port = 0, clientPort = 0, peerPort = 0] = ports;
    const { assets, host = '127.0.0.1', users = [], flags = [] } = options;
    this.#folder = options.folder ?? mkdtempSync(join(tmpdir(), 'nftpolicy-apiserver-'));
    mkdirSync(this.#folder, { recursive: true });
    this.#host = host;
    this.#port = port;
    const { cert, key } = this.authority.server([
      ...new Set(['localhost', 'kubernetes.default.svc', '127.0.0.1', host]),
    ]);
    const account = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const tokens = [
      `${this.token},tester,tester,"system:masters"`,
      ...users.map((name) => `${name}-token,${name},${name}`),
    ];
    const files = {
      ca: this.#write('ca.crt', this.authority.cert),
      cert: this.#write('server.crt', cert),
      key: this.#write('server.key', key),
      publicKey: this.#write('sa.pub', account.publicKey.export({ type: 'spki', format: 'pem' }) as string),
      privateKey: this.#write('sa.key', account.privateKey.export({ type: 'pkcs8', format: 'pem' }) as string),
      tokens: this.#write('tokens.csv', `${tokens.join('\n')}\n`),
      audit: this.#write('audit-policy.json', JSON.stringify(auditPolicy)),
    };
    const client = `http://127.0.0.1:${clientPort}`;
    const peer = `http://127.0.0.1:${peerPort}`;
    this.#etcd = new Daemon(
      join(assets, 'etcd'),
      [
        `--data-dir=${this.#data}`,
        `--listen-client-urls=${client}`,
        `--advertise-client-urls=${client}`,
        `--listen-peer-urls=${peer}`,
        `--initial-advertise-peer-urls=${peer}`,
        `--initial-cluster=default=${peer}`,
        '--unsafe-no-fsync',
      ],
      join(this.#folder, 'etcd.log'),
    );
    this.#server = new Daemon(
      join(assets, 'kube-apiserver'),
      [
        `--etcd-servers=${client}`,
        `--bind-address=${host}`,
        `--advertise-address=${host}`,
        `--secure-port=${port}`,
        `--cert-dir=${this.#folder}`,
        `--tls-cert-file=${files.cert}`,
        `--tls-private-key-file=${files.key}`,
        `--client-ca-file=${files.ca}`,
        `--service-account-key-file=${files.publicKey}`,
        `--service-account-signing-key-file=${files.privateKey}`,
        '--service-account-issuer=https://kubernetes.default.svc',
        `--token-auth-file=${files.tokens}`,
        '--authorization-mode=RBAC',
        '--service-cluster-ip-range=10.96.0.0/24',
        // Without controllers no namespace gets a service account for its pods.
        '--disable-admission-plugins=ServiceAccount',
        // As every distribution sets it: without it the server takes no privileged container.
        '--allow-privileged=true',
        `--audit-policy-file=${files.audit}`,
        `--audit-log-path=${this.#auditLog}`,
        ...flags,
      ],
      join(this.#folder, 'kube-apiserver.log'),
    );
  }

  /** Starts both processes and waits until the server is ready. */
  static async start(options: RealServerOptions): Promise<RealApiServer> {
    const server = new RealApiServer(options, await Promise.all([freePort(), freePort(), freePort()]));
    try {
      server.#etcd.start();
      await server.resume();
    } catch (error) {
      await server.stop();
      throw error;
    }
    return server;
  }

  /** `https://host:port`. */
  get url(): string {
    return `https://${this.#host}:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  get ca(): string {
    return this.authority.cert;
  }

  /** A kubeconfig of `tester`, or of the given user. */
  kubeconfig(user: Json = { token: this.token }): string {
    return renderKubeconfig(this.url, this.ca, user);
  }

  /** The way of `tester`, or of whoever has this token. */
  access(token: string = this.token): KubeAccess {
    return httpsAccess(this.url, {
      read: () => Promise.resolve({ tls: { ca: this.ca }, headers: { authorization: `Bearer ${token}` } }),
      invalidate: () => undefined,
    });
  }

  /** Every request answered so far or being answered, oldest first. */
  audit(): readonly AuditedRequest[] {
    return readAudit(this.#auditLog);
  }

  /** Ends the API server, in order or like a crash; etcd stays. */
  async pause(signal: 'SIGTERM' | 'SIGKILL' = 'SIGKILL'): Promise<void> {
    await this.#server.end(signal);
  }

  /** Starts the API server after {@link RealApiServer.pause}, and waits until it is ready. */
  async resume(): Promise<void> {
    this.#server.start();
    const until = Date.now() + 90_000;
    while (!(await this.#isReady())) {
      if (!this.#server.running || Date.now() > until)
        throw new Error(`kube-apiserver did not become ready:\n${this.#server.log.slice(-3000)}`);
    }
  }

  /** Ends the API server and starts it again; etcd stays. */
  async restart(): Promise<void> {
    await this.pause('SIGTERM');
    await this.resume();
  }

  /** etcd crashes and comes back after a while. */
  async crashStorage(awayMs: number): Promise<void> {
    await this.#etcd.end('SIGKILL');
    await sleep(awayMs);
    this.#etcd.start();
    while (!(await this.#isReady()))
      if (!this.#etcd.running) throw new Error(`etcd ended:\n${this.#etcd.log.slice(-3000)}`);
  }

  /** Makes a backup of all objects; both processes start anew. */
  async backUp(): Promise<void> {
    await this.#whileDown(() => cpSync(this.#data, this.#backup, { recursive: true }));
  }

  /** Takes all objects back to the backup: versions begin again where it was made. */
  async restore(): Promise<void> {
    await this.#whileDown(() => {
      rmSync(this.#data, { recursive: true });
      cpSync(this.#backup, this.#data, { recursive: true });
    });
  }

  /** Ends both and removes their files. */
  async stop(): Promise<void> {
    await this.#server.end('SIGTERM');
    await this.#etcd.end('SIGTERM');
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #data(): string {
    return join(this.#folder, 'etcd');
  }

  get #backup(): string {
    return join(this.#folder, 'backup');
  }

  get #auditLog(): string {
    return join(this.#folder, 'audit.log');
  }

  async #whileDown(act: () => void): Promise<void> {
    await this.#server.end('SIGTERM');
    await this.#etcd.end('SIGTERM');
    act();
    this.#etcd.start();
    await this.resume();
  }

  /** Answers after a moment if not. */
  async #isReady(): Promise<boolean> {
    const access = this.access();
    try {
      const response = await access.request({ method: 'GET', path: '/readyz', signal: AbortSignal.timeout(2000) });
      await readBody(response, 1_000_000);
      if (response.status === 200) return true;
    } catch (error) {
      if (!(error instanceof AccessError)) throw error;
    } finally {
      access.close();
    }
    await sleep(200);
    return false;
  }

  #write(name: string, content: string): string {
    const path = join(this.#folder, name);
    writeFileSync(path, content, { mode: 0o600 });
    return path;
  }
}

const auditPolicy = {
  apiVersion: 'audit.k8s.io/v1',
  kind: 'Policy',
  rules: [{ level: 'Metadata', omitStages: ['RequestReceived'] }],
};

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => {
    probe.listen(0, '127.0.0.1', resolve);
  });
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
